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
    use super::*;

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
}
