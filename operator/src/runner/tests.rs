use super::*;

fn key(lane: &str, n: usize) -> Key {
    Key::new("team", format!("{lane}-{n}"))
}

fn taken(busy: &mut Busy, queue: &mut Queue<Key>, now: Instant) -> [usize; 2] {
    let mut count = [0, 0];
    while let Some((_, lane)) = busy.take(queue, now) {
        count[usize::from(lane == Lane::Normal)] += 1;
    }
    count
}

#[test]
fn first_visits_keep_other_passes_back_and_do_not_stop_them() {
    let (mut queue, mut busy, now) = (Queue::default(), Busy::default(), Instant::now());
    for n in 0..100 {
        queue.push(key("normal", n), Lane::Normal, now);
        queue.push(key("first", n), Lane::First, now);
    }
    assert_eq!(taken(&mut busy, &mut queue, now), [FIRST_VISITS_AT_A_TIME, 0]);
    let later = now + LONGEST_HOLD;
    assert_eq!(busy.wakes(&queue, now), Some(later), "what is kept back needs no event to go on");
    assert_eq!(taken(&mut busy, &mut queue, later), [0, PASSES_BESIDE_FIRST_VISITS]);
    assert_eq!(busy.wakes(&queue, later), None, "no timer runs for what must wait anyway");
    while queue.pop_lane(Lane::First, now).is_some() {}
    (0..FIRST_VISITS_AT_A_TIME).for_each(|_| busy.release(Lane::First));
    assert_eq!(taken(&mut busy, &mut queue, now), [0, PASSES_AT_A_TIME - PASSES_BESIDE_FIRST_VISITS]);
    assert_eq!(busy.wakes(&queue, now), None);
    busy.release(Lane::Normal);
    assert_eq!(busy.wakes(&queue, now), queue.next_due());
}
