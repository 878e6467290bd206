//! Where a fetch may go: HTTPS to public hosts, and on top whatever the settings allow by name. Pure.
//!
//! The runtime applies the same rules to every redirect and to every address it connects to. Here they come first, so that
//! a source that is not allowed makes no Job, no name lookup and no request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

use crate::settings::Settings;

/// Names that only mean something inside a cluster or a site.
const INTERNAL_SUFFIXES: [&str; 7] =
    [".svc", ".cluster.local", ".local", ".localhost", ".internal", ".home.arpa", ".localdomain"];

/// A host that the fetch is to reach.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceHost {
    /// Lower-case name, or an address without brackets.
    pub(crate) name: String,
    /// Of the URL, or its scheme's.
    pub(crate) port: u16,
    /// Whether the settings allow it by name: it may be private then.
    pub(crate) allowed: bool,
}

impl SourceHost {
    /// Name and namespace, where the host names a Service of the cluster.
    pub(crate) fn service(&self) -> Option<(&str, &str)> {
        let labels: Vec<&str> = self.name.trim_end_matches('.').split('.').collect();
        match labels.as_slice() {
            [name, namespace, "svc", ..] => Some((name, namespace)),
            _ => None,
        }
    }
}

/// The host of a URL, or why nothing may be sent to it.
pub(crate) fn vet_url(text: &str, settings: &Settings) -> Result<SourceHost, String> {
    let url = Url::parse(text).map_err(|source| format!("'{text}' is no URL: {source}"))?;
    let refuse = |fault: String| Err(format!("'{}' is not allowed: {fault}", shown(&url)));
    let (Some(host), true) = (url.host(), matches!(url.scheme(), "http" | "https")) else {
        return refuse(format!("the scheme '{}' is not allowed; use https", url.scheme()));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("credentials do not belong in a URL; name a Secret instead".to_owned());
    }
    let name = host.to_string().trim_matches(['[', ']']).trim_end_matches('.').to_lowercase();
    let port = url.port_or_known_default().unwrap_or(443);
    if settings.allows_host(&name) {
        return Ok(SourceHost { name, port, allowed: true });
    }
    if url.scheme() == "http" {
        return refuse(format!("plain http is for hosts on the allow-list only; use https, or {}", mend(&name)));
    }
    let kind = match host {
        Host::Domain(_) => is_internal(&name).then_some("a name inside the cluster or the site"),
        Host::Ipv4(address) => (!is_public(address.into())).then_some("not a public address"),
        Host::Ipv6(address) => (!is_public(address.into())).then_some("not a public address"),
    };
    match kind {
        Some(kind) => refuse(format!("it is {kind}; {}", mend(&name))),
        None => Ok(SourceHost { name, port, allowed: false }),
    }
}

/// The addresses of a host that may be reached; of one that is not allowed by name, the public ones.
pub(crate) fn vet_addresses(host: &SourceHost, addresses: &[IpAddr]) -> Result<Vec<IpNet>, String> {
    let may = |address: &IpAddr| if host.allowed { !is_forbidden(*address) } else { is_public(*address) };
    let mut nets: Vec<IpNet> =
        addresses.iter().filter(|address| may(address)).map(|address| (*address).into()).collect();
    nets.sort_unstable();
    nets.dedup();
    match addresses.first() {
        Some(first) if nets.is_empty() => Err(format!(
            "'{}' is not allowed: it resolves to {first}, which is not a public address; {}",
            host.name,
            mend(&host.name)
        )),
        _ => Ok(nets),
    }
}

fn mend(host: &str) -> String {
    format!("to allow it, add '{host}' to allowedHosts in the operator's settings")
}

/// A URL as a message may show it: no credentials, no query.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Neither can fail for a URL with a host; one without has no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

fn is_internal(name: &str) -> bool {
    !name.contains('.')
        || INTERNAL_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        // `name.namespace.svc.<any cluster domain>`
        || name.split('.').skip(1).any(|label| label == "svc")
}

