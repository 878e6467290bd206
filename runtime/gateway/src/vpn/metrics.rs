//! What Prometheus sees of the tunnel. Names of peers only; never an address of theirs.

use alcazar_vpn::{Cause, Snapshot};
use prometheus::{Encoder as _, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

const OF_PEER: [&str; 2] = ["namespace", "peer"];

/// Prometheus text format of one moment.
pub(crate) fn render(snapshot: &Snapshot) -> prometheus::Result<Vec<u8>> {
    let registry = Registry::new_custom(Some("alcazar_vpn".to_owned()), None)?;
    totals(snapshot, &registry)?;
    peers(snapshot, &registry)?;
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok(text)
}

fn totals(snapshot: &Snapshot, registry: &Registry) -> prometheus::Result<()> {
    let totals = &snapshot.totals;
    for (name, help, count) in [
        ("received_packets_total", "Datagrams that came.", totals.received),
        ("sent_packets_total", "Datagrams that were sent.", totals.sent),
        ("accepted_connections_total", "Connections of peers.", totals.accepted_connections),
    ] {
        let counter = IntCounter::new(name, help)?;
        counter.inc_by(count);
        registry.register(Box::new(counter))?;
    }
    let dropped = Opts::new("dropped_packets_total", "Packets that were not let through, by cause.");
    let dropped = IntCounterVec::new(dropped, &["cause"])?;
    for cause in Cause::ALL {
        dropped.with_label_values(&[cause.name()]).inc_by(totals.dropped(cause));
    }
    registry.register(Box::new(dropped))
}

/// Peers that never shook hands here have no series: another replica may have them.
fn peers(snapshot: &Snapshot, registry: &Registry) -> prometheus::Result<()> {
    let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &OF_PEER);
    let counter = |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), &OF_PEER);
    let age = gauge("peer_handshake_age_seconds", "Since peer and gateway last agreed on a session key.")?;
    let connections = gauge("peer_connections", "Open connections of a peer.")?;
    let received = counter("peer_received_bytes_total", "Bytes from a peer.")?;
    let sent = counter("peer_sent_bytes_total", "Bytes to a peer.")?;
    for peer in &snapshot.peers {
        let Some(handshake) = peer.handshake_age else { continue };
        let (namespace, name) = peer.name.split_once('/').unwrap_or(("", &peer.name));
        let labels = [namespace, name];
        age.with_label_values(&labels).set(i64::try_from(handshake.as_secs()).unwrap_or(i64::MAX));
        connections.with_label_values(&labels).set(i64::try_from(peer.connections).unwrap_or(i64::MAX));
        received.with_label_values(&labels).inc_by(peer.received_bytes);
        sent.with_label_values(&labels).inc_by(peer.sent_bytes);
    }
    registry.register(Box::new(age))?;
    registry.register(Box::new(connections))?;
    registry.register(Box::new(received))?;
    registry.register(Box::new(sent))
}
