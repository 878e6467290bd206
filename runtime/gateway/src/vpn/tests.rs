use std::{collections::HashMap, time::Duration};

use alcazar_crds::llm_vpn_peer::LlmVpnPeer;
use alcazar_vpn::{PeerSnapshot, Snapshot};
use serde_json::{Value, json};

use super::{
    TunnelError, config,
    key_file::KeyFile,
    metrics,
    peers::{Listed, Told, listed},
    status::{Written, due},
};
use crate::{key::Name, settings};

const KEYS: [&str; 2] =
    ["hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=", "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08="];

fn objects(all: &[(&str, Value)]) -> HashMap<Name, LlmVpnPeer> {
    let object = |(name, spec): &(&str, Value)| {
        let mut whole = json!({"apiVersion": "alcazar.dev/v1alpha1", "kind": "LlmVpnPeer",
            "metadata": {"name": name, "namespace": "a", "creationTimestamp": "2026-11-23T12:00:00Z"},
            "spec": {"publicKey": KEYS[0], "address": "10.88.0.7", "owner": "ana"}});
        for (key, value) in spec.as_object().into_iter().flatten() {
            let part = if key == "creationTimestamp" || key == "deletionTimestamp" { "metadata" } else { "spec" };
            whole[part][key] = value.clone();
        }
        (Name::new("a", *name), serde_json::from_value(whole).unwrap())
    };
    all.iter().map(object).collect()
}

fn names(all: &[(&str, Value)]) -> Vec<String> {
    listed(&objects(all)).into_iter().map(|listed| listed.name.name).collect()
}

#[test]
fn active_peers_come_in_the_order_they_were_made() {
    let older = json!({"publicKey": KEYS[1], "creationTimestamp": "2026-11-22T12:00:00Z"});
    assert_eq!(names(&[("ana", json!({})), ("zoe", older), ("bob", json!({}))]), ["zoe", "ana", "bob"]);
}

#[test]
fn what_is_revoked_going_or_unreadable_opens_nothing() {
    for spec in [
        json!({"state": "Revoked"}),
        json!({"deletionTimestamp": "2026-11-23T13:00:00Z"}),
        json!({"publicKey": "no key"}),
        json!({"publicKey": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}),
        json!({"address": "fd00::7"}),
    ] {
        assert!(names(&[("ana", spec.clone())]).is_empty(), "{spec}");
    }
}

#[test]
fn a_peer_carries_its_end_and_its_whole_name() {
    let all = listed(&objects(&[("ana", json!({"expiresAt": "1970-01-01T00:01:40Z"}))]));
    assert_eq!((all[0].peer.expires_at, &*all[0].peer.name), (Some(100), "a/ana"));
}

fn one(told: Told) -> Listed {
    Listed { told, ..listed(&objects(&[("ana", json!({}))])).remove(0) }
}

fn seen(handshake_at: Option<u64>, received_bytes: u64, sent_bytes: u64) -> PeerSnapshot {
    let handshake_age = handshake_at.map(|_| Duration::from_secs(7));
    PeerSnapshot { name: "a/ana".into(), handshake_age, handshake_at, received_bytes, sent_bytes, connections: 2 }
}

#[test]
fn status_is_written_when_something_changed_and_only_then() {
    let nothing = Told::default();
    assert_eq!(due(&one(nothing), Written::default(), &seen(None, 0, 0)), None, "no handshake here");
    let first = due(&one(nothing), Written::default(), &seen(Some(100), 10, 20)).unwrap();
    let told = Told { handshake_at: Some(100), received_bytes: 10, sent_bytes: 20 };
    assert_eq!(due(&one(told), first, &seen(Some(100), 10, 20)), None);
    let later = due(&one(told), first, &seen(Some(220), 10, 20)).unwrap();
    assert_eq!(
        later,
        due(&one(nothing), first, &seen(Some(220), 10, 20)).unwrap(),
        "whether the watch told of it or not"
    );
}

