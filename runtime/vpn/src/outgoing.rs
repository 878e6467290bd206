//! Datagrams that wait to be sent, in one buffer that is used again and again.

use std::{iter, net::SocketAddr, ops::Range, slice::Chunks};

/// Datagrams at a time. TCP's buffers keep what does not fit until the next time.
const MOST: usize = 256;
/// What the kernel cuts out of one run at most (UDP_MAX_SEGMENTS of the oldest that can do it), and the largest UDP payload of IPv4.
const LARGEST_RUN: (usize, usize) = (64, 65_507);

/// Datagrams to one address that follow each other: each has `size` bytes, only the last may have less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run<'o> {
    pub(crate) to: SocketAddr,
    pub(crate) bytes: &'o [u8],
    pub(crate) size: usize,
}

impl<'o> Run<'o> {
    pub(crate) fn datagrams(&self) -> Chunks<'o, u8> {
        self.bytes.chunks(self.size)
    }
}

#[derive(Debug, Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    datagrams: Vec<(SocketAddr, Range<usize>)>,
}

impl Outgoing {
    /// Nothing more should be made before what is here was sent.
    pub(crate) fn is_full(&self) -> bool {
        self.datagrams.len() >= MOST
    }

    /// Gives `write` a buffer of `room` bytes; what it returns is how many of them are the datagram, 0 for none.
    pub(crate) fn push(&mut self, to: SocketAddr, room: usize, write: impl FnOnce(&mut [u8]) -> usize) -> usize {
        let start = self.bytes.len();
        self.bytes.resize(start + room, 0);
        let length = write(&mut self.bytes[start..]).min(room);
        self.bytes.truncate(start + length);
        if length > 0 {
            self.datagrams.push((to, start..start + length));
        }
        length
    }

    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// In the order they were made.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.datagrams.iter().map(|(to, range)| (*to, &self.bytes[range.clone()]))
    }

    /// The same, as many at a time as can be sent with one call.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        let mut rest = &self.datagrams[..];
        iter::from_fn(move || {
            let (run, left) = rest.split_at(run_length(rest));
            rest = left;
            let ((to, first), (_, last)) = (run.first()?, run.last()?);
            Some(Run { to: *to, bytes: &self.bytes[first.start..last.end], size: first.len() })
        })
    }

    /// Forgets the datagrams and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
    }
}

/// How many of the first `datagrams` make a run.
fn run_length(datagrams: &[(SocketAddr, Range<usize>)]) -> usize {
    let Some((to, first)) = datagrams.first() else { return 0 };
    let (most, bytes) = LARGEST_RUN;
    let most = (bytes / first.len()).clamp(1, most);
    let alike = datagrams.iter().take(most).take_while(|(at, range)| at == to && range.len() == first.len()).count();
    let smaller = |(at, range): &(SocketAddr, Range<usize>)| at == to && range.len() < first.len();
    alike + usize::from(alike < most && datagrams.get(alike).is_some_and(smaller))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(datagrams: &[(u16, usize)]) -> Vec<(u16, usize, usize)> {
        let mut outgoing = Outgoing::default();
        for (port, length) in datagrams {
            outgoing.push(([192, 0, 2, 1], *port).into(), *length, |_| *length);
        }
        outgoing.runs().map(|run| (run.to.port(), run.datagrams().len(), run.bytes.len())).collect()
    }

    #[test]
    fn a_run_has_one_address_and_one_size_and_ends_with_a_smaller_one() {
        assert_eq!(runs(&[]), []);
        assert_eq!(runs(&[(1, 9)]), [(1, 1, 9)]);
        assert_eq!(runs(&[(1, 9), (1, 9), (1, 5), (1, 5)]), [(1, 3, 23), (1, 1, 5)]);
        assert_eq!(runs(&[(1, 5), (1, 9), (1, 9)]), [(1, 1, 5), (1, 2, 18)]);
        assert_eq!(runs(&[(1, 9), (2, 9), (2, 8), (1, 9)]), [(1, 1, 9), (2, 2, 17), (1, 1, 9)]);
    }

    #[test]
    fn a_run_is_what_the_kernel_cuts_at_most() {
        assert_eq!(runs(&[(1, 100); 130]), [(1, 64, 6400), (1, 64, 6400), (1, 2, 200)]);
        assert_eq!(runs(&[(1, 1452); 50]), [(1, 45, 65_340), (1, 5, 7260)]);
    }

    #[test]
    fn keeps_datagrams_apart_and_in_order() {
        let mut outgoing = Outgoing::default();
        let to = SocketAddr::from(([192, 0, 2, 1], 9));
        for text in ["one", "", "three"] {
            outgoing.push(to, 64, |room| {
                room[..text.len()].copy_from_slice(text.as_bytes());
                text.len()
            });
        }
        assert_eq!(outgoing.iter().map(|(_, bytes)| bytes).collect::<Vec<_>>(), [b"one".as_slice(), b"three"]);
        outgoing.clear();
        assert!(outgoing.is_empty());
    }
}
