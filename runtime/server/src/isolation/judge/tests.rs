//! The judgement as a table and over any sequence of rounds.

use alcazar_contract::isolation::TargetKind;
use proptest::prelude::*;

use super::*;

fn target(n: u8) -> Target {
    Target::tcp(TargetKind::Canary, format!("10.0.0.{n}:1"))
}

proptest! {
    #[test]
    fn only_three_blocked_rounds_in_a_row_are_a_proof(rounds in proptest::collection::vec(any::<bool>(), 0..40)) {
        let mut judge = Judge::default();
        for (n, reached) in rounds.iter().enumerate() {
            judge.round(vec![target(1)], if *reached { vec![target(1)] } else { vec![] });
            let last = &rounds[(n + 1).saturating_sub(3)..=n];
            prop_assert_eq!(judge.is_proven(), last.len() == 3 && last.iter().all(|reached| !reached));
        }
    }
}

#[test]
fn a_reached_target_is_told_after_a_moment_and_at_once_after_a_proof() {
    let (reached, mut judge) = (vec![target(1)], Judge::default());
    for _ in 1..SETTLING_ROUNDS {
        judge.round(reached.clone(), reached.clone());
        assert!(judge.told().is_empty() && !judge.is_proven());
    }
    judge.round(reached.clone(), reached.clone());
    assert_eq!(judge.told(), reached);
    let mut proven = Judge::default();
    (0..WANTED_ROUNDS).for_each(|_| proven.round(reached.clone(), Vec::new()));
    proven.round(reached.clone(), reached.clone());
    assert_eq!(proven.told(), reached);
}

#[test]
fn a_target_found_late_has_to_be_blocked_as_often_as_the_others() {
    let mut judge = Judge::default();
    judge.round(vec![target(1)], vec![]);
    judge.round(vec![target(1)], vec![]);
    judge.round(vec![target(1), target(2)], vec![]);
    assert_eq!((judge.blocked_rounds(), judge.is_proven()), (1, false), "the second target was blocked once");
    judge.round(vec![target(1), target(2)], vec![]);
    judge.round(vec![target(1), target(2)], vec![]);
    assert!(judge.is_proven());
    judge.round(vec![target(1), target(2), target(3)], vec![]);
    assert!(judge.is_proven(), "what proved once is not taken back for one more target");
    judge.round(vec![target(1)], vec![]);
    assert!(judge.is_proven());
}

#[test]
fn a_round_that_could_not_try_all_proves_nothing_and_breaks_as_any_other() {
    let mut judge = Judge::default();
    (0..9).for_each(|_| judge.partial_round(vec![target(1)], vec![]));
    assert_eq!(judge.blocked_rounds(), 0);
    (0..WANTED_ROUNDS).for_each(|_| judge.round(vec![target(1)], vec![]));
    judge.partial_round(vec![target(1)], vec![]);
    assert!(judge.is_proven(), "an address that comes later takes no proof back");
    judge.partial_round(vec![target(1)], vec![target(1)]);
    assert!(!judge.is_proven() && judge.told() == [target(1)]);
}

#[test]
fn a_round_without_targets_proves_nothing() {
    let mut judge = Judge::default();
    (0..9).for_each(|_| judge.round(Vec::new(), Vec::new()));
    assert!(!judge.is_proven());
}