#[test]
fn bytes_of_replicas_add_up_and_the_holder_of_the_session_writes() {
    let told = Told { handshake_at: Some(100), received_bytes: 1000, sent_bytes: 2000 };
    assert_eq!(
        due(&one(told), Written::default(), &seen(Some(90), 5, 5)),
        None,
        "another replica has heard of it since"
    );
    let here = due(&one(told), Written::default(), &seen(Some(110), 5, 6)).unwrap();
    let patched = due(&one(told), here, &seen(Some(110), 7, 6)).unwrap();
    let expected = due(
        &one(Told { handshake_at: Some(110), received_bytes: 1005, sent_bytes: 2006 }),
        here,
        &seen(Some(110), 7, 6),
    );
    assert_eq!(Some(patched), expected);
    // Revoked and let in again: the tunnel counts from zero.
    assert!(due(&one(told), here, &seen(Some(120), 3, 3)).is_some());
}

#[test]
fn metrics_name_peers_and_causes() {
    let snapshot = Snapshot { peers: vec![seen(Some(100), 10, 20), seen(None, 0, 0)], ..Snapshot::default() };
    let text = String::from_utf8(metrics::render(&snapshot).unwrap()).unwrap();
    for line in [
        r#"alcazar_vpn_peer_handshake_age_seconds{namespace="a",peer="ana"} 7"#,
        r#"alcazar_vpn_peer_received_bytes_total{namespace="a",peer="ana"} 10"#,
        r#"alcazar_vpn_peer_sent_bytes_total{namespace="a",peer="ana"} 20"#,
        r#"alcazar_vpn_peer_connections{namespace="a",peer="ana"} 2"#,
        r#"alcazar_vpn_dropped_packets_total{cause="spoofed_source"} 0"#,
        "alcazar_vpn_received_packets_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
}

#[test]
fn settings_that_cannot_work_are_named_and_the_key_is_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("privateKey");
    let settings = |cidr: &str, address: &str| settings::Vpn {
        enabled: true,
        private_key_file: key.clone(),
        cidr: cidr.to_owned(),
        address: address.to_owned(),
        ..settings::Vpn::default()
    };
    let good = settings("10.88.0.0/16", "10.88.0.1");
    assert!(matches!(KeyFile::read(&key), Err(TunnelError::ReadKey { .. })));
    std::fs::write(&key, "QZXcanary").unwrap();
    let error = KeyFile::read(&key).err().unwrap().to_string();
    assert!(error.contains("privateKey") && !error.contains("QZXcanary"), "{error}");
    std::fs::write(&key, format!("{}\n", KEYS[0])).unwrap();
    let private_key = KeyFile::read(&key).unwrap().key().clone();
    assert!(config(&good, &private_key).unwrap().check().is_ok());
    for (cidr, address, field) in [("ten", "10.88.0.1", "vpn.cidr"), ("10.88.0.0/16", "", "vpn.address")] {
        let error = config(&settings(cidr, address), &private_key).err().unwrap().to_string();
        assert!(error.contains(field), "{error}");
    }
}

#[tokio::test]
async fn another_key_is_taken_up_and_one_that_is_no_good_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("privateKey");
    std::fs::write(&path, KEYS[0]).unwrap();
    let mut file = KeyFile::read(&path).unwrap();
    let first = file.key().public();
    let soon = Duration::from_millis(5);
    for same in [KEYS[0].to_owned(), format!("{}\n", KEYS[0]), "no key".to_owned(), String::new()] {
        std::fs::write(&path, &same).unwrap();
        assert!(tokio::time::timeout(10 * soon, file.changed(soon)).await.is_err(), "{same}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(tokio::time::timeout(10 * soon, file.changed(soon)).await.is_err());
    std::fs::write(&path, KEYS[1]).unwrap();
    file.changed(soon).await;
    assert!(file.key().public() != first);
}
