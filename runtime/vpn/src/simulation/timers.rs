//! New sessions, by hand, and, with the feature `virtual-clock`, when WireGuard's timers say so.

use std::time::Duration;

use super::world::World;
use crate::Limits;

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn a_new_session_in_the_middle_of_a_transfer_loses_nothing() {
    let mut world = World::new(Limits::default());
    world.jitter = 3;
    let client = world.join(7);
    let connection = world.connect(client);
    world.echo(client, connection, b"the first session", MINUTE);
    for _ in 0..12 {
        world.clients[client].rekey();
        let bytes = world.bytes(30_000);
        world.echo(client, connection, &bytes, MINUTE);
    }
    // On the real clock all of this happens at once, and boringtun cannot tell which of the sessions is the newest.
    #[cfg(feature = "virtual-clock")]
    assert_eq!(world.clients[client].refused, 0);
}

#[cfg(feature = "virtual-clock")]
mod by_the_clock {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::Cause;

    const SECOND: Duration = Duration::from_secs(1);

    /// A byte every second for `time`.
    fn trickle(world: &mut World, client: usize, connection: smoltcp::iface::SocketHandle, time: Duration) {
        let end = world.now.elapsed + time;
        while world.now.elapsed < end {
            world.echo(client, connection, b"x", 20 * SECOND);
            world.pass(SECOND);
        }
    }

    #[test]
    fn sessions_are_renewed_every_two_minutes_and_streams_go_on() {
        let mut world = World::new(Limits::default());
        let client = world.join(7);
        let connection = world.connect(client);
        trickle(&mut world, client, connection, 10 * MINUTE);
        let age = world.snapshot().peers[0].handshake_age.unwrap();
        assert!(age < 130 * SECOND, "{age:?}");
        assert_eq!(world.failed_streams, 0);
    }

    #[test]
    fn an_idle_connection_outlives_its_session() {
        let mut world = World::new(Limits::default());
        let client = world.join(7);
        let connection = world.connect(client);
        world.echo(client, connection, b"hello", MINUTE);
        world.pass(15 * MINUTE);
        world.echo(client, connection, b"hello again", MINUTE);
    }

    #[test]
    fn a_peer_that_was_away_for_long_comes_back() {
        let mut world = World::new(Limits::default());
        let client = world.join(7);
        let connection = world.connect(client);
        world.echo(client, connection, b"hello", MINUTE);
        world.clients[client].deaf = true;
        world.lost = 100;
        world.pass(20 * MINUTE);
        assert_eq!(world.snapshot().peers[0].connections, 0, "a silent connection ends");
        world.clients[client].deaf = false;
        world.lost = 0;
        let again = world.connect(client);
        world.echo(client, again, b"hello again", MINUTE);
    }

    #[test]
    fn the_endpoint_asks_for_a_session_when_it_has_something_to_say() {
        let mut world = World::new(Limits::default());
        let client = world.join(7);
        let connection = world.connect(client);
        world.echo(client, connection, b"hello", MINUTE);
        let before = world.snapshot().peers[0].handshake_at;
        world.lost = 100;
        world.pass(80 * SECOND);
        world.lost = 0;
        world.run(10 * SECOND, |world| world.snapshot().peers[0].handshake_at > before);
        world.echo(client, connection, b"after the gap", MINUTE);
    }

    /// Sends `handshake`, once as it is and once with a wrong MAC, from an address that was never used.
    fn flood(world: &mut World, handshake: &[u8], sent: &mut u32) {
        let mut forged = handshake.to_vec();
        forged[120] ^= 1;
        for datagram in [handshake, &forged] {
            *sent += 1;
            let from = SocketAddr::from((Ipv4Addr::from_bits(0xc612_0000 + *sent), 9));
            world.endpoint.receive(world.now, from, datagram);
        }
    }

    #[test]
    fn fifty_peers_come_in_during_a_flood_of_handshakes() {
        let mut world = World::new(Limits::default());
        world.captured = Some(Vec::new());
        let stranger = world.stranger(99, 1420);
        world.clients[stranger].rekey();
        world.pass(Duration::from_millis(10));
        let handshake = world.captured.take().unwrap()[0].1.clone();
        let inside = world.join(60);
        let connection = world.connect(inside);
        world.echo(inside, connection, b"hello", MINUTE);

        let (began, mut sent) = (world.now.elapsed, 0);
        world.run(SECOND, |world| {
            flood(world, &handshake, &mut sent);
            world.dropped(Cause::UnderLoad) > 100
        });
        let clients: Vec<usize> = (1..=50).map(|number| world.join(number)).collect();
        for client in clients {
            world.connect(client);
        }
        let (mut asked, mut answers) = (0, 0);
        world.run(15 * SECOND, |world| {
            flood(world, &handshake, &mut sent);
            let socket = world.clients[inside].socket(connection);
            if asked == answers {
                asked += socket.send_slice(b"x").unwrap();
            }
            answers += socket.recv(|bytes| (bytes.len(), bytes.len())).unwrap();
            world.snapshot().totals.accepted_connections == 51
        });
        let took = world.now.elapsed.saturating_sub(began);
        assert!(took > 3 * SECOND, "nobody had to come again with a cookie: {took:?}");
        assert!(world.dropped(Cause::UnderLoad) > u64::from(sent) / 3, "{:?}", world.snapshot().totals);
        // One way takes 5 ms, and a round of the world 1 ms.
        assert!(answers as u128 > took.as_millis() / 20, "{answers} answers in {took:?}");
    }
}
