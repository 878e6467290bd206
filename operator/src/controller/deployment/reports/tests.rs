//! When pods are asked and which answers are news.

use alcazar_contract::status::Isolation;

use super::*;
use crate::controller::deployment::test_support::{isolated, not_isolated};

fn asked(ready: bool) -> Asked {
    Asked { addresses: vec!["10.1.2.3".parse().unwrap()], ready }
}

fn entry(ready: bool, now: Instant) -> Entry {
    Entry::follow(None, 1, Key::new("team-a", "assistant"), Some(asked(ready)), now)
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_loading_pod_is_asked_every_second_and_a_ready_one_every_half_minute() {
    let now = Instant::now();
    for (ready, pause) in [(false, SECOND), (true, 30 * SECOND)] {
        let mut entry = entry(ready, now);
        assert!(entry.take_turn(now).is_some(), "a new pod at once");
        assert!(entry.take_turn(now + pause).is_none(), "not while a question is under way");
        entry.hear(Some(isolated()), now);
        assert!(entry.take_turn(now + pause.mul_f64(0.9)).is_none());
        assert!(entry.take_turn(now + pause).is_some());
    }
}

#[test]
fn a_pod_that_gets_ready_is_asked_at_once() {
    let now = Instant::now();
    let mut entry = entry(false, now);
    entry.take_turn(now);
    entry.hear(Some(isolated()), now);
    let mut entry = Entry::follow(Some(entry), 2, Key::new("team-a", "assistant"), Some(asked(true)), now);
    assert!(entry.take_turn(now).is_some());
}

#[test]
fn only_what_changes_the_status_is_news() {
    let now = Instant::now();
    let mut entry = entry(true, now);
    assert!(entry.hear(Some(isolated()), now), "the first words");
    let mut later = isolated();
    later.isolation = Some(Isolation { blocked_rounds: 400, seconds_since_last_round: 9, ..Isolation::default() });
    assert!(!entry.hear(Some(later), now), "more rounds of the same");
    assert!(entry.hear(Some(not_isolated(true)), now), "a broken firewall");
    assert!(entry.hear(Some(isolated()), now), "a mended one");
    let mut stale = isolated();
    stale.isolation = Some(Isolation { blocked_rounds: 400, seconds_since_last_round: 600, ..Isolation::default() });
    assert!(entry.hear(Some(stale), now), "a proof that is none any more");
}

#[test]
fn words_fade_after_a_minute_and_a_half() {
    let (now, since) = (Instant::now(), Timestamp::UNIX_EPOCH);
    let mut entry = entry(true, now);
    assert_eq!(entry.report(since, now), Report::NotAsked { since });
    entry.hear(Some(isolated()), now);
    assert!(matches!(entry.report(since, now + 80 * SECOND), Report::Told(_)));
    assert!(!entry.hear(None, now + 60 * SECOND), "one lost answer changes nothing");
    assert!(entry.hear(None, now + 91 * SECOND), "silence is news once");
    assert!(!entry.hear(None, now + 120 * SECOND));
    assert_eq!(entry.report(since, now + 120 * SECOND), Report::Silent);
    assert!(entry.hear(Some(isolated()), now + 121 * SECOND), "and so is its end");
}

#[test]
fn a_silent_pod_is_asked_less_and_less_but_not_never() {
    let mut now = Instant::now();
    for (ready, longest) in [(false, 4 * SECOND), (true, 30 * SECOND)] {
        let mut entry = entry(ready, now);
        for _ in 0..40 {
            assert!(entry.take_turn(now).is_some());
            entry.hear(None, now);
            assert!(entry.take_turn(now + SECOND).is_none());
            now += longest;
        }
    }
}

#[test]
fn a_pod_without_an_address_is_not_asked() {
    let now = Instant::now();
    let mut entry = Entry::follow(None, 1, Key::new("team-a", "assistant"), None, now);
    assert!(entry.take_turn(now).is_none());
}

#[test]
fn a_port_that_lets_the_operator_in_is_tried_again_soon() {
    let now = Instant::now();
    let mut entry = entry(true, now);
    entry.take_turn(now);
    entry.hear(Some(isolated()), now);
    assert!(!entry.try_door(vec!["10.1.2.3:8443".parse().unwrap()], now), "once may be a moment's matter");
    assert!(entry.take_turn(now + SECOND).is_some());
    entry.hear(Some(isolated()), now + SECOND);
    assert!(entry.try_door(Vec::new(), now + SECOND), "shut is the first news");
    assert!(entry.take_turn(now + 20 * SECOND).is_none(), "and the pace is the usual one again");
}
