//! What a pod can learn of its own network without any right: gateways, the node's link-local addresses, resolvers.
//!
//! The parsers are pure; [`read`] is the only function that touches files. The formats are those of Linux
//! (`net/ipv4/fib_trie.c`, `net/ipv4/arp.c`, `net/ipv6/addrconf.c`, `net/ipv6/route.c`).

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
};

/// More gateways than a pod has; what it has beyond is not tried.
const MAX_HOSTS: usize = 8;
/// `RTF_GATEWAY` of a route's flags.
const VIA_GATEWAY: u32 = 2;
/// `IFA_F_TENTATIVE` and `IFA_F_DADFAILED` of an address' flags.
const TENTATIVE: u32 = 0x40;
const DUPLICATE: u32 = 0x08;
/// A neighbour's entry without this flag has no hardware address.
const COMPLETE: u32 = 2;

/// Addresses of this pod's own network, as sockets with port 0: the zone of a link-local address is part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Network {
    /// The next hops of its routes: the node, on most networks.
    pub gateways: Vec<SocketAddr>,
    /// Link-local IPv6 addresses that the gateways most likely have. A policy engine that looks at IPv4 alone, or lets
    /// all of fe80::/10 pass for the sake of neighbour discovery, leaves the node open there.
    pub link_local: Vec<SocketAddr>,
    /// Of `/etc/resolv.conf`.
    pub resolvers: Vec<IpAddr>,
    /// Whether an own link-local address is still being checked for duplicates, a second or two after the interface came
    /// up (RFC 4862, section 5.4): until then every attempt from it fails, and that proves nothing.
    pub is_settling: bool,
}

/// The files of `/proc` and `/etc` that [`Network`] is read from.
#[derive(Clone, Copy, Debug, Default)]
struct Files<'a> {
    route: &'a str,
    arp: &'a str,
    if_inet6: &'a str,
    ipv6_route: &'a str,
    resolv: &'a str,
}

/// As it is now. What cannot be read is not there.
pub(super) fn read() -> Network {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let (route, arp) = (text("/proc/net/route"), text("/proc/net/arp"));
    let (if_inet6, ipv6_route) = (text("/proc/net/if_inet6"), text("/proc/net/ipv6_route"));
    let resolv = text("/etc/resolv.conf");
    parse(Files { route: &route, arp: &arp, if_inet6: &if_inet6, ipv6_route: &ipv6_route, resolv: &resolv })
}

fn parse(files: Files<'_>) -> Network {
    let interfaces = interfaces(files.if_inet6);
    let zone = |device: &str| interfaces.iter().find(|own| own.device == device).map(|own| own.index);
    let (mut gateways, mut link_local) = (Vec::new(), Vec::<SocketAddr>::new());
    for gateway in ipv4_gateways(files.route) {
        push(&mut gateways, SocketAddr::from((gateway, 0)));
        let Some((hardware, device)) = neighbour(files.arp, gateway) else { continue };
        if let Some(zone) = zone(device) {
            push(&mut link_local, SocketAddrV6::new(link_local_of(hardware), 0, 0, zone).into());
        }
    }
    for (next_hop, device) in ipv6_next_hops(files.ipv6_route) {
        if !next_hop.is_unicast_link_local() {
            push(&mut gateways, SocketAddr::from((next_hop, 0)));
        } else if let Some(zone) = zone(device) {
            push(&mut link_local, SocketAddrV6::new(next_hop, 0, 0, zone).into());
        }
    }
    link_local.retain(|address| !interfaces.iter().any(|own| IpAddr::V6(own.address) == address.ip()));
    let is_settling = interfaces.iter().any(|own| own.is_tentative);
    Network { gateways, link_local, resolvers: resolvers(files.resolv), is_settling }
}

fn push<T: PartialEq>(list: &mut Vec<T>, one: T) {
    if list.len() < MAX_HOSTS && !list.contains(&one) {
        list.push(one);
    }
}

/// An interface that speaks link-local IPv6.
struct Interface<'a> {
    device: &'a str,
    index: u32,
    address: Ipv6Addr,
    is_tentative: bool,
}

/// Lines of address, index, prefix length, scope and flags in hex, and the name.
fn interfaces(text: &str) -> Vec<Interface<'_>> {
    let read = |line| {
        let [address, index, _, _, flags, device] = fields(line)?;
        let address = Ipv6Addr::from(u128::from_str_radix(address, 16).ok()?);
        let (index, flags) = (u32::from_str_radix(index, 16).ok()?, u32::from_str_radix(flags, 16).ok()?);
        // One that somebody else has is never used, whatever else is said of it.
        let is_usable = address.is_unicast_link_local() && flags & DUPLICATE == 0;
        is_usable.then_some(Interface { device, index, address, is_tentative: flags & TENTATIVE != 0 })
    };
    text.lines().filter_map(read).collect()
}

/// Lines of interface, destination, gateway, flags and more; addresses are in the order of the machine's bytes.
fn ipv4_gateways(text: &str) -> Vec<Ipv4Addr> {
    let read = |line| {
        let [_, _, gateway, flags] = fields(line)?;
        let via = u32::from_str_radix(flags, 16).ok()? & VIA_GATEWAY != 0;
        let gateway = Ipv4Addr::from(u32::from_str_radix(gateway, 16).ok()?.to_ne_bytes());
        via.then_some(gateway)
    };
    text.lines().filter_map(read).collect()
}

/// Lines of address, type, flags, hardware address, mask and device. Gives the hardware address and the device.
fn neighbour(text: &str, address: Ipv4Addr) -> Option<([u8; 6], &str)> {
    text.lines().find_map(|line| {
        let [ip, _, flags, hardware, _, device] = fields(line)?;
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        let is_it = ip.parse() == Ok(address) && flags & COMPLETE != 0;
        if is_it { Some((mac(hardware)?, device)) } else { None }
    })
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
    bytes?.try_into().ok()
}

/// The address that an interface with that hardware address gives itself (RFC 4291, appendix A).
fn link_local_of(hardware: [u8; 6]) -> Ipv6Addr {
    let mut address = Ipv6Addr::from(0xfe80_u128 << 112).octets();
    address[8..11].copy_from_slice(&hardware[..3]);
    address[11..13].copy_from_slice(&[0xff, 0xfe]);
    address[13..].copy_from_slice(&hardware[3..]);
    address[8] ^= 2;
    Ipv6Addr::from(address)
}

/// Lines of destination, its length, source, its length, next hop and more in hex; the device is the last word.
fn ipv6_next_hops(text: &str) -> Vec<(Ipv6Addr, &str)> {
    text.lines()
        .filter_map(|line| {
            let [_, _, _, _, next_hop] = fields(line)?;
            let next_hop = Ipv6Addr::from(u128::from_str_radix(next_hop, 16).ok()?);
            (!next_hop.is_unspecified()).then_some((next_hop, line.split_whitespace().next_back()?))
        })
        .collect()
}

/// `nameserver ADDRESS`, the rest of the file left out.
fn resolvers(text: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() == Some("nameserver")
            && let Some(address) = words.next().and_then(|word| word.parse().ok())
        {
            push(&mut found, address);
        }
    }
    found
}

/// The first words of a line; none when it has fewer.
fn fields<const N: usize>(line: &str) -> Option<[&str; N]> {
    let words: Vec<&str> = line.split_whitespace().take(N).collect();
    words.try_into().ok()
}

#[cfg(test)]
mod tests;
