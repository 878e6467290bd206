//! A peer: boringtun on the outside, smoltcp on the inside, as on a person's computer.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use boringtun::noise::{Tunn, TunnResult};
use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    socket::tcp::{Socket, SocketBuffer},
    time::Instant,
    wire::{HardwareAddress, IpCidr},
};

use crate::{PrivateKey, PublicKey};

pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);
const BUFFER: usize = 64 << 10;

/// Packets between the client's TCP and its tunnel.
struct Cable {
    incoming: VecDeque<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
    mtu: usize,
}

pub(crate) struct Client {
    tunn: Tunn,
    pub(crate) key: PrivateKey,
    /// Where it sends from.
    pub(crate) outer: SocketAddr,
    pub(crate) address: Ipv4Addr,
    cable: Cable,
    interface: Interface,
    sockets: SocketSet<'static>,
    /// Datagrams to be put on the wire.
    pub(crate) wire: VecDeque<Vec<u8>>,
    /// Takes nothing that comes.
    pub(crate) deaf: bool,
    /// Messages of the endpoint that boringtun refused.
    pub(crate) refused: usize,
    next_port: u16,
    ticked: Duration,
}

impl Client {
    pub(crate) fn new(number: u8, server: PublicKey, mtu: usize) -> Self {
        let key = PrivateKey::from_bytes(&[number; 32]);
        let address = Ipv4Addr::new(10, 88, 1, number);
        let mut cable = Cable { incoming: VecDeque::new(), outgoing: VecDeque::new(), mtu };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = u64::from(number);
        let mut interface = Interface::new(config, &mut cable, Instant::ZERO);
        interface.update_ip_addrs(|addresses| addresses.push(IpCidr::new(address.into(), 32)).unwrap());
        interface.routes_mut().add_default_ipv4_route(GATEWAY).unwrap();
        Self {
            tunn: Tunn::new(key.secret(), server.point(), None, Some(25), u32::from(number), None),
            key,
            outer: SocketAddr::from(([198, 51, 100, number], 40_000)),
            address,
            cable,
            interface,
            sockets: SocketSet::new(Vec::new()),
            wire: VecDeque::new(),
            deaf: false,
            refused: 0,
            next_port: 50_000,
            ticked: Duration::ZERO,
        }
    }

    pub(crate) fn connect(&mut self, to: Ipv4Addr, port: u16) -> SocketHandle {
        let mut socket = Socket::new(SocketBuffer::new(vec![0; BUFFER]), SocketBuffer::new(vec![0; BUFFER]));
        self.next_port += 1;
        socket.connect(self.interface.context(), (to, port), self.next_port).unwrap();
        self.sockets.add(socket)
    }

    pub(crate) fn socket(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Sends no more of a connection.
    pub(crate) fn forget(&mut self, handle: SocketHandle) {
        self.sockets.remove(handle);
    }

    /// A packet that TCP did not make.
    pub(crate) fn inject(&mut self, packet: &[u8]) {
        let mut room = vec![0; packet.len() + 148];
        if let TunnResult::WriteToNetwork(datagram) = self.tunn.encapsulate(packet, &mut room) {
            self.wire.push_back(datagram.to_vec());
        }
    }

    /// A new session, whatever the age of the old one.
    pub(crate) fn rekey(&mut self) {
        let mut room = [0; 148];
        if let TunnResult::WriteToNetwork(datagram) = self.tunn.format_handshake_initiation(&mut room, true) {
            self.wire.push_back(datagram.to_vec());
        }
    }

    pub(crate) fn receive(&mut self, datagram: &[u8]) {
        if self.deaf {
            return;
        }
        let mut room = vec![0; 2048];
        let mut result = self.tunn.decapsulate(None, datagram, &mut room);
        loop {
            match result {
                TunnResult::WriteToNetwork(answer) => self.wire.push_back(answer.to_vec()),
                TunnResult::WriteToTunnelV4(packet, _) => {
                    self.cable.incoming.push_back(packet.to_vec());
                    return;
                }
                TunnResult::Err(_) => {
                    self.refused += 1;
                    return;
                }
                TunnResult::Done | TunnResult::WriteToTunnelV6(..) => return,
            }
            // What waited for the session.
            result = self.tunn.decapsulate(None, &[], &mut room);
        }
    }

    pub(crate) fn poll(&mut self, now: Duration) {
        let instant = Instant::from_micros(i64::try_from(now.as_micros()).unwrap());
        self.interface.poll(instant, &mut self.cable, &mut self.sockets);
        for packet in std::mem::take(&mut self.cable.outgoing) {
            self.inject(&packet);
        }
        if now >= self.ticked + Duration::from_millis(250) {
            self.ticked = now;
            let mut room = [0; 148];
            if let TunnResult::WriteToNetwork(datagram) = self.tunn.update_timers(&mut room) {
                self.wire.push_back(datagram.to_vec());
            }
        }
    }
}

struct Received(Vec<u8>);
struct Sent<'c>(&'c mut VecDeque<Vec<u8>>);

impl Device for Cable {
    type RxToken<'t> = Received;
    type TxToken<'t> = Sent<'t>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sent<'_>)> {
        let packet = self.incoming.pop_front()?;
        Some((Received(packet), Sent(&mut self.outgoing)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sent<'_>> {
        (self.outgoing.len() < 64).then_some(Sent(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, look: F) -> R {
        look(&self.0)
    }
}

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut packet = vec![0; length];
        let result = write(&mut packet);
        self.0.push_back(packet);
        result
    }
}
