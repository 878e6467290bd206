use super::*;

fn key(lane: &str, n: usize) -> Key {
    Key::new("team", format!("{lane}-{n}"))
}

#[test]
fn first_visits_keep_other_passes_back_and_do_not_stop_them() {
    let (mut queue, mut busy, now) = (Queue::default(), Busy::default(), Instant::now());
    for n in 0..100 {
        queue.push(key("normal", n), Lane::Normal, now);
        queue.push(key("first", n), Lane::First, now);
    }
    let mut running = Vec::new();
    while let Some((_, lane)) = busy.take(&mut queue) {
        running.push(lane);
    }
    let of = |running: &[Lane], wanted| running.iter().filter(|lane| **lane == wanted).count();
    assert_eq!(of(&running, Lane::First), FIRST_VISITS_AT_A_TIME);
    assert_eq!(of(&running, Lane::Normal), PASSES_BESIDE_FIRST_VISITS);
    assert!(busy.is_full(), "no timer runs for what must wait anyway");
    for n in 0..100 {
        queue.done(&key("first", n));
    }
    while queue.pop_lane(Lane::First, Instant::now()).is_some() {}
    for _ in 0..FIRST_VISITS_AT_A_TIME {
        busy.release(Lane::First);
    }
    assert!(!busy.is_full());
    while let Some((_, lane)) = busy.take(&mut queue) {
        running.push(lane);
    }
    assert_eq!(of(&running, Lane::Normal), PASSES_AT_A_TIME);
}
