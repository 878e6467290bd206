//! Packets that nobody should have sent.

use std::{net::Ipv4Addr, time::Duration};

use smoltcp::{
    socket::tcp::State,
    wire::{Ipv4Packet, TcpPacket},
};

use super::{
    client::GATEWAY,
    world::{PORT, World},
};
use crate::{Cause, Limits};

const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

/// A client with an open connection that has carried something.
fn connected() -> (World, usize, smoltcp::iface::SocketHandle) {
    let mut world = World::new(Limits::default());
    world.captured = Some(Vec::new());
    let client = world.join(7);
    let connection = world.connect(client);
    world.echo(client, connection, b"hello", MINUTE);
    (world, client, connection)
}

/// A SYN from `source` to `address`, port 443, with the checksums left out.
fn packet(source: Ipv4Addr, address: Ipv4Addr, protocol: u8) -> Vec<u8> {
    let mut packet = vec![0; 40];
    (packet[0], packet[3], packet[8], packet[9]) = (0x45, 40, 64, protocol);
    packet[12..16].copy_from_slice(&source.octets());
    packet[16..20].copy_from_slice(&address.octets());
    packet[22..24].copy_from_slice(&PORT.to_be_bytes());
    (packet[32], packet[33]) = (0x50, 0x02);
    packet
}

#[test]
fn everything_replayed_is_dropped_and_counted() {
    let (mut world, client, connection) = connected();
    let captured = world.captured.take().unwrap();
    let before = world.snapshot();
    for (from, datagram) in &captured {
        world.endpoint.receive(world.now, *from, datagram);
    }
    assert_eq!(world.dropped(Cause::Replayed), captured.len() as u64);
    let after = world.snapshot();
    assert_eq!(after.peers[0].received_bytes, before.peers[0].received_bytes);
    assert_eq!(after.peers[0].handshake_at, before.peers[0].handshake_at);
    world.echo(client, connection, b"still here", MINUTE);
}

#[test]
fn a_replay_from_elsewhere_does_not_move_the_peer() {
    let (mut world, client, connection) = connected();
    for (_, datagram) in world.captured.take().unwrap() {
        world.endpoint.receive(world.now, ([203, 0, 113, 9], 666).into(), &datagram);
    }
    world.echo(client, connection, b"answers come to me", MINUTE);
}

#[test]
fn a_flipped_bit_is_noticed_wherever_it_is() {
    let (mut world, client, connection) = connected();
    let captured = world.captured.take().unwrap();
    let mut dropped = 0;
    for (from, datagram) in &captured {
        for place in 0..datagram.len() {
            let mut forged = datagram.clone();
            forged[place] ^= 1;
            world.now.elapsed += Duration::from_millis(40);
            if place % 16 == 0 {
                world.endpoint.tick(world.now);
            }
            world.endpoint.receive(world.now, *from, &forged);
            dropped += 1;
        }
    }
    let counted: u64 = Cause::ALL.iter().map(|cause| world.dropped(*cause)).sum();
    assert_eq!(counted, dropped);
    assert!(world.dropped(Cause::Forged) > 0 && world.dropped(Cause::Malformed) > 0);
    assert_eq!(world.dropped(Cause::BadPacket), 0, "nothing forged was ever looked into");
    world.echo(client, connection, b"still here", MINUTE);
}

#[test]
fn noise_of_every_length_is_dropped() {
    let mut world = World::new(Limits::default());
    world.join(7);
    for length in 0..2000 {
        let mut datagram = world.bytes(length);
        if let (Some(first), 0) = (datagram.first_mut(), length % 2) {
            *first = u8::try_from(length % 5).unwrap();
        }
        if let Some(reserved) = datagram.get_mut(1..4) {
            reserved.fill(0);
        }
        world.endpoint.receive(world.now, ([203, 0, 113, 9], 666).into(), &datagram);
    }
    let counted: u64 = Cause::ALL.iter().map(|cause| world.dropped(*cause)).sum();
    assert_eq!(counted, 2000);
    assert_eq!(world.snapshot().totals.accepted_connections, 0);
}

#[test]
fn a_stranger_gets_no_answer() {
    let mut world = World::new(Limits::default());
    world.join(7);
    let stranger = world.stranger(9, 1420);
    world.connect(stranger);
    world.pass(12 * SECOND);
    assert!(world.dropped(Cause::UnknownPeer) >= 1);
    assert_eq!(world.snapshot().totals.sent, 0);
}

