//! The network device that TCP sees: packets of one peer come from its tunnel and go into it.

use smoltcp::{
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    time::Instant,
};

use crate::{Outgoing, config::LARGEST_MTU, tunnel::Tunnel};

pub(crate) struct Link<'l> {
    /// What came and was not yet looked at.
    pub(crate) packet: Option<&'l [u8]>,
    pub(crate) tunnel: &'l mut Tunnel,
    pub(crate) outgoing: &'l mut Outgoing,
    pub(crate) mtu: usize,
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

    /// None while what was made before is not sent: TCP keeps its data and asks again.
    fn transmit(&mut self, _: Instant) -> Option<Sealing<'_>> {
        (!self.outgoing.is_full()).then_some(Sealing { tunnel: self.tunnel, outgoing: self.outgoing })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
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
