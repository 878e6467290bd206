use proptest::prelude::*;

use super::*;

const PEER: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 7);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);

/// A SYN from `PEER` to port 443 of `ADDRESS`.
fn syn() -> Vec<u8> {
    let mut packet = vec![0; 40];
    packet[0] = 0x45;
    packet[3] = 40;
    packet[6] = 0x40;
    packet[9] = TCP;
    packet[12..16].copy_from_slice(&PEER.octets());
    packet[16..20].copy_from_slice(&ADDRESS.octets());
    packet[20..22].copy_from_slice(&50_000_u16.to_be_bytes());
    packet[22..24].copy_from_slice(&443_u16.to_be_bytes());
    packet[32] = 0x50;
    packet[33] = SYN;
    packet
}

fn changed(place: usize, byte: u8) -> Result<Segment, Cause> {
    let mut packet = syn();
    packet[place] = byte;
    judge(&packet, PEER, ADDRESS)
}

#[test]
fn a_syn_asks_for_a_connection() {
    let segment = Segment { remote_port: 50_000, local_port: 443, opens: true };
    assert_eq!(judge(&syn(), PEER, ADDRESS), Ok(segment));
    assert_eq!(changed(33, SYN | ACK), Ok(Segment { opens: false, ..segment }));
    assert_eq!(changed(33, ACK), Ok(Segment { opens: false, ..segment }));
}

#[test]
fn a_foreign_source_is_told_before_anything_else() {
    assert_eq!(changed(15, 8), Err(Cause::SpoofedSource));
    let mut both = syn();
    both[15] = 8;
    both[19] = 9;
    assert_eq!(judge(&both, PEER, ADDRESS), Err(Cause::SpoofedSource));
}

#[test]
fn only_our_address_and_tcp_are_taken() {
    assert_eq!(changed(19, 2), Err(Cause::ForeignAddress));
    for protocol in [1, 17, 41, 47] {
        assert_eq!(changed(9, protocol), Err(Cause::NotTcp));
    }
}

#[test]
fn fragments_are_refused_wherever_they_lie() {
    assert_eq!(changed(6, 0x20), Err(Cause::BadPacket));
    assert_eq!(changed(7, 1), Err(Cause::BadPacket));
}

#[test]
fn lengths_that_do_not_add_up_are_refused() {
    assert_eq!(changed(3, 41), Err(Cause::BadPacket), "longer than what came");
    assert_eq!(changed(3, 19), Err(Cause::BadPacket), "shorter than its own header");
    assert_eq!(changed(3, 39), Err(Cause::BadPacket), "no room for TCP's header");
    assert_eq!(changed(0, 0x44), Err(Cause::BadPacket), "a header below its least");
    assert_eq!(changed(0, 0x4f), Err(Cause::BadPacket), "options beyond the packet");
    assert_eq!(changed(0, 0x65), Err(Cause::BadPacket), "IPv6");
}

proptest! {
    #[test]
    fn never_panics_and_never_takes_a_foreign_source(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
        if judge(&packet, PEER, ADDRESS).is_ok() {
            prop_assert_eq!(&packet[12..16], &PEER.octets());
        }
    }

    /// Near-misses: a good packet with a few bytes changed and its end cut off.
    #[test]
    fn takes_only_what_is_whole(changes in proptest::collection::vec((0..40_usize, any::<u8>()), 0..4), length in 0..=40_usize) {
        let mut packet = syn();
        for (place, byte) in changes {
            packet[place] = byte;
        }
        packet.truncate(length);
        if judge(&packet, PEER, ADDRESS).is_ok() {
            prop_assert!(packet.len() >= IPV4_HEADER + TCP_HEADER);
            prop_assert_eq!(packet[9], TCP);
            prop_assert_eq!(&packet[16..20], &ADDRESS.octets());
        }
    }
}
