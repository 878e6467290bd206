//! Many peers, and peers that want too much.

use std::{
    task::{Context, Waker},
    time::Duration,
};

use smoltcp::{iface::SocketHandle, socket::tcp::State};

use super::{client::GATEWAY, world::World};
use crate::{Cause, Limits, Outgoing, StreamId};

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

/// Writes all that there is room for, lets it go, and says in which order: the peer's place, and how many datagrams.
fn turns(world: &mut World, streams: &[(usize, StreamId)]) -> Vec<(usize, usize)> {
    let (bytes, mut context) = (vec![1; 100 << 10], Context::from_waker(Waker::noop()));
    let (mut turns, mut outgoing) = (Vec::<(usize, usize)>::new(), Outgoing::default());
    loop {
        for (_, id) in streams {
            let _ = world.endpoint.write(*id, &bytes, &mut context);
        }
        world.endpoint.poll(world.now);
        world.endpoint.swap_outgoing(&mut outgoing);
        if outgoing.is_empty() {
            return turns;
        }
        for (to, _) in outgoing.iter() {
            let place = world.clients.iter().position(|client| client.outer == to).unwrap();
            match turns.last_mut() {
                Some((last, count)) if *last == place => *count += 1,
                _ => turns.push((place, 1)),
            }
        }
    }
}

/// Sends to every connection until the windows of all are open, and then waits until nothing is on its way.
fn open_windows(world: &mut World, connections: &[(usize, SocketHandle)]) -> Vec<(usize, StreamId)> {
    let (mut streams, mut context) = (Vec::new(), Context::from_waker(Waker::noop()));
    let (mut received, mut quiet) = (vec![0; connections.len()], 0);
    world.run(MINUTE, |world| {
        while let Some(accepted) = world.endpoint.accept() {
            let place = world.clients.iter().position(|client| client.address == *accepted.remote.ip()).unwrap();
            streams.push((place, accepted.id));
        }
        let open = received.iter().all(|bytes| *bytes > 200_000);
        for (_, id) in streams.iter().filter(|_| !open) {
            let _ = world.endpoint.write(*id, &[1; 16 << 10], &mut context);
        }
        quiet += 1;
        for (place, (client, handle)) in connections.iter().enumerate() {
            while let Ok(bytes @ 1..) = world.clients[*client].socket(*handle).recv(|bytes| (bytes.len(), bytes.len()))
            {
                received[place] += bytes;
                quiet = 0;
            }
        }
        open && quiet > 50
    });
    streams
}

#[test]
fn peers_have_equal_turns_when_more_waits_than_goes_at_once() {
    let mut world = World::new(Limits::default());
    world.serving = false;
    let clients: Vec<usize> = (1..=6).map(|number| world.join(number)).collect();
    // The first is greedy; the others have two connections each.
    let wanted: Vec<(usize, _)> = [vec![clients[0]; 5], clients[1..].to_vec(), clients[1..].to_vec()]
        .concat()
        .into_iter()
        .map(|client| (client, world.connect(client)))
        .collect();
    let streams = open_windows(&mut world, &wanted);
    let turns = turns(&mut world, &streams);
    let mut first: Vec<usize> = turns[..6].iter().map(|(place, _)| *place).collect();
    first.sort_unstable();
    assert_eq!(first, clients, "{turns:?}");
    assert!(turns[..6].contains(&(clients[0], 64)), "the greedy one had a whole turn and no more: {turns:?}");
    assert!(turns[..6].iter().all(|(_, count)| *count <= 64), "{turns:?}");
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
