//! Handshakes of one address: each costs curve arithmetic, so a few a second are enough.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use crate::Cause;

/// An office behind one address reconnects at once after a restart.
const BURST: u32 = 64;
const PER_SECOND: u32 = 32;
/// Addresses share buckets where their hashes meet, which bounds memory whatever is spoofed.
const BUCKETS: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u32,
    filled_at: Duration,
}

#[derive(Debug)]
pub(crate) struct Flood {
    buckets: Vec<Bucket>,
    hasher: RandomState,
}

impl Flood {
    pub(crate) fn new() -> Self {
        let full = Bucket { tokens: BURST, filled_at: Duration::ZERO };
        Self { buckets: vec![full; BUCKETS], hasher: RandomState::new() }
    }

    /// Takes one handshake of `address` at `now`, or refuses it.
    pub(crate) fn admit(&mut self, address: IpAddr, now: Duration) -> Result<(), Cause> {
        let place = usize::try_from(self.hasher.hash_one(network(address)) % BUCKETS as u64).unwrap_or(0);
        let bucket = &mut self.buckets[place];
        let gained = now.saturating_sub(bucket.filled_at).as_millis() * u128::from(PER_SECOND) / 1000;
        if gained > 0 {
            bucket.tokens = u32::try_from(gained).unwrap_or(BURST).saturating_add(bucket.tokens).min(BURST);
            bucket.filled_at = now;
        }
        bucket.tokens = bucket.tokens.checked_sub(1).ok_or(Cause::Throttled)?;
        Ok(())
    }
}

/// Who has one IPv6 address has the /64 around it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(flood: &mut Flood, address: &str, now: Duration, tries: usize) -> usize {
        let address = address.parse().unwrap();
        (0..tries).filter(|_| flood.admit(address, now).is_ok()).count()
    }

    #[test]
    fn one_address_gets_its_burst_and_then_its_rate() {
        let mut flood = Flood::new();
        assert_eq!(admitted(&mut flood, "192.0.2.1", Duration::ZERO, 1000), BURST as usize);
        assert_eq!(admitted(&mut flood, "192.0.2.1", Duration::from_secs(1), 1000), PER_SECOND as usize);
    }

    #[test]
    fn another_address_is_not_held_up() {
        let mut flood = Flood::new();
        admitted(&mut flood, "192.0.2.1", Duration::ZERO, 1000);
        let served = (2..=10).filter(|last| flood.admit(IpAddr::from([192, 0, 2, *last]), Duration::ZERO).is_ok());
        assert!(served.count() >= 8, "a hash may meet another once, not often");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let mut flood = Flood::new();
        assert_eq!(admitted(&mut flood, "2001:db8::1", Duration::ZERO, 1000), BURST as usize);
        assert_eq!(admitted(&mut flood, "2001:db8::2", Duration::ZERO, 1000), 0);
    }

    #[test]
    fn frequent_tries_do_not_stop_the_bucket_from_filling() {
        let mut flood = Flood::new();
        admitted(&mut flood, "192.0.2.1", Duration::ZERO, 1000);
        let served: usize = (1..=1000).map(|ms| admitted(&mut flood, "192.0.2.1", Duration::from_millis(ms), 1)).sum();
        assert!((30..=33).contains(&served), "{served}");
    }
}
