use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn ready(status: Truth, reason: &'static str) -> Desired {
    Desired::new("Ready", status, reason, "m")
}

#[test]
fn the_time_moves_with_the_status_only() {
    let first = merge(&[], vec![ready(Truth::False, "Pending")], 1, at(100));
    assert_eq!(first[0].last_transition_time, Time(at(100)));
    let second = merge(&first, vec![ready(Truth::False, "Fetching")], 2, at(200));
    assert_eq!(second[0].last_transition_time, Time(at(100)));
    assert_eq!((second[0].reason.as_str(), second[0].observed_generation), ("Fetching", Some(2)));
    let third = merge(&second, vec![ready(Truth::True, "Sealed")], 2, at(300));
    assert_eq!(third[0].last_transition_time, Time(at(300)));
}

#[test]
fn abnormal_conditions_are_there_while_true_only() {
    let both = |stalled: bool| {
        vec![
            ready(Truth::False, "X"),
            Desired::new("Stalled", stalled, "X", ""),
            Desired::new("Reconciling", !stalled, "X", ""),
        ]
    };
    let types = |conditions: &[Condition]| conditions.iter().map(|c| c.type_.clone()).collect::<Vec<_>>();
    let first = merge(&[], both(true), 1, at(1));
    assert_eq!(types(&first), ["Ready", "Stalled"]);
    let second = merge(&first, both(false), 1, at(2));
    assert_eq!(types(&second), ["Ready", "Reconciling"]);
    let third = merge(&second, vec![ready(Truth::True, "X")], 1, at(3));
    assert_eq!(types(&third), ["Ready"], "not mentioned is not true");
}

#[test]
fn conditions_of_others_stay() {
    let mut old = merge(&[], vec![ready(Truth::True, "X")], 1, at(1));
    old.push(Condition { type_: "example.com/Audited".into(), ..old[0].clone() });
    let new = merge(&old, vec![ready(Truth::True, "X")], 1, at(2));
    assert_eq!(new, old);
}

#[test]
fn transitions() {
    let state = |status, reason, stalled: bool| {
        let mut all = vec![ready(status, reason)];
        if stalled {
            all.push(Desired::new("Stalled", true, reason, "m"));
        }
        merge(&[], all, 1, at(1))
    };
    let told = |old: &[Condition], new: &[Condition]| transition(old, new).map(|t| (t.warning, t.reason));
    let pending = state(Truth::False, "Pending", false);
    let sealed = state(Truth::True, "Sealed", false);
    let missing = state(Truth::False, "SecretMissing", true);
    let unschedulable = state(Truth::False, "Unschedulable", false);
    for (case, old, new, expected) in [
        ("a first visit", &[][..], &pending[..], None),
        ("progress", &pending, &state(Truth::False, "Fetching", false), None),
        ("ready", &pending, &sealed, Some((false, "Sealed"))),
        ("still ready", &sealed, &sealed, None),
        ("lost", &sealed, &pending, Some((true, "Pending"))),
        ("stalled", &pending, &missing, Some((true, "SecretMissing"))),
        ("still stalled", &missing, &missing, None),
        ("a cause that may pass", &pending, &unschedulable, Some((true, "Unschedulable"))),
        ("the same cause", &unschedulable, &unschedulable, None),
        ("mended, at work again", &missing, &pending, None),
    ] {
        assert_eq!(
            told(old, new),
            expected.map(|(warning, reason): (bool, &str)| (warning, reason.to_owned())),
            "{case}"
        );
    }
}

#[test]
fn a_message_is_clipped_at_a_character() {
    let long = "ä".repeat(20_000);
    let merged = merge(&[], vec![Desired::new("Ready", true, "X", long)], 1, at(1));
    assert!(merged[0].message.len() <= MESSAGE_LENGTH && merged[0].message.ends_with('ä'));
}

fn any_desired() -> impl Strategy<Value = Vec<Desired>> {
    let truth = prop_oneof![Just(Truth::True), Just(Truth::False), Just(Truth::Unknown)];
    let one = (truth, prop_oneof![Just("A"), Just("B")], "[a-z]{0,4}");
    let types = ["Ready", "Reconciling", "Stalled", "Sealed"];
    proptest::collection::vec(one, types.len()).prop_map(move |all| {
        let named = types.into_iter().zip(all);
        named.map(|(type_, (status, reason, message))| Desired::new(type_, status, reason, message)).collect()
    })
}

proptest! {
    /// A second merge of the same, later, changes nothing: no write follows a write.
    #[test]
    fn is_a_fixed_point(before in any_desired(), now in any_desired()) {
        let old = merge(&[], before, 1, at(1));
        let once = merge(&old, now.clone(), 2, at(2));
        prop_assert_eq!(&merge(&once, now.clone(), 2, at(999)), &once);
        for condition in &once {
            let was = old.iter().find(|old| old.type_ == condition.type_);
            let moved = was.is_none_or(|was| was.status != condition.status);
            prop_assert_eq!(condition.last_transition_time == Time(at(2)), moved);
            prop_assert!(condition.status == "True" || !ABNORMAL_TRUE.contains(&condition.type_.as_str()));
        }
    }
}