/// Never a source, allowed by name or not: the machine itself, and the metadata services of clouds.
fn is_forbidden(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(v4) => {
            v4.is_link_local() || v4.is_loopback() || v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast()
        }
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_loopback() || v6.is_unspecified() || v6.is_multicast(),
    }
}

fn is_public(address: IpAddr) -> bool {
    !is_forbidden(address)
        && match canonical(address) {
            IpAddr::V4(v4) => is_public_v4(v4),
            IpAddr::V6(v6) => is_public_v6(v6),
        }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocol = a == 192 && b == 0 && c == 0;
    let benchmark = a == 198 && (18..20).contains(&b);
    !(address.is_private() || a == 0 || a >= 240 || shared || protocol || benchmark)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Global unicast, less what stands for an IPv4 address inside it (6to4, Teredo).
    let first = address.segments()[0];
    (0x2000..0x4000).contains(&first) && first != 0x2002 && address.segments()[..2] != [0x2001, 0]
}

/// An IPv4 address in IPv6 clothes is judged as what it is.
fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::model::tests::settings;

    #[test]
    fn urls() {
        for (url, fault) in [
            ("https://huggingface.co", None),
            ("https://files.example.com:8443/a.gguf", None),
            ("http://hub.hub.svc", None),
            ("https://203.0.113.9/x", None),
            ("file:///etc/passwd", Some("the scheme 'file'")),
            ("ftp://files.example.com/x", Some("the scheme 'ftp'")),
            ("http://files.example.com/x", Some("plain http")),
            ("https://169.254.169.254/latest", Some("not a public address")),
            ("https://10.0.0.7/x", Some("not a public address")),
            ("https://127.0.0.1/x", Some("not a public address")),
            ("https://[::1]/x", Some("not a public address")),
            ("https://[::ffff:10.0.0.1]/x", Some("not a public address")),
            ("https://[fd00::1]/x", Some("not a public address")),
            ("https://0x7f000001/x", Some("not a public address")),
            ("https://kubernetes.default.svc/x", Some("inside the cluster")),
            ("https://kubernetes.default.svc.cluster.local/x", Some("inside the cluster")),
            ("https://minio.storage.svc.corp.example/x", Some("inside the cluster")),
            ("https://localhost/x", Some("inside the cluster")),
            ("https://intranet/x", Some("inside the cluster")),
            ("https://metadata.google.internal/x", Some("inside the cluster")),
            ("https://user:pw@files.example.com/x", Some("credentials")),
            ("nonsense", Some("no URL")),
        ] {
            match (vet_url(url, &settings()), fault) {
                (Ok(_), None) => {}
                (Err(message), Some(fault)) => {
                    assert!(message.contains(fault), "{url}: {message}");
                    assert!(!message.contains("pw"), "{message}");
                }
                (answer, _) => unreachable!("{url}: {answer:?}"),
            }
        }
    }

    #[test]
    fn addresses() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let host = |allowed| SourceHost { name: "x.example.com".into(), port: 443, allowed };
        let rebound = vet_addresses(&host(false), &[ip("10.0.0.1"), ip("169.254.169.254")]);
        assert!(rebound.unwrap_err().contains("10.0.0.1"));
        let mixed = vet_addresses(&host(false), &[ip("10.0.0.1"), ip("203.0.113.9")]).unwrap();
        assert_eq!(mixed, ["203.0.113.9/32".parse::<IpNet>().unwrap()]);
        assert_eq!(vet_addresses(&host(true), &[ip("10.0.0.1")]).unwrap().len(), 1);
        assert!(vet_addresses(&host(true), &[ip("169.254.169.254")]).is_err());
    }

    #[test]
    fn services() {
        let host = |name: &str| SourceHost { name: name.into(), port: 80, allowed: true };
        assert_eq!(host("hub.hub.svc").service(), Some(("hub", "hub")));
        assert_eq!(host("hub.ns.svc.cluster.local").service(), Some(("hub", "ns")));
        assert_eq!(host("huggingface.co").service(), None);
    }
}
