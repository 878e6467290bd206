//! What a model pod must not reach: how it is told, and how it tells what it did reach.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// Rounds in a row, each over new connections, in which nothing must have been reached: a policy may take effect late, and
/// engines may forget a pod for a moment.
pub const WANTED_ROUNDS: u32 = 3;

/// Service in the operator's namespace in front of its canary, on [`CANARY_PORT`](crate::CANARY_PORT): an address that
/// stays when the operator's pod does not.
pub const CANARY_SERVICE: &str = "alcazar-canary";

/// What stands behind a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKind {
    /// The operator's listener that answers everybody.
    Canary,
    /// The API server.
    ApiServer,
    /// The kubelet of the pod's own node.
    Kubelet,
    /// The metadata service of a cloud, which hands out credentials.
    Metadata,
    /// A public address of the settings.
    Public,
    /// Name resolution.
    Dns,
    /// Another pod.
    Neighbour,
    /// One more, of the settings or of a person.
    Extra,
}

impl TargetKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Canary,
        Self::ApiServer,
        Self::Kubelet,
        Self::Metadata,
        Self::Public,
        Self::Dns,
        Self::Neighbour,
        Self::Extra,
    ];

    /// As an argument and a report spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "Canary",
            Self::ApiServer => "ApiServer",
            Self::Kubelet => "Kubelet",
            Self::Metadata => "Metadata",
            Self::Public => "Public",
            Self::Dns => "Dns",
            Self::Neighbour => "Neighbour",
            Self::Extra => "Extra",
        }
    }

    /// As a sentence names it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Canary => "the operator's canary",
            Self::ApiServer => "the API server",
            Self::Kubelet => "a kubelet",
            Self::Metadata => "the cloud's metadata service",
            Self::Public => "a public address",
            Self::Dns => "the cluster's DNS",
            Self::Neighbour => "another pod",
            Self::Extra => "an extra target",
        }
    }
}

impl FromStr for TargetKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("{text:?} is no kind of target; it must be one of {known}")
        })
    }
}

/// How a target is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// A new connection; one that opens counts.
    Tcp,
    /// A DNS query; any answer counts.
    Udp,
}

/// One thing that must not be reached. Its text is `Kind=host:port`, with `/udp` behind it where that is how it is tried;
/// without a kind it is an [`TargetKind::Extra`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Target {
    /// What stands there.
    pub kind: TargetKind,
    /// `host:port`; an IPv6 address in brackets, a link-local one with its zone.
    pub address: String,
    /// How it is tried.
    pub protocol: Protocol,
}

impl Target {
    /// A target that is tried by TCP.
    #[must_use]
    pub fn tcp(kind: TargetKind, address: impl Into<String>) -> Self {
        Self { kind, address: address.into(), protocol: Protocol::Tcp }
    }

    /// By which way the packets went.
    #[must_use]
    pub fn family(&self) -> &'static str {
        match self.address.parse::<SocketAddr>().map(|address| address.ip()) {
            Ok(IpAddr::V4(_)) => "IPv4",
            Ok(IpAddr::V6(address)) if is_link_local(address) => "link-local IPv6",
            Ok(IpAddr::V6(_)) => "IPv6",
            Err(_) => "name",
        }
    }

    /// For people: what, where and how.
    #[must_use]
    pub fn told(&self) -> String {
        let protocol = match self.protocol {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        };
        format!("{} at {} ({protocol}, {})", self.kind.words(), self.address, self.family())
    }
}

fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.protocol == Protocol::Udp { "/udp" } else { "" };
        write!(f, "{}={}{suffix}", self.kind.as_str(), self.address)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = match text.split_once('=') {
            Some((kind, rest)) => (kind.parse()?, rest),
            None => (TargetKind::Extra, text),
        };
        let (address, protocol) = match rest.strip_suffix("/udp") {
            Some(address) => (address, Protocol::Udp),
            None => (rest, Protocol::Tcp),
        };
        let port =
            address.rsplit_once(':').and_then(|(host, port)| port.parse::<u16>().ok().filter(|_| !host.is_empty()));
        if port.is_none_or(|port| port == 0) {
            return Err(format!("{text:?} is no target; it must be host:port, or Kind=host:port"));
        }
        Ok(Self { kind, address: address.to_owned(), protocol })
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_back_as_it_is_written() {
        for text in [
            "Canary=10.96.3.4:8083",
            "ApiServer=[fe80::1%2]:6443",
            "Dns=10.96.0.10:53/udp",
            "Metadata=[fd00:ec2::254]:80",
            "Extra=db.example:5432",
        ] {
            assert_eq!(text.parse::<Target>().map(|target| target.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("1.1.1.1:443".parse(), Ok(Target::tcp(TargetKind::Extra, "1.1.1.1:443")));
        for bad in ["", "Canary=", "Canary=10.0.0.1", "Canary=10.0.0.1:0", "Door=10.0.0.1:1", ":443", "x:99999"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[test]
    fn people_are_told_what_where_and_how() {
        let told = |text: &str| text.parse::<Target>().map(|target| target.told());
        assert_eq!(
            told("ApiServer=[fe80::1%2]:6443"),
            Ok("the API server at [fe80::1%2]:6443 (TCP, link-local IPv6)".to_owned())
        );
        assert_eq!(told("Dns=10.96.0.10:53/udp"), Ok("the cluster's DNS at 10.96.0.10:53 (UDP, IPv4)".to_owned()));
        assert_eq!(told("Public=[2606::1]:443"), Ok("a public address at [2606::1]:443 (TCP, IPv6)".to_owned()));
    }
}
