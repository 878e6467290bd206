//! Pure: where a fetch may go. No request is sent before these rules have agreed.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{Ipv4Net, Ipv6Net};
use url::{Host, Url};

use crate::error::FetchError;

/// The rules: HTTPS to public addresses, and whatever the operator's settings allow by name on top.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    allowed_hosts: BTreeSet<String>,
}

/// Names that only mean something inside a cluster or a site.
const INTERNAL_SUFFIXES: [&str; 7] =
    [".svc", ".cluster.local", ".local", ".localhost", ".internal", ".home.arpa", ".localdomain"];

impl Policy {
    /// `allowed_hosts` may be private, inside the cluster, and spoken to over plain HTTP.
    pub fn new<S: AsRef<str>>(allowed_hosts: impl IntoIterator<Item = S>) -> Self {
        let canonical = |host: S| host.as_ref().trim().trim_end_matches('.').trim_matches(['[', ']']).to_lowercase();
        Self { allowed_hosts: allowed_hosts.into_iter().map(canonical).collect() }
    }

    /// Whether the settings allow this host by name.
    pub fn is_allowed_by_name(&self, host: &str) -> bool {
        self.allowed_hosts.contains(host.trim_end_matches('.').trim_matches(['[', ']']))
    }

    /// Judges a URL: of the source, or one that a redirect names.
    pub fn vet_url(&self, url: &Url) -> Result<(), FetchError> {
        let refuse = |fault: String| Err(FetchError::NotAllowed { target: shown(url), fault });
        if !matches!(url.scheme(), "https" | "http") {
            return refuse(format!("the scheme '{}' is not allowed; use https", url.scheme()));
        }
        let Some(host) = url.host() else {
            return refuse("it names no host".to_owned());
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("credentials do not belong in a URL; name a Secret".to_owned());
        }
        let name = url.host_str().unwrap_or_default();
        if self.is_allowed_by_name(name) {
            return Ok(());
        }
        if url.scheme() == "http" {
            return refuse(format!(
                "plain http is allowed only to hosts on the allow-list; use https or {}",
                mend(name)
            ));
        }
        match host {
            Host::Ipv4(address) => self.vet_address(name, address.into()),
            Host::Ipv6(address) => self.vet_address(name, address.into()),
            Host::Domain(domain) if is_internal_name(domain) => {
                refuse(format!("'{domain}' is a name inside the cluster or site; {}", mend(name)))
            }
            Host::Domain(_) => Ok(()),
        }
    }

    /// Judges an address that `host` is or resolves to.
    ///
    /// A name on the allow-list may resolve to a private address, but never to a link-local one (the metadata
    /// services of clouds): that takes the address itself on the list.
    pub fn vet_address(&self, host: &str, address: IpAddr) -> Result<(), FetchError> {
        let address = canonical(address);
        let refuse = |kind: &str| {
            let target = if host.trim_matches(['[', ']']) == address.to_string() {
                format!("'{address}'")
            } else {
                format!("'{host}' ({address})")
            };
            Err(FetchError::NotAllowed { target, fault: format!("it is a {kind} address; {}", mend(host)) })
        };
        if self.allowed_hosts.contains(&address.to_string()) {
            return Ok(());
        }
        match kind_of(address) {
            None => Ok(()),
            Some(Kind::Private(_)) if self.is_allowed_by_name(host) => Ok(()),
            Some(Kind::Never(kind) | Kind::Private(kind)) => refuse(kind),
        }
    }
}

fn mend(host: &str) -> String {
    format!("to allow it, add '{}' to sources.allowedHosts in the operator's settings", host.trim_matches(['[', ']']))
}

fn is_internal_name(domain: &str) -> bool {
    let name = domain.trim_end_matches('.').to_lowercase();
    !name.contains('.')
        || INTERNAL_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        // `name.namespace.svc.<any cluster domain>`
        || name.split('.').skip(1).any(|label| label == "svc")
}

enum Kind {
    /// Allowed for a host that the settings name.
    Private(&'static str),
    /// Allowed only when the settings name the address.
    Never(&'static str),
}

/// An IPv4 address in IPv6 clothes is judged as what it reaches.
fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return v4.into();
    }
    let embedded = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, _] => address,
        // NAT64 under its well-known prefix, the deprecated IPv4-compatible and IPv4-translated forms, and 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x2002, high, low, ..] => embedded(high, low),
        _ => address,
    }
}

fn kind_of(address: IpAddr) -> Option<Kind> {
    match address {
        IpAddr::V4(v4) => kind_of_v4(v4),
        IpAddr::V6(v6) => kind_of_v6(v6),
    }
}

fn kind_of_v4(address: Ipv4Addr) -> Option<Kind> {
    let within = |a, b, c, d, length| Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length).contains(&address);
    let kind = match address {
        _ if within(0, 0, 0, 0, 8) => Kind::Never("non-routable"),
        _ if address.is_link_local() => Kind::Never("link-local"),
        _ if address.is_multicast() || within(240, 0, 0, 0, 4) => Kind::Never("multicast or reserved"),
        _ if address.is_loopback() => Kind::Private("loopback"),
        _ if address.is_private() => Kind::Private("private"),
        _ if within(100, 64, 0, 0, 10) => Kind::Private("shared (carrier-grade NAT)"),
        _ if within(192, 0, 0, 0, 24) || within(198, 18, 0, 0, 15) => Kind::Private("special-purpose"),
        _ if address.is_documentation() => Kind::Private("documentation"),
        _ => return None,
    };
    Some(kind)
}

fn kind_of_v6(address: Ipv6Addr) -> Option<Kind> {
    let within = |text: &str| text.parse::<Ipv6Net>().is_ok_and(|net| net.contains(&address));
    let kind = match address {
        _ if address.is_unspecified() => Kind::Never("non-routable"),
        _ if address.is_unicast_link_local() => Kind::Never("link-local"),
        _ if address.is_multicast() => Kind::Never("multicast or reserved"),
        // The metadata service of one large cloud lives at a unique-local address.
        _ if within("fd00:ec2::/32") => Kind::Never("cloud metadata"),
        _ if address.is_loopback() => Kind::Private("loopback"),
        _ if address.is_unique_local() => Kind::Private("private"),
        _ if within("fec0::/10") => Kind::Private("site-local"),
        _ if within("64:ff9b:1::/48") => Kind::Private("local NAT64"),
        _ if within("2001:db8::/32") || within("3fff::/20") => Kind::Private("documentation"),
        _ if within("2001::/23") || within("100::/64") || within("5f00::/16") => Kind::Private("special-purpose"),
        _ => return None,
    };
    Some(kind)
}

/// A URL as logs and messages may show it: without user, query and fragment, which can carry secrets.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only on URLs that cannot have a user, and then there is none to remove.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    let text: String = url.as_str().chars().take(300).collect();
    format!("'{text}'")
}

#[cfg(test)]
mod tests;
