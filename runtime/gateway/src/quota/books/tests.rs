use super::*;

fn at(second: u64) -> Moment {
    Moment { second, unix: 1_769_860_000 + i64::try_from(second).expect("a small number") }
}

fn key() -> Name {
    Name::new("team-a", "ana")
}

const DAILY: Limits = Limits { requests_per_minute: None, tokens_per_minute: None, tokens_per_day: Some(100) };

fn settlement(grant: Option<Grant>, prompt_tokens: u64, completion_tokens: u64) -> Settlement {
    let used = Used { requests: 1, prompt_tokens, completion_tokens, at: at(0).unix };
    Settlement { key: key(), grant, used }
}

#[test]
fn a_restart_remembers_the_day() {
    let today = day_text(at(0).day());
    let spent = |day: &str| Spent { tokens_today: 95, day: day.to_owned(), ..Spent::default() };
    let refused = Books::new(1).admit(at(0), &key(), DAILY, &spent(&today), 10);
    assert!(refused.is_err());
    assert!(Books::new(1).admit(at(0), &key(), DAILY, &spent("2020-01-01"), 10).is_ok());
}

#[test]
fn writes_sums_now_and_then() {
    let mut books = Books::new(1);
    let before = Spent { requests: 7, prompt_tokens: 100, completion_tokens: 50, ..Spent::default() };
    let grant = books.admit(at(0), &key(), DAILY, &before, 10).expect("there is room");
    assert_eq!(books.due(at(0), 10), []);
    books.settle(at(1), &before, &settlement(Some(grant), 12, 3));
    let due = books.due(at(1), 10);
    let expected =
        Spent { requests: 8, prompt_tokens: 112, completion_tokens: 53, tokens_today: 15, day: day_text(at(0).day()) };
    assert_eq!(due[0].spent, expected);
    books.settle(at(2), &before, &settlement(None, 1, 1));
    assert_eq!(books.due(at(5), 10), []);
    assert_eq!(books.due(at(11), 10)[0].spent.requests, 9);
}

#[test]
fn a_write_that_failed_is_made_again() {
    let mut books = Books::new(1);
    books.settle(at(0), &Spent::default(), &settlement(None, 5, 5));
    let due = books.due(at(0), 10);
    books.unwritten(&due[0]);
    let again = books.due(at(10), 10);
    assert_eq!((again[0].spent.requests, again[0].spent.prompt_tokens), (1, 5));
}

#[test]
fn what_others_own_is_handed_over() {
    let mut books = Books::new(1);
    books.settle(at(0), &Spent::default(), &settlement(None, 5, 5));
    assert_eq!(books.hand_over(|_| true, |_| true), []);
    let given = books.hand_over(|_| false, |_| true);
    assert_eq!(given[0].used.prompt_tokens, 5);
    assert_eq!(books.hand_over(|_| false, |_| true), []);
}

#[test]
fn grants_of_other_books_reserve_nothing_here() {
    let mut books = Books::new(1);
    let grant = books.admit(at(0), &key(), DAILY, &Spent::default(), 40).expect("there is room");
    let foreign = Grant { epoch: 2, ..grant };
    books.settle(at(0), &Spent::default(), &settlement(Some(foreign), 10, 0));
    // 40 reserved and 10 used.
    assert!(books.admit(at(0), &key(), DAILY, &Spent::default(), 51).is_err());
    assert!(books.admit(at(0), &key(), DAILY, &Spent::default(), 50).is_ok());
}
