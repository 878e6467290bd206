//! Datagrams that wait to be sent, in one buffer that is used again and again.

use std::{net::SocketAddr, ops::Range};

/// Datagrams at a time. TCP's buffers keep what does not fit until the next time.
const MOST: usize = 256;

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

    /// Forgets the datagrams and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
