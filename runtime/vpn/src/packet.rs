//! What comes out of the tunnel, judged before any of it reaches TCP.

use std::net::Ipv4Addr;

use crate::Cause;

const IPV4_HEADER: usize = 20;
const TCP_HEADER: usize = 20;
const TCP: u8 = 6;
/// More fragments follow, or this is not the first: all but the flag "don't fragment" and the reserved bit.
const FRAGMENT: u16 = 0x3fff;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A TCP segment of a peer for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub remote_port: u16,
    pub local_port: u16,
    /// It asks for a connection.
    pub opens: bool,
}

/// Takes `packet` when it is TCP from `peer` for `address`, whole, and says why not otherwise. Checksums are TCP's business.
///
/// Layout: RFC 791 section 3.1 and RFC 9293 section 3.1.
pub fn judge(packet: &[u8], peer: Ipv4Addr, address: Ipv4Addr) -> Result<Segment, Cause> {
    let header = packet.first_chunk::<IPV4_HEADER>().ok_or(Cause::BadPacket)?;
    let header_bytes = usize::from(header[0] & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 4 != 4 || header_bytes < IPV4_HEADER || total > packet.len() || total < header_bytes {
        return Err(Cause::BadPacket);
    }
    if Ipv4Addr::new(header[12], header[13], header[14], header[15]) != peer {
        return Err(Cause::SpoofedSource);
    }
    if Ipv4Addr::new(header[16], header[17], header[18], header[19]) != address {
        return Err(Cause::ForeignAddress);
    }
    if header[9] != TCP {
        return Err(Cause::NotTcp);
    }
    // TCP fits its segments into the MTU, so fragments are never needed, only used to get past filters.
    if u16::from_be_bytes([header[6], header[7]]) & FRAGMENT != 0 {
        return Err(Cause::BadPacket);
    }
    segment(&packet[header_bytes..total])
}

fn segment(bytes: &[u8]) -> Result<Segment, Cause> {
    let header = bytes.first_chunk::<TCP_HEADER>().ok_or(Cause::BadPacket)?;
    Ok(Segment {
        remote_port: u16::from_be_bytes([header[0], header[1]]),
        local_port: u16::from_be_bytes([header[2], header[3]]),
        opens: header[13] & (SYN | ACK) == SYN,
    })
}

#[cfg(test)]
mod tests;
