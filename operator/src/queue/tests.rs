use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Lane, Queue};

#[test]
fn a_key_waits_once_and_at_the_earliest_moment() {
    let start = Instant::now();
    let later = start + Duration::from_secs(5);
    let mut queue = Queue::default();
    queue.push("a", Lane::Normal, later);
    queue.push("a", Lane::Normal, start);
    queue.push("a", Lane::Normal, later);
    assert_eq!(queue.waiting(), 1);
    assert_eq!(queue.next_due(), Some(start));
    assert_eq!(queue.pop(start), Some("a"));
    assert_eq!(queue.pop(later), None);
}

#[test]
fn a_running_key_runs_again_only_after_it_is_done() {
    let now = Instant::now();
    let mut queue = Queue::default();
    queue.push("a", Lane::Normal, now);
    assert_eq!(queue.pop(now), Some("a"));
    queue.push("a", Lane::Normal, now);
    assert_eq!(queue.pop(now), None);
    queue.done(&"a");
    assert_eq!(queue.pop(now), Some("a"));
}

#[test]
fn new_objects_go_before_all_others() {
    let now = Instant::now();
    let mut queue = Queue::default();
    for name in ["a", "b", "c"] {
        queue.push(name, Lane::Normal, now);
    }
    queue.push("new", Lane::First, now);
    assert_eq!(queue.pop(now), Some("new"));
    assert_eq!(queue.pop(now), Some("a"));
}

#[test]
fn a_delayed_key_of_the_first_lane_does_not_hold_up_the_others() {
    let now = Instant::now();
    let mut queue = Queue::default();
    queue.push("new", Lane::First, now + Duration::from_secs(1));
    queue.push("old", Lane::Normal, now);
    assert_eq!(queue.pop(now), Some("old"));
    assert_eq!(queue.next_due(), Some(now + Duration::from_secs(1)));
}

#[derive(Clone, Debug)]
enum Act {
    Push(u8, bool, u64),
    Pop(u64),
    Done,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..6u8, any::<bool>(), 0..50u64).prop_map(|(key, first, at)| Act::Push(key, first, at)),
        (0..60u64).prop_map(Act::Pop),
        Just(Act::Done),
    ]
}

proptest! {
    /// Whatever happens: nothing runs twice at a time, and whatever was woken gets its turn in the end.
    #[test]
    fn nothing_is_lost_and_nothing_runs_twice(acts in proptest::collection::vec(act(), 0..200)) {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let mut queue = Queue::default();
        let mut running: Vec<u8> = Vec::new();
        let mut owed = std::collections::BTreeSet::new();
        for act in acts {
            match act {
                Act::Push(key, first, millis) => {
                    queue.push(key, if first { Lane::First } else { Lane::Normal }, at(millis));
                    owed.insert(key);
                }
                Act::Pop(millis) => if let Some(key) = queue.pop(at(millis)) {
                    prop_assert!(!running.contains(&key));
                    running.push(key);
                    owed.remove(&key);
                },
                Act::Done => if let Some(key) = running.pop() {
                    queue.done(&key);
                },
            }
        }
        for key in running {
            queue.done(&key);
        }
        while let Some(key) = queue.pop(at(1000)) {
            owed.remove(&key);
            queue.done(&key);
        }
        prop_assert!(owed.is_empty());
        prop_assert_eq!(queue.waiting(), 0);
        prop_assert_eq!(queue.running(), 0);
    }
}
