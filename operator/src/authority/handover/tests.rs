//! One authority after the other, day by day, as those see it who trust one bundle or the other.

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject as _};

use super::*;
use crate::authority::{Authority, KnownLeaf, Leaf, LeafNames, LeafVerdict, judge, leaf::verifies};

fn start() -> Timestamp {
    "2026-11-24T08:00:00Z".parse().unwrap()
}

fn at(day: i64) -> Timestamp {
    start() + days(day)
}

fn names() -> LeafNames {
    LeafNames::of("assistant", "team-a")
}

/// An old authority, and the one that is made when its Secret is gone.
fn change() -> (Authority, Authority) {
    let old = Authority::for_tests(at(-40));
    let new = Authority::for_tests(start()).after(Handover::after(&old.bundle_pem(start()), start()));
    (old, new)
}

fn stored(leaf: &Leaf, bundle: &str) -> KnownLeaf {
    let key = leaf.key_pem.expose().as_bytes();
    KnownLeaf::read(leaf.certificate_pem.as_bytes(), key, bundle.as_bytes()).unwrap()
}

fn trusts(bundle: &str, leaf: &Leaf, now: Timestamp) -> bool {
    let leaf = CertificateDer::from_pem_slice(leaf.certificate_pem.as_bytes()).unwrap();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_second().try_into().unwrap()));
    let mut bundle = CertificateDer::pem_slice_iter(bundle.as_bytes());
    bundle.any(|ca| verifies(&leaf, &ca.unwrap(), &names(), now))
}

#[test]
fn the_bundle_has_both_for_two_weeks() {
    let (old, new) = change();
    for (day, both) in [(0, true), (7, true), (13, true), (14, false), (400, false)] {
        let bundle = new.bundle_pem(at(day));
        let found: Vec<String> = blocks(&bundle).collect();
        assert_eq!(found.len(), if both { 2 } else { 1 }, "day {day}");
        assert_eq!((bundle.starts_with(BEGIN), found[0].as_str()), (true, new.certificate_pem()));
        assert_eq!(found.get(1).map(String::as_str), both.then_some(old.certificate_pem()));
    }
}

#[test]
fn leaves_stay_for_a_week_and_only_their_bundle_changes() {
    let (old, new) = change();
    let leaf = old.issue(&names(), at(-40)).unwrap();
    let judged = |bundle: &str, day: i64| judge(Some(&stored(&leaf, bundle)), &new, &names(), at(day));
    let (before, both) = (old.bundle_pem(start()), new.bundle_pem(start()));
    assert_eq!(judged(&before, 0), LeafVerdict::StaleBundle);
    assert_eq!(judged(&both, 0), LeafVerdict::Keep);
    assert_eq!(judged(&both, 6), LeafVerdict::Keep);
    assert_eq!(judged(&both, 7), LeafVerdict::Due);
    let other = LeafNames::of("assistant", "team-b");
    assert_eq!(judge(Some(&stored(&leaf, &both)), &new, &other, start()), LeafVerdict::WrongNames);
    let renewed = new.issue(&names(), at(7)).unwrap();
    let judged = |bundle: &str, day: i64| judge(Some(&stored(&renewed, bundle)), &new, &names(), at(day));
    assert_eq!(judged(&both, 13), LeafVerdict::Keep);
    assert_eq!(judged(&both, 14), LeafVerdict::StaleBundle, "the old one goes, and no pod is restarted for it");
    assert_eq!(judged(&new.bundle_pem(at(14)), 14), LeafVerdict::Keep);
}

/// With a leaf that would have been due on the day after, and with one that is due by itself.
#[test]
fn a_leaf_about_to_be_due_waits_for_the_others() {
    let old = Authority::for_tests(at(-80));
    let new = Authority::for_tests(start()).after(Handover::after(&old.bundle_pem(start()), start()));
    let (nearly, long_due) = (old.issue(&names(), at(-59)).unwrap(), old.issue(&names(), at(-80)).unwrap());
    let both = new.bundle_pem(start());
    let judged = |leaf: &Leaf, day: i64| judge(Some(&stored(leaf, &both)), &new, &names(), at(day));
    assert_eq!((judged(&nearly, 1), judged(&nearly, 6)), (LeafVerdict::Keep, LeafVerdict::Keep));
    assert_eq!(judged(&long_due, 0), LeafVerdict::Due);
}

/// What each side holds on each day, and whether they still understand each other.
#[test]
fn whoever_takes_the_bundle_within_a_week_loses_no_request() {
    let (old, new) = change();
    let old_leaf = old.issue(&names(), at(-40)).unwrap();
    let new_leaf = new.issue(&names(), at(7)).unwrap();
    let (before, both) = (old.bundle_pem(start()), new.bundle_pem(start()));
    for day in 0..7 {
        assert!(trusts(&before, &old_leaf, at(day)) && trusts(&both, &old_leaf, at(day)), "day {day}");
    }
    // The leaves change one after the other, at both ends.
    for leaf in [&old_leaf, &new_leaf] {
        assert!(trusts(&both, leaf, at(7)));
    }
    assert!(!trusts(&before, &new_leaf, at(7)), "who did not take it");
    assert!(trusts(&new.bundle_pem(at(14)), &new_leaf, at(14)) && !trusts(&new.bundle_pem(at(14)), &old_leaf, at(14)));
}

#[test]
fn authorities_that_change_again_and_again_are_all_kept_for_a_time() {
    let mut bundle = Authority::for_tests(start()).bundle_pem(start());
    for day in 1..6 {
        let next = Authority::for_tests(at(day)).after(Handover::after(&bundle, at(day)));
        bundle = next.bundle_pem(at(day));
        let expected = usize::try_from(day).unwrap().min(MAX_OLDER) + 1;
        assert_eq!(blocks(&bundle).count(), expected, "day {day}");
    }
}

/// A renewal keeps the key, so it is no other authority.
#[test]
fn a_renewal_goes_on_with_the_handover() {
    let (old, new) = change();
    let renewed = new.renew(at(3)).unwrap().authority;
    assert!(renewed.bundle_pem(at(3)).ends_with(old.certificate_pem()));
    let leaf = old.issue(&names(), at(-40)).unwrap();
    let known = stored(&leaf, &renewed.bundle_pem(at(3)));
    assert_eq!(judge(Some(&known), &renewed, &names(), at(3)), LeafVerdict::Keep);
    assert_eq!(renewed.handover().map(Handover::since), Some(start()));
}

#[test]
fn what_is_no_certificate_of_ours_is_not_trusted() {
    for bundle in ["", "no PEM", BEGIN, END, &format!("{BEGIN}\nAAAA\n{END}\n"), &format!("{END}\n{BEGIN}")] {
        assert_eq!(Handover::after(bundle, start()), None, "{bundle}");
    }
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let foreign =
        rcgen::CertificateParams::new(vec!["ca.example".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    assert_eq!(Handover::after(&foreign, start()), None);
    let ours = Authority::for_tests(start());
    let mixed = format!("# a note\n{foreign}\n{}", ours.certificate_pem());
    let handover = Handover::after(&mixed, start() + SignedDuration::from_millis(1)).unwrap();
    assert_eq!((handover.pem().as_str(), handover.since()), (ours.certificate_pem(), start()));
}
