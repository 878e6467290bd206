//! Many peers, and peers that want too much.

use std::time::Duration;

use smoltcp::socket::tcp::State;

use super::{client::GATEWAY, world::World};
use crate::{Cause, Limits};

const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn fifty_peers_at_once_each_get_their_own_bytes() {
    let mut world = World::new(Limits::default());
    let clients: Vec<usize> = (1..=50).map(|number| world.join(number)).collect();
    let connections: Vec<_> = clients.iter().map(|client| world.connect(*client)).collect();
    let expected: Vec<Vec<u8>> = clients.iter().map(|_| world.bytes(20_000)).collect();
    let mut sent = vec![0; clients.len()];
    let mut back = vec![Vec::new(); clients.len()];
    world.run(MINUTE, |world| {
        for (place, client) in clients.iter().enumerate() {
            let socket = world.clients[*client].socket(connections[place]);
            if socket.may_send() {
                sent[place] += socket.send_slice(&expected[place][sent[place]..]).unwrap();
            }
            while let Ok(bytes @ [_, ..]) = socket.recv(|bytes| (bytes.len(), bytes.to_vec())).as_deref() {
                back[place].extend_from_slice(bytes);
            }
        }
        back.iter().zip(&expected).all(|(back, expected)| back.len() >= expected.len())
    });
    assert!(back == expected);
    assert_eq!(world.snapshot().totals.accepted_connections, 50);
}

/// SYNs with right checksums and nothing after them.
fn open_and_never_finish(world: &mut World, client: usize, count: usize) {
    for _ in 0..count {
        let handle = world.connect(client);
        world.clients[client].poll(world.now.elapsed);
        // The client forgets it: the answer meets a closed socket, which would reset it; so the wire is cut after the SYN.
        world.clients[client].forget(handle);
    }
}

#[test]
fn half_open_connections_of_one_peer_starve_nobody() {
    let limits = Limits { half_open_per_peer: 4, ..Limits::default() };
    let mut world = World::new(limits);
    let (greedy, honest) = (world.join(7), world.join(8));
    let first = world.connect(greedy);
    world.echo(greedy, first, b"hello", MINUTE);
    world.clients[greedy].deaf = true;
    open_and_never_finish(&mut world, greedy, 100);
    world.pass(SECOND);
    assert_eq!(world.snapshot().peers[0].connections, 1 + 4);
    assert_eq!(world.dropped(Cause::TooManyConnections), 96);
    let connection = world.connect(honest);
    world.echo(honest, connection, b"hello", SECOND);
    // They end by themselves.
    world.pass(25 * SECOND);
    assert_eq!(world.snapshot().peers[0].connections, 1);
}

#[test]
fn connections_are_bounded_for_each_and_for_all() {
    let limits = Limits { connections: 5, connections_per_peer: 3, ..Limits::default() };
    let mut world = World::new(limits);
    let clients = [world.join(7), world.join(8)];
    let mut handles = Vec::new();
    for client in clients {
        for _ in 0..4 {
            handles.push((client, world.connect(client)));
            world.pass(Duration::from_millis(200));
        }
    }
    let open =
        handles.iter().filter(|(client, handle)| world.clients[*client].socket(*handle).state() == State::Established);
    assert_eq!(open.count(), 5);
    let held: Vec<_> = world.snapshot().peers.iter().map(|peer| peer.connections).collect();
    assert_eq!(held, [3, 2]);
    // A place that becomes free is taken by whoever still asks.
    world.clients[clients[0]].socket(handles[0].1).close();
    let end = world.now.elapsed + 30 * SECOND;
    world.run(MINUTE, |world| world.now.elapsed >= end || world.snapshot().totals.accepted_connections == 6);
    assert_eq!(world.snapshot().totals.accepted_connections, 6);
}

#[test]
fn ports_can_be_used_again_and_again() {
    let mut world = World::new(Limits { connections_per_peer: 2, ..Limits::default() });
    let client = world.join(7);
    for _ in 0..20 {
        let connection = world.connect_to(client, GATEWAY, 443);
        world.echo(client, connection, b"hello", MINUTE);
        world.clients[client].socket(connection).close();
        world.pass(Duration::from_millis(100));
    }
    assert_eq!(world.snapshot().totals.accepted_connections, 20);
    assert_eq!(world.dropped(Cause::TooManyConnections), 0);
}
