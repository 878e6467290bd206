//! Which address a peer gets in the tunnel. Pure.

use std::{collections::BTreeSet, net::Ipv4Addr};

use ipnet::Ipv4Net;

use crate::error::Error;

/// The first address of the range that nobody has: not the network's, the broadcast's, the gateway's, nor a peer's.
///
/// # Errors
/// The range is full.
pub fn first_free(cidr: Ipv4Net, gateway: Ipv4Addr, taken: &BTreeSet<Ipv4Addr>) -> Result<Ipv4Addr, Error> {
    let mut hosts = cidr.hosts().filter(|address| *address != gateway && !taken.contains(address));
    hosts.next().ok_or_else(|| Error::Full { cidr: cidr.to_string() })
}

/// An address that a person chose.
///
/// # Errors
/// It is outside, the gateway's, or taken.
pub fn check(
    address: Ipv4Addr,
    cidr: Option<Ipv4Net>,
    gateway: Ipv4Addr,
    taken: &BTreeSet<Ipv4Addr>,
) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::Address { address: address.to_string(), why });
    if let Some(cidr) = cidr
        && !cidr.hosts().any(|host| host == address)
    {
        return refuse(format!("it is no host of {cidr}, the range of the gateway"));
    }
    if address == gateway {
        return refuse("it is the gateway's own".to_owned());
    }
    if taken.contains(&address) {
        return refuse("another peer has it".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);

    fn taken(last: &[u8]) -> BTreeSet<Ipv4Addr> {
        last.iter().map(|last| Ipv4Addr::new(10, 88, 0, *last)).collect()
    }

    #[test]
    fn takes_the_first_gap() {
        let cidr: Ipv4Net = "10.88.0.0/29".parse().unwrap();
        for (has, expected) in [(&[][..], 2), (&[2, 3, 5], 4), (&[4], 2)] {
            assert_eq!(first_free(cidr, GATEWAY, &taken(has)).unwrap(), Ipv4Addr::new(10, 88, 0, expected));
        }
        let full = first_free(cidr, GATEWAY, &taken(&[2, 3, 4, 5, 6])).unwrap_err().to_string();
        assert!(full.contains("10.88.0.0/29") && full.contains("--address"), "{full}");
    }

    #[test]
    fn refuses_what_cannot_work() {
        let cidr = Some("10.88.0.0/24".parse().unwrap());
        let verdict =
            |last: [u8; 4]| check(last.into(), cidr, GATEWAY, &taken(&[7])).map_err(|error| error.to_string());
        assert_eq!(verdict([10, 88, 0, 9]), Ok(()));
        for (address, word) in [
            ([10, 88, 0, 1], "gateway's own"),
            ([10, 88, 0, 7], "another peer"),
            ([10, 89, 0, 7], "no host"),
            ([10, 88, 0, 0], "no host"),
            ([10, 88, 0, 255], "no host"),
        ] {
            assert!(verdict(address).unwrap_err().contains(word), "{address:?}");
        }
    }
}