#[test]
fn a_peer_may_use_its_own_address_only() {
    let (mut world, client, connection) = connected();
    let neighbour = world.join(8);
    let foreign = world.clients[neighbour].address;
    for source in [foreign, GATEWAY, Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
        world.clients[client].inject(&packet(source, GATEWAY, 6));
    }
    world.pass(SECOND);
    assert_eq!(world.dropped(Cause::SpoofedSource), 4);
    assert_eq!(world.snapshot().totals.accepted_connections, 1);
    world.echo(client, connection, b"still here", MINUTE);
}

#[test]
fn nobody_but_the_gateway_is_reached() {
    let (mut world, client, _) = connected();
    let neighbour = world.join(8);
    let source = world.clients[client].address;
    let to_neighbour = world.clients[neighbour].address;
    for address in [to_neighbour, Ipv4Addr::new(10, 96, 0, 1), Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST] {
        world.clients[client].inject(&packet(source, address, 6));
    }
    for protocol in [1, 17, 47] {
        world.clients[client].inject(&packet(source, GATEWAY, protocol));
    }
    world.pass(SECOND);
    assert_eq!((world.dropped(Cause::ForeignAddress), world.dropped(Cause::NotTcp)), (4, 3));
    assert_eq!(world.snapshot().totals.accepted_connections, 1);
}

#[test]
fn another_port_is_reset_at_once() {
    let (mut world, client, _) = connected();
    let refused = world.connect_to(client, GATEWAY, 8443);
    world.run(SECOND, |world| world.clients[client].socket(refused).state() == State::Closed);
    assert_eq!(world.dropped(Cause::ForeignPort), 1);
    assert_eq!(world.snapshot().totals.accepted_connections, 1);
}

/// A segment with right checksums and anything else in it.
fn segment(world: &mut World, source: Ipv4Addr, remote_port: u16) -> Vec<u8> {
    let mut packet = packet(source, GATEWAY, 6);
    let (header, extra) = (world.bytes(20), world.bytes(60));
    let options = usize::from(header[12] % 3) * 4;
    let length = options + usize::from(header[15] % 16);
    packet[20..].copy_from_slice(&header);
    packet.extend_from_slice(&extra[..length]);
    packet[3] = u8::try_from(40 + length).unwrap();
    packet[20..22].copy_from_slice(&remote_port.to_be_bytes());
    packet[22..24].copy_from_slice(&PORT.to_be_bytes());
    packet[32] = u8::try_from((20 + options) / 4).unwrap() << 4;
    let mut ip = Ipv4Packet::new_unchecked(&mut packet[..]);
    ip.fill_checksum();
    TcpPacket::new_unchecked(ip.payload_mut()).fill_checksum(&source.into(), &GATEWAY.into());
    packet
}

#[test]
fn a_hostile_peer_breaks_only_its_own_connections() {
    let (mut world, client, connection) = connected();
    let hostile = world.join(8);
    let first = world.connect(hostile);
    world.echo(hostile, first, b"hello", MINUTE);
    let source = world.clients[hostile].address;
    for round in 0..4000_u16 {
        let port = if round % 2 == 0 { 50_001 } else { 40_000 + round % 40 };
        let segment = segment(&mut world, source, port);
        world.clients[hostile].inject(&segment);
        if round % 8 == 0 {
            world.step();
        }
    }
    world.pass(SECOND);
    assert!(world.snapshot().peers[1].connections <= Limits::default().connections_per_peer);
    world.echo(client, connection, b"still here", MINUTE);
}

#[test]
fn a_counter_at_its_end_is_refused() {
    let (mut world, _, _) = connected();
    let (from, mut datagram) = world.captured.take().unwrap().pop().unwrap();
    datagram[8..16].fill(0xff);
    let before = world.dropped(Cause::Forged);
    world.endpoint.receive(world.now, from, &datagram);
    assert_eq!(world.dropped(Cause::Forged), before + 1);
}

#[test]
fn under_a_flood_of_handshakes_an_address_must_prove_itself() {
    let mut world = World::new(Limits { handshakes_per_second: 1, ..Limits::default() });
    world.captured = Some(Vec::new());
    let flooder = world.join(9);
    world.clients[flooder].rekey();
    world.pass(Duration::from_millis(100));
    let (from, handshake) = world.captured.take().unwrap()[0].clone();
    for _ in 0..50 {
        world.endpoint.receive(world.now, from, &handshake);
    }
    assert!(world.dropped(Cause::UnderLoad) >= 49);
    // An honest client gets a cookie, comes again with it, and is let in.
    let client = world.join(7);
    world.clients[client].rekey();
    world.pass(Duration::from_millis(100));
    assert_eq!(world.snapshot().peers[0].handshake_at, None);
    world.clients[client].rekey();
    let connection = world.connect(client);
    world.echo(client, connection, b"hello", MINUTE);
}
