//! What is tried: what the arguments name, and what the pod's own network adds. Pure.

use std::net::{IpAddr, SocketAddr};

use alcazar_contract::isolation::{Protocol, Target, TargetKind};

use super::network::Network;

/// The port of DNS.
const DNS_PORT: u16 = 53;

/// What the arguments say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// Named with address and port.
    pub targets: Vec<Target>,
    /// Addresses of the pod's node.
    pub nodes: Vec<IpAddr>,
    /// What listens on a node: tried at [`Self::nodes`], at the gateways, and at their link-local addresses.
    pub node_ports: Vec<(TargetKind, u16)>,
    /// Whether the pod's resolvers are tried.
    pub resolvers: bool,
}

impl Given {
    /// Nothing that is sure to be there: own gateways and resolvers alone are no targets.
    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Whether the node's link-local addresses are among the targets.
    pub(crate) fn tries_node(&self) -> bool {
        !self.node_ports.is_empty()
    }

    /// All targets of a round, each once.
    pub(crate) fn targets(&self, own: &Network) -> Vec<Target> {
        let mut all = self.targets.clone();
        let nodes = self.nodes.iter().map(|address| SocketAddr::new(*address, 0));
        for host in nodes.chain(own.gateways.iter().copied()).chain(own.link_local.iter().copied()) {
            for (kind, port) in &self.node_ports {
                all.push(Target::tcp(*kind, at(host, *port)));
            }
        }
        for resolver in own.resolvers.iter().filter(|_| self.resolvers) {
            let address = at(SocketAddr::new(*resolver, 0), DNS_PORT);
            all.push(Target { protocol: Protocol::Udp, ..Target::tcp(TargetKind::Dns, address.clone()) });
            all.push(Target::tcp(TargetKind::Dns, address));
        }
        let mut seen = std::collections::HashSet::new();
        all.retain(|target| seen.insert((target.address.clone(), target.protocol)));
        all
    }
}

/// Keeps the zone of a link-local address.
fn at(mut host: SocketAddr, port: u16) -> String {
    host.set_port(port);
    host.to_string()
}

#[cfg(test)]
mod tests;
