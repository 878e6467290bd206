//! Who may come in, and what ends when somebody no longer may.

use std::time::Duration;

use smoltcp::socket::tcp::State;

use super::world::{EPOCH, World};
use crate::{Cause, Limits, Peer};

const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_removed_peer_loses_its_streams_at_once_and_nobody_else_does() {
    let mut world = World::new(Limits::default());
    let (gone, stays) = (world.join(7), world.join(8));
    let (ended, kept) = (world.connect(gone), world.connect(stays));
    world.echo(gone, ended, b"hello", MINUTE);
    world.echo(stays, kept, b"hello", MINUTE);
    world.peers.remove(0);
    world.endpoint.set_peers(world.now, &world.peers);
    world.run(SECOND, |world| world.failed_streams == 1 && world.clients[gone].socket(ended).state() == State::Closed);
    assert_eq!(world.snapshot().peers.len(), 1);
    world.echo(stays, kept, b"still here", MINUTE);

    let again = world.connect(gone);
    world.pass(20 * SECOND);
    assert_ne!(world.clients[gone].socket(again).state(), State::Established);
    assert!(world.dropped(Cause::NoSession) > 0);
}

#[test]
fn a_peer_expires_on_time_without_being_removed() {
    let mut world = World::new(Limits::default());
    let client = world.join(7);
    let connection = world.connect(client);
    world.echo(client, connection, b"hello", MINUTE);
    world.peers[0].expires_at = Some(EPOCH + 10);
    world.endpoint.set_peers(world.now, &world.peers);
    world.run(12 * SECOND, |world| world.failed_streams == 1);
    assert!((10..=11).contains(&(world.now.unix - EPOCH)), "{}", world.now.unix - EPOCH);
    // The list is told again as often as one likes.
    world.endpoint.set_peers(world.now, &world.peers);
    assert!(world.snapshot().peers.is_empty());
}

#[test]
fn a_peer_that_comes_back_is_let_in_again() {
    let mut world = World::new(Limits::default());
    let client = world.join(7);
    let first = world.connect(client);
    world.echo(client, first, b"hello", MINUTE);
    world.endpoint.set_peers(world.now, &[]);
    world.pass(SECOND);
    world.endpoint.set_peers(world.now, &world.peers);
    world.clients[client].rekey();
    world.pass(SECOND);
    let second = world.connect(client);
    world.echo(client, second, b"hello again", MINUTE);
}

#[test]
fn what_is_said_again_changes_nothing() {
    let mut world = World::new(Limits::default());
    let client = world.join(7);
    let connection = world.connect(client);
    for _ in 0..5 {
        world.endpoint.set_peers(world.now, &world.peers);
        world.echo(client, connection, b"hello", MINUTE);
    }
    world.peers[0].name = "renamed".into();
    world.endpoint.set_peers(world.now, &world.peers);
    world.echo(client, connection, b"hello", MINUTE);
    assert_eq!(&*world.snapshot().peers[0].name, "renamed");
    assert_eq!(world.failed_streams, 0);
}

#[test]
fn another_address_is_another_peer() {
    let mut world = World::new(Limits::default());
    let client = world.join(7);
    let connection = world.connect(client);
    world.echo(client, connection, b"hello", MINUTE);
    world.peers[0].address = "10.88.2.2".parse().unwrap();
    world.endpoint.set_peers(world.now, &world.peers);
    world.run(SECOND, |world| world.failed_streams == 1);
}

#[test]
fn peers_that_do_not_fit_are_left_out() {
    let mut world = World::new(Limits { peers: 3, ..Limits::default() });
    for number in 1..=3 {
        world.join(number);
    }
    let peers = world.peers.clone();
    let admitted = |world: &mut World, change: &dyn Fn(&mut Peer)| {
        let mut peers = peers.clone();
        change(&mut peers[1]);
        world.endpoint.set_peers(world.now, &peers);
        world.snapshot().peers.len()
    };
    assert_eq!(admitted(&mut world, &|_| {}), 3);
    assert_eq!(admitted(&mut world, &|peer| peer.address = "10.89.0.1".parse().unwrap()), 2, "outside");
    assert_eq!(admitted(&mut world, &|peer| peer.address = "10.88.0.1".parse().unwrap()), 2, "the gateway's");
    assert_eq!(admitted(&mut world, &|peer| peer.address = peers[0].address), 2, "another's address");
    assert_eq!(admitted(&mut world, &|peer| peer.public_key = peers[0].public_key), 2, "another's key");
    assert_eq!(admitted(&mut world, &|peer| peer.expires_at = Some(EPOCH)), 2, "expired");
    world.join(4);
    assert_eq!(world.snapshot().peers.len(), 3, "more than the limit");
}

#[test]
fn a_peer_that_moves_is_followed() {
    let mut world = World::new(Limits::default());
    let client = world.join(7);
    let connection = world.connect(client);
    for (host, port) in [(7, 40_000), (7, 50_000), (99, 1234)] {
        world.clients[client].outer = ([198, 51, 100, host], port).into();
        let bytes = world.bytes(50_000);
        world.echo(client, connection, &bytes, MINUTE);
    }
}
