//! What is written is what is read.

use super::*;

#[test]
fn a_handover_is_stored_with_the_authority() {
    let now: Timestamp = "2026-11-24T08:00:00.5Z".parse().unwrap();
    let store = AuthorityStore::new("alcazar-system", "alcazar-operator");
    let old = Authority::for_tests(now);
    let MadeAuthority { authority, not_after } = Authority::create(now).unwrap();
    let alone = store.secret(&MadeAuthority { authority, not_after });
    let entries = |secret: &Secret| secret.data.iter().flatten().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(entries(&alone), [TLS_CRT, TLS_KEY]);
    assert!(parse(&alone, now).unwrap().handover().is_none());

    let handover = Handover::after(&old.bundle_pem(now), now);
    let made = MadeAuthority { authority: Authority::for_tests(now).after(handover.clone()), not_after };
    let mut stored = store.secret(&made);
    assert_eq!(entries(&stored), [OLDER_CRT, TLS_CRT, TLS_KEY]);
    let read = parse(&stored, now).unwrap();
    assert!(handover.is_some() && read.handover() == handover.as_ref());
    assert_eq!(read.bundle_pem(now), made.authority.bundle_pem(now));

    // Without a time nobody knows for how long: no longer.
    stored.metadata.annotations.as_mut().unwrap().remove(TOOK_OVER);
    assert!(parse(&stored, now).unwrap().handover().is_none());
}
