//! The network device that TCP sees: packets of one peer come from its tunnel and go into it.

use smoltcp::{
    phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken},
    time::Instant,
};

use crate::{Outgoing, config::LARGEST_MTU, tunnel::Tunnel};

/// Packets of one peer before another one has its turn, however many connections it has.
const TURN: usize = 64;

pub(crate) struct Link<'l> {
    /// What came and was not yet looked at.
    packet: Option<&'l [u8]>,
    tunnel: &'l mut Tunnel,
    outgoing: &'l mut Outgoing,
    /// Datagrams in `outgoing` that end the peer's turn.
    most: usize,
    mtu: usize,
}

impl<'l> Link<'l> {
    pub(crate) fn new(
        packet: Option<&'l [u8]>,
        tunnel: &'l mut Tunnel,
        outgoing: &'l mut Outgoing,
        mtu: usize,
    ) -> Self {
        let most = outgoing.len() + TURN;
        Self { packet, tunnel, outgoing, most, mtu }
    }

    /// Nothing more is sent in this turn.
    pub(crate) fn is_full(&self) -> bool {
        self.outgoing.is_full() || self.outgoing.len() >= self.most
    }
}

pub(crate) struct Incoming<'l>(&'l [u8]);

pub(crate) struct Sealing<'l> {
    tunnel: &'l mut Tunnel,
    outgoing: &'l mut Outgoing,
}

impl Device for Link<'_> {
    type RxToken<'t>
        = Incoming<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Sealing<'t>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Incoming<'_>, Sealing<'_>)> {
        let packet = self.packet.take()?;
        Some((Incoming(packet), Sealing { tunnel: self.tunnel, outgoing: self.outgoing }))
    }

    /// None when the turn is over: TCP keeps its data and asks again.
    fn transmit(&mut self, _: Instant) -> Option<Sealing<'_>> {
        (!self.is_full()).then_some(Sealing { tunnel: self.tunnel, outgoing: self.outgoing })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        // What comes was authenticated as a whole, which says more than a sum.
        capabilities.checksum.tcp = Checksum::Tx;
        capabilities
    }
}

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, look: F) -> R {
        look(self.0)
    }
}

impl TxToken for Sealing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut buffer = [0; LARGEST_MTU];
        let packet = &mut buffer[..length];
        let result = write(packet);
        self.tunnel.send(packet, self.outgoing);
        result
    }
}
