//! The authority against the library that clients verify with, and the table of what makes a leaf due.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject};

use super::{
    Authority, KnownLeaf, Leaf, LeafNames, LeafVerdict, ca, days, judge,
    leaf::{carries, verifies},
};

fn now() -> Timestamp {
    "2026-11-23T08:00:00Z".parse().unwrap()
}

fn unix(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(at.as_second().try_into().unwrap()))
}

fn names() -> LeafNames {
    LeafNames::of("assistant", "team-a")
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn known(leaf: &Leaf, authority: &Authority) -> KnownLeaf {
    let key = leaf.key_pem.expose().as_bytes();
    KnownLeaf::read(leaf.certificate_pem.as_bytes(), key, authority.certificate_pem().as_bytes()).unwrap()
}

#[test]
fn a_leaf_verifies_against_its_authority_for_every_name() {
    let authority = Authority::create(now()).unwrap().authority;
    let leaf = der(&authority.issue(&names(), now()).unwrap().certificate_pem);
    assert!(verifies(&leaf, authority.certificate(), &names(), unix(now())));
    assert!(carries(&leaf, &names()));
    assert!(!carries(&leaf, &LeafNames::of("other", "team-a")));
    assert!(!carries(&leaf, &LeafNames::of("assistant", "team-b")));
}

#[test]
fn only_the_gateways_leaf_is_a_clients() {
    let authority = Authority::create(now()).unwrap().authority;
    let client = LeafNames::of_gateway_client();
    let issue = |names: &LeafNames| der(&authority.issue(names, now()).unwrap().certificate_pem);
    let public = LeafNames::of_gateway("alcazar-system", ["models.example.com".to_owned(), "10.88.0.1".to_owned()]);
    assert!(verifies(&issue(&client), authority.certificate(), &client, unix(now())));
    assert!(carries(&issue(&client), &client));
    for server in [names(), public.clone()] {
        let leaf = issue(&server);
        assert!(verifies(&leaf, authority.certificate(), &server, unix(now())) && carries(&leaf, &server));
        assert!(!verifies(&leaf, authority.certificate(), &client, unix(now())), "no client certificate");
        assert!(!carries(&leaf, &client) || server == public, "a model pod is not the gateway");
    }
    let wider = LeafNames::of_gateway("alcazar-system", ["2001:db8::7".to_owned()]);
    assert!(!carries(&issue(&public), &wider), "a further name asks for a new certificate");
    let known = known(&authority.issue(&names(), now()).unwrap(), &authority);
    assert_eq!(judge(Some(&known), &authority, &client, now()), LeafVerdict::Due);
}

#[test]
fn a_leaf_is_valid_for_ninety_days_and_from_an_hour_ago() {
    let authority = Authority::create(now()).unwrap().authority;
    let issued = authority.issue(&names(), now()).unwrap();
    let leaf = der(&issued.certificate_pem);
    let valid = |at: Timestamp| verifies(&leaf, authority.certificate(), &names(), unix(at));
    assert_eq!(issued.not_after, now() + days(90));
    assert!(valid(now() - SignedDuration::from_mins(59)));
    assert!(!valid(now() - SignedDuration::from_mins(61)));
    assert!(valid(now() + days(90) - SignedDuration::from_secs(1)));
    assert!(!valid(now() + days(90) + SignedDuration::from_secs(1)));
}

#[test]
fn a_rustls_client_that_trusts_the_bundle_completes_a_handshake() {
    let authority = Authority::create(now()).unwrap().authority;
    let issued = authority.issue(&names(), Timestamp::now()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.certificate().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der(&issued.certificate_pem)], key)
        .unwrap();
    let name = "10-1-2-3.assistant-pods.team-a.svc".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = rustls::ServerConnection::new(Arc::new(server)).unwrap();
    for _ in 0..4 {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().unwrap();
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
}

#[test]
fn an_authority_reads_back_and_goes_on_signing() {
    let made = Authority::create(now()).unwrap().authority;
    let read = Authority::read(made.certificate_pem(), made.key_pem().expose(), now()).unwrap();
    let leaf = der(&read.issue(&names(), now()).unwrap().certificate_pem);
    assert!(verifies(&leaf, made.certificate(), &names(), unix(now())));
    assert_eq!(read.fingerprint(), made.fingerprint());
}

#[test]
fn a_renewed_authority_accepts_the_old_leaves_and_the_other_way_round() {
    let old = Authority::create(now()).unwrap();
    let later = now() + days(9 * 365);
    assert!(!ca::is_due(Some(old.not_after), now()));
    assert!(ca::is_due(Some(old.not_after), later + days(20)));
    assert!(ca::is_due(None, now()));
    let new = old.authority.renew(later).unwrap().authority;
    assert_ne!(new.fingerprint(), old.authority.fingerprint());
    let leaf = der(&old.authority.issue(&names(), later).unwrap().certificate_pem);
    assert!(verifies(&leaf, new.certificate(), &names(), unix(later)));
    let leaf = der(&new.issue(&names(), later).unwrap().certificate_pem);
    assert!(verifies(&leaf, old.authority.certificate(), &names(), unix(later)));
}

#[test]
fn a_damaged_authority_is_refused_with_its_cause() {
    let one = Authority::create(now()).unwrap().authority;
    let other = Authority::create(now()).unwrap().authority;
    let mixed = Authority::read(one.certificate_pem(), other.key_pem().expose(), now()).unwrap_err();
    assert!(mixed.to_string().contains("does not verify"), "{mixed}");
    let no_key = Authority::read(one.certificate_pem(), "not a key", now()).unwrap_err();
    assert!(no_key.to_string().contains("private key"), "{no_key}");
    let no_certificate = Authority::read("", one.key_pem().expose(), now()).unwrap_err();
    assert!(no_certificate.to_string().contains("certificate"), "{no_certificate}");
}

#[test]
fn rotation_table() {
    let authority = Authority::create(now()).unwrap().authority;
    let renewed = authority.renew(now()).unwrap().authority;
    let foreign = Authority::create(now()).unwrap().authority;
    let leaf = authority.issue(&names(), now()).unwrap();
    let known = known(&leaf, &authority);
    let elsewhere = LeafNames::of("assistant", "team-b");
    let at = |after: SignedDuration| now() + after;
    let table = [
        ("no leaf", None, &authority, &names(), now(), LeafVerdict::Missing),
        ("fresh", Some(&known), &authority, &names(), now(), LeafVerdict::Keep),
        ("a day before two thirds", Some(&known), &authority, &names(), at(days(59)), LeafVerdict::Keep),
        ("after two thirds", Some(&known), &authority, &names(), at(days(61)), LeafVerdict::Due),
        ("long ended", Some(&known), &authority, &names(), at(days(900)), LeafVerdict::Due),
        ("another authority", Some(&known), &foreign, &names(), now(), LeafVerdict::Due),
        ("other names", Some(&known), &authority, &elsewhere, now(), LeafVerdict::WrongNames),
        ("renewed authority", Some(&known), &renewed, &names(), now(), LeafVerdict::StaleBundle),
    ];
    for (case, known, authority, names, at, verdict) in table {
        assert_eq!(judge(known, authority, names, at), verdict, "{case}");
    }
}

#[test]
fn a_stored_leaf_with_a_foreign_key_counts_as_none() {
    let authority = Authority::create(now()).unwrap().authority;
    let one = authority.issue(&names(), now()).unwrap();
    let other = authority.issue(&names(), now()).unwrap();
    let ca = authority.certificate_pem().as_bytes();
    let certificate = one.certificate_pem.as_bytes();
    assert!(KnownLeaf::read(certificate, one.key_pem.expose().as_bytes(), ca).is_some());
    assert!(KnownLeaf::read(certificate, other.key_pem.expose().as_bytes(), ca).is_none());
    assert!(KnownLeaf::read(certificate, b"", ca).is_none());
    assert!(KnownLeaf::read(b"<html>", one.key_pem.expose().as_bytes(), ca).is_none());
}

#[test]
fn no_private_key_shows_in_debug_output() {
    let made = Authority::create(now()).unwrap();
    let leaf = made.authority.issue(&names(), now()).unwrap();
    for (key, shown) in
        [(made.authority.key_pem().expose(), format!("{made:?}")), (leaf.key_pem.expose(), format!("{leaf:?}"))]
    {
        let body = key.lines().nth(1).unwrap();
        assert!(!shown.contains("PRIVATE KEY") && !shown.contains(body), "{shown}");
    }
}
