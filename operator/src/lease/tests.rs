use super::*;

fn spec(holder: Option<&str>, renewed: i64) -> LeaseSpec {
    LeaseSpec {
        holder_identity: holder.map(str::to_owned),
        lease_duration_seconds: Some(6),
        renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
        ..LeaseSpec::default()
    }
}

fn me() -> Identity {
    Identity { pod: Some(Pod { name: "pod-1".into(), uid: "u1".into() }), process: "7".into() }
}

#[test]
fn decisions() {
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let seen = |holder| Seen::update(None, &spec(holder, 100), start);
    for (case, seen, now, expected) in [
        ("there is no Lease", None, start, Decision::Take),
        ("it was never held", Some(seen(None)), start, Decision::Take),
        ("it was released", Some(seen(Some(""))), start, Decision::Take),
        ("it is ours", Some(seen(Some("pod-1_u1_7"))), start, Decision::Renew),
        ("it is ours and ran out, and nobody took it", Some(seen(Some("pod-1_u1_7"))), after(60), Decision::Renew),
        ("an earlier process of this pod holds it", Some(seen(Some("pod-1_u1_3"))), start, Decision::Take),
        ("a pod with a longer name holds it", Some(seen(Some("pod-12_u1_3"))), start, Decision::Wait),
        ("another pod of the same name holds it", Some(seen(Some("pod-1_u2_3"))), start, Decision::Wait),
        ("another holds it", Some(seen(Some("other"))), start, Decision::Wait),
        ("another holds it, just about", Some(seen(Some("other"))), after(6), Decision::Wait),
        ("another has been silent for too long", Some(seen(Some("other"))), after(7), Decision::Take),
    ] {
        assert_eq!(decide(&me(), seen.as_ref(), now), expected, "{case}");
    }
}

#[test]
fn a_renewal_counts_from_when_it_was_seen_whatever_the_other_clock_says() {
    let start = Instant::now();
    let later = start + Duration::from_secs(5);
    let first = Seen::update(None, &spec(Some("other"), 100), start);
    let same = Seen::update(Some(&first), &spec(Some("other"), 100), later);
    assert_eq!(same.since, start, "nothing new: the time goes on");
    // The other clock may even have jumped back: a change is a sign of life.
    let renewed = Seen::update(Some(&same), &spec(Some("other"), 50), later);
    assert_eq!(renewed.since, later);
    assert_eq!(decide(&me(), Some(&renewed), later + Duration::from_secs(6)), Decision::Wait);
}

#[test]
fn taking_counts_a_transition_and_renewing_does_not() {
    let now = Timestamp::from_second(200).unwrap();
    let held =
        Lease { spec: Some(LeaseSpec { lease_transitions: Some(3), ..spec(Some("other"), 100) }), ..Lease::default() };
    let taken = claim("pod-1_u1_7", Some(held), Decision::Take, now).spec.unwrap();
    assert_eq!((taken.lease_transitions, taken.acquire_time.clone()), (Some(4), Some(MicroTime(now))));
    let renewed =
        claim("pod-1_u1_7", Some(Lease { spec: Some(taken), ..Lease::default() }), Decision::Renew, now).spec.unwrap();
    assert_eq!(renewed.lease_transitions, Some(4));
    assert_eq!(renewed.holder_identity.as_deref(), Some("pod-1_u1_7"));
}

#[test]
fn the_holder_gives_up_before_the_others_may_begin() {
    assert!(GIVE_UP + PERIOD < DURATION);
    assert!(PERIOD + CALL + PERIOD < GIVE_UP, "one call that gets no answer does not lose it");
}

#[test]
fn without_a_pod_name_nobody_is_a_predecessor() {
    let nameless = Identity { pod: None, process: "7".into() };
    let start = Instant::now();
    let seen = Seen::update(None, &spec(Some("_3"), 100), start);
    assert_eq!(decide(&nameless, Some(&seen), start), Decision::Wait);
}
