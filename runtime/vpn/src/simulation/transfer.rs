//! Data through the tunnel, on good and bad networks.

use std::time::Duration;

use smoltcp::socket::tcp::State;

use super::world::World;
use crate::Limits;

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn data_goes_both_ways_and_is_counted() {
    let mut world = World::new(Limits::default());
    let client = world.join(7);
    let connection = world.connect(client);
    let bytes = world.bytes(300_000);
    world.echo(client, connection, &bytes, MINUTE);

    let snapshot = world.snapshot();
    let peer = &snapshot.peers[0];
    assert_eq!(&*peer.name, "peer-007");
    assert_eq!(peer.connections, 1);
    assert!(peer.received_bytes > 300_000 && peer.sent_bytes > 300_000, "{peer:?}");
    assert!(peer.handshake_age.unwrap() < world.now.elapsed);
    assert_eq!(peer.handshake_at, Some(super::world::EPOCH));
    assert_eq!(snapshot.totals.accepted_connections, 1);
    assert!(crate::Cause::ALL.iter().all(|cause| snapshot.totals.dropped(*cause) == 0), "{snapshot:?}");
}

#[test]
fn a_connection_ends_from_either_side_and_leaves_nothing() {
    let mut world = World::new(Limits::default());
    let client = world.join(7);
    let connection = world.connect(client);
    world.echo(client, connection, b"hello", MINUTE);
    world.clients[client].socket(connection).close();
    world.run(MINUTE, |world| world.snapshot().peers[0].connections == 0);
    assert_ne!(world.clients[client].socket(connection).state(), State::Established);
    assert_eq!(world.failed_streams, 0);
}

#[test]
fn loss_doubles_and_reordering_change_nothing_of_what_arrives() {
    let mut world = World::new(Limits::default());
    let client = world.join(7);
    (world.lost, world.doubled, world.jitter) = (3, 3, 10);
    let connection = world.connect(client);
    let bytes = world.bytes(300_000);
    world.echo(client, connection, &bytes, 10 * MINUTE);
    assert!(world.dropped(crate::Cause::Replayed) > 0, "what comes twice is a replay");
}

#[test]
fn large_bodies_never_need_a_datagram_above_the_mtu() {
    for mtu in [1420, 1280] {
        let mut world = World::new(Limits::default());
        let client = world.join(7);
        world.clients.clear();
        assert_eq!(world.stranger(7, mtu), client);
        let connection = world.connect(client);
        let bytes = world.bytes(1_000_000);
        world.echo(client, connection, &bytes, MINUTE);
        // 32 bytes of WireGuard around the packet; 28 of IPv4 and UDP make 1480.
        assert_eq!(world.largest_datagram, mtu + 32);
    }
}

#[test]
fn a_reader_who_does_not_read_stops_the_writer_and_nothing_piles_up() {
    let mut world = World::new(Limits::default());
    let client = world.join(7);
    let connection = world.connect(client);
    world.echo(client, connection, b"hello", MINUTE);
    world.serving = false;
    let mut sent = 0;
    let end = world.now.elapsed + Duration::from_secs(20);
    world.run(MINUTE, |world| {
        let socket = world.clients[client].socket(connection);
        sent += socket.send_slice(&[1; 4096]).unwrap();
        world.now.elapsed >= end
    });
    let room = Limits::default().receive_bytes + (64 << 10);
    assert!(sent <= room, "{sent} bytes were taken where {room} have room");
    world.serving = true;
    let mut back = 0;
    world.run(MINUTE, |world| {
        back += world.clients[client].socket(connection).recv(|bytes| (bytes.len(), bytes.len())).unwrap();
        back >= sent
    });
}
