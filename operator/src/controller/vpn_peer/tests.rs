//! The pure steps over peers from YAML.

use alcazar_crds::llm_vpn_peer::{LlmVpnPeer, LlmVpnPeerStatus};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{observe::observe, status, validate::validate};
use crate::{
    bounds::tests::refusals,
    conditions::{find, is_true},
    settings::Vpn,
    store::{Store, WatchedObject},
};

const PUBLIC_KEY: &str = "mK6fxuT0Wq0f7bVYbVLxlQm1h5pJ2lVj3x0r9n5c3Vk=";
const OTHER_KEY: &str = "AAAAxuT0Wq0f7bVYbVLxlQm1h5pJ2lVj3x0r9n5c3Vk=";

fn peer(name: &str, created: u32, public_key: &str, address: &str) -> Value {
    json!({
        "apiVersion": "alcazar.dev/v1alpha1", "kind": "LlmVpnPeer",
        "metadata": {
            "name": name, "namespace": "team-a", "uid": name, "generation": 1, "resourceVersion": "7",
            "creationTimestamp": format!("2026-11-23T10:00:{created:02}Z"),
        },
        "spec": {"publicKey": public_key, "address": address, "owner": "ana"},
    })
}

fn vpn() -> Vpn {
    Vpn {
        enabled: true,
        endpoint: "vpn.example.com:51820".into(),
        cidr: "10.88.0.0/29".parse().unwrap(),
        ..Vpn::default()
    }
}

/// `(Ready, Stalled, reason, message)` of the first peer among them.
fn judge(peers: &[Value], vpn: &Vpn) -> (bool, bool, String, String) {
    let store: Store<LlmVpnPeer> = Store::default();
    for peer in peers {
        store.saw(WatchedObject::from_value(peer.clone()).unwrap());
    }
    let object: LlmVpnPeer = serde_json::from_value(peers[0].clone()).unwrap();
    let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    let observed = observe(&store, &object, vpn);
    let new: LlmVpnPeerStatus = status::compute(&object, validate(&object, vpn).err(), &observed, now);
    assert_eq!(refusals("llmvpnpeers", &new), Vec::<String>::new());
    let ready = find(&new.conditions, "Ready").unwrap();
    (
        is_true(&new.conditions, "Ready"),
        is_true(&new.conditions, "Stalled"),
        ready.reason.clone(),
        ready.message.clone(),
    )
}

#[track_caller]
fn check(peers: &[Value], vpn: &Vpn, expected: (bool, bool, &str), says: &str) {
    let (ready, stalled, reason, message) = judge(peers, vpn);
    assert_eq!((ready, stalled, reason.as_str()), expected, "{message}");
    assert!(message.contains(says), "{message}");
}

#[test]
fn says_whether_a_peer_may_connect_and_why() {
    let ours = peer("b", 5, PUBLIC_KEY, "10.88.0.2");
    check(std::slice::from_ref(&ours), &vpn(), (true, false, "Active"), "may connect");
    check(std::slice::from_ref(&ours), &Vpn::default(), (false, true, "VpnDisabled"), "gateway.vpn.enabled");
    let with = |field: &str, value: &str| {
        let mut changed = ours.clone();
        changed["spec"][field] = value.into();
        changed
    };
    check(&[with("state", "Revoked")], &Vpn::default(), (false, false, "Revoked"), "dropped");
    check(&[with("expiresAt", "2026-11-23T12:00:00Z")], &vpn(), (false, false, "Expired"), "expired at 2026-11-23T12");
    check(&[with("expiresAt", "2026-11-24T12:00:00Z")], &vpn(), (true, false, "Active"), "until 2026-11-24T12");
    for outside in ["10.89.0.1", "10.88.0.0", "10.88.0.7"] {
        check(
            &[with("address", outside)],
            &vpn(),
            (false, true, "AddressOutside"),
            "in 10.88.0.0/29; 10.88.0.2 is free",
        );
    }
    check(
        &[with("address", "10.88.0.1")],
        &vpn(),
        (false, true, "AddressInUse"),
        "is the gateway's own; 10.88.0.2 is free",
    );
    check(&[with("address", "ten")], &vpn(), (false, true, "InvalidSpec"), "must be one IPv4 address");
}

#[test]
fn the_older_peer_keeps_its_address_and_its_key() {
    let ours = peer("b", 5, PUBLIC_KEY, "10.88.0.2");
    let older = peer("z", 4, OTHER_KEY, "10.88.0.2");
    let words = "belongs to LlmVpnPeer z, which is older; 10.88.0.3 is free";
    check(&[ours.clone(), older.clone()], &vpn(), (false, true, "AddressInUse"), words);
    check(&[older, ours.clone()], &vpn(), (true, false, "Active"), "");
    // Made in the same second: the name decides.
    check(
        &[ours.clone(), peer("a", 5, PUBLIC_KEY, "10.88.0.3")],
        &vpn(),
        (false, true, "KeyInUse"),
        "LlmVpnPeer a is older",
    );
    check(&[ours.clone(), peer("c", 5, PUBLIC_KEY, "10.88.0.3")], &vpn(), (true, false, "Active"), "");
    let mut foreign = peer("a", 4, PUBLIC_KEY, "10.88.0.3");
    foreign["metadata"]["namespace"] = "team-b".into();
    check(&[ours, foreign], &vpn(), (false, true, "KeyInUse"), "an LlmVpnPeer of another namespace");
}

#[test]
fn a_full_range_is_told() {
    let mut all: Vec<Value> = (2..=6)
        .map(|host| peer(&format!("p{host}"), host, &format!("{host}{}", &OTHER_KEY[1..]), &format!("10.88.0.{host}")))
        .collect();
    all.insert(0, peer("late", 50, PUBLIC_KEY, "10.88.0.6"));
    check(&all, &vpn(), (false, true, "AddressInUse"), "the range is full");
}
