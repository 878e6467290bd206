//! The settings file of `alcazar-gateway run --settings FILE`: YAML, checked as a whole before anything starts.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use alcazar_contract::{GATEWAY_PEER_PORT, GATEWAY_PORT, PROBE_PORT};
use serde::Deserialize;

/// The settings as the file has them; [`load`] has checked them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// The public API, TLS.
    pub listen: SocketAddr,
    /// Health and metrics, plain.
    pub probe_listen: SocketAddr,
    /// Other replicas, mutual TLS.
    pub peer_listen: SocketAddr,
    /// `tls.crt` and `tls.key` that clients see.
    pub tls_dir: PathBuf,
    /// `tls.crt`, `tls.key` and `ca.crt` for calls to model pods and between replicas.
    pub client_dir: PathBuf,
    /// Namespaces whose keys and models are served; empty: all.
    pub watch_namespaces: Vec<String>,
    /// What happens to requests while a model has no ready pod.
    pub hold: Hold,
    /// Bounds against floods.
    pub limits: Limits,
    /// How model pods are called.
    pub upstream: Upstream,
    /// How replicas find each other.
    pub peers: Peers,
    /// Where records go.
    pub audit: Audit,
    /// The tunnel in front.
    pub vpn: Vpn,
}

impl Default for Settings {
    fn default() -> Self {
        let all = |port| SocketAddr::from(([0, 0, 0, 0], port));
        Self {
            listen: all(GATEWAY_PORT),
            probe_listen: all(PROBE_PORT),
            peer_listen: all(GATEWAY_PEER_PORT),
            tls_dir: "/tls".into(),
            client_dir: "/client".into(),
            watch_namespaces: Vec::new(),
            hold: Hold::default(),
            limits: Limits::default(),
            upstream: Upstream::default(),
            peers: Peers::default(),
            audit: Audit::default(),
            vpn: Vpn::default(),
        }
    }
}

/// What happens to requests while a model has no ready pod.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Hold {
    /// Longest time that a request is held. Default: 60.
    pub seconds: u64,
    /// Most requests that are held at once. Default: 256.
    pub requests: usize,
}

impl Default for Hold {
    fn default() -> Self {
        Self { seconds: 60, requests: 256 }
    }
}

/// Bounds against floods.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Of one request. Default: 8 MiB.
    pub max_body_bytes: usize,
    /// Of all bodies that are in memory. Default: 256 MiB.
    pub max_bodies_bytes: usize,
    /// Open connections; one more closes the one that was idle for longest. Default: 16384.
    pub max_connections: usize,
    /// Requests under way. Default: 4096.
    pub max_requests: usize,
    /// For a TLS handshake, and for the head of a request. Default: 10.
    pub header_seconds: u64,
    /// For the body of a request. Default: 60.
    pub body_seconds: u64,
    /// A connection without a request is closed after it. Default: 120.
    pub idle_seconds: u64,
    /// For running answers, once told to end. Default: 110.
    pub drain_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 8 << 20,
            max_bodies_bytes: 256 << 20,
            max_connections: 16_384,
            max_requests: 4096,
            header_seconds: 10,
            body_seconds: 60,
            idle_seconds: 120,
            drain_seconds: 110,
        }
    }
}

/// How model pods are called.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Upstream {
    /// What is offered; a pod that speaks only HTTP/1.1 gets that.
    pub protocol: Protocol,
    /// Longest time until the head of an answer. Default: 600.
    pub answer_seconds: u64,
    /// Requests that are sent again, at most, after one that was not started. Default: 3.
    pub retries: usize,
}

impl Default for Upstream {
    fn default() -> Self {
        Self { protocol: Protocol::default(), answer_seconds: 600, retries: 3 }
    }
}

/// HTTP towards the pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Protocol {
    /// One connection for many requests; a pod tells which of them it did not begin.
    #[default]
    Http2,
    /// One connection for each request at a time.
    Http1,
}

/// How replicas find each other.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Peers {
    /// Headless Service on the peer port, in the gateway's own namespace; empty: there is one replica.
    pub service: String,
    /// How long the owner of a key's account is waited for. Default: 10.
    pub answer_milliseconds: u64,
}

impl Default for Peers {
    fn default() -> Self {
        Self { service: String::new(), answer_milliseconds: 10 }
    }
}

/// Where records go.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Audit {
    /// Empty: stdout.
    pub file: PathBuf,
    /// Size at which a file is rotated. Default: 64 MiB.
    pub max_bytes: u64,
    /// Rotated files that are kept. Default: 10.
    pub keep: usize,
}

impl Default for Audit {
    fn default() -> Self {
        Self { file: PathBuf::new(), max_bytes: 64 << 20, keep: 10 }
    }
}

/// The tunnel in front.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Vpn {
    /// Whether there is one.
    pub enabled: bool,
    /// WireGuard's UDP address.
    pub listen: Option<SocketAddr>,
    /// WireGuard's private key, base64.
    pub private_key_file: PathBuf,
    /// Addresses inside the tunnel, for example `10.88.0.0/16`.
    pub cidr: String,
    /// The gateway's own among them.
    pub address: String,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("failed to read the settings file {}: {source}", path.display())]
    Read {
        /// As given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no YAML of this shape.
    #[error("failed to parse the settings file {}: {source}", path.display())]
    Parse {
        /// As given.
        path: PathBuf,
        /// Field and line.
        source: serde_yaml::Error,
    },
    /// A field has a value that cannot work.
    #[error("invalid settings: {field} is {found}; it must be {expected}")]
    Invalid {
        /// Path of the field.
        field: &'static str,
        /// What the file has.
        found: u64,
        /// What it must be.
        expected: &'static str,
    },
}

/// Reads and checks the file.
pub fn load(path: &Path) -> Result<Settings, SettingsError> {
    let text = fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.into(), source })?;
    let settings: Settings =
        serde_yaml::from_str(&text).map_err(|source| SettingsError::Parse { path: path.into(), source })?;
    settings.check()?;
    Ok(settings)
}

impl Settings {
    fn check(&self) -> Result<(), SettingsError> {
        let limits = &self.limits;
        let bytes = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        for (field, found) in [
            ("limits.maxConnections", bytes(limits.max_connections)),
            ("limits.maxRequests", bytes(limits.max_requests)),
            ("limits.headerSeconds", limits.header_seconds),
            ("limits.bodySeconds", limits.body_seconds),
            ("limits.idleSeconds", limits.idle_seconds),
            ("upstream.answerSeconds", self.upstream.answer_seconds),
            ("peers.answerMilliseconds", self.peers.answer_milliseconds),
            ("audit.keep", bytes(self.audit.keep)),
        ] {
            if found == 0 {
                return Err(SettingsError::Invalid { field, found, expected: "at least 1" });
            }
        }
        if limits.max_body_bytes < 1024 || limits.max_body_bytes > limits.max_bodies_bytes {
            let (field, found) = ("limits.maxBodyBytes", bytes(limits.max_body_bytes));
            let expected = "at least 1024 and at most limits.maxBodiesBytes";
            return Err(SettingsError::Invalid { field, found, expected });
        }
        if self.audit.max_bytes < 4096 {
            let (field, found) = ("audit.maxBytes", self.audit.max_bytes);
            return Err(SettingsError::Invalid { field, found, expected: "at least 4096" });
        }
        Ok(())
    }
}

impl Limits {
    pub(crate) fn header_time(&self) -> Duration {
        Duration::from_secs(self.header_seconds)
    }

    pub(crate) fn idle_time(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        let settings: Settings = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        settings.check().map_err(|error| error.to_string())?;
        Ok(settings)
    }

    #[test]
    fn an_empty_file_is_enough() {
        let settings = parse("{}").expect("defaults should hold");
        assert_eq!(settings.listen.port(), GATEWAY_PORT);
        assert_eq!(settings.hold.seconds, 60);
    }

    #[test]
    fn takes_what_the_chart_writes() {
        let text = "
listen: 0.0.0.0:8443
probeListen: 0.0.0.0:8081
peerListen: 0.0.0.0:8444
tlsDir: /tls
clientDir: /client
watchNamespaces: [team-a]
hold: {seconds: 30, requests: 100}
limits: {maxBodyBytes: 1048576, maxConnections: 100, headerSeconds: 5}
peers: {service: alcazar-gateway-peers}
audit: {file: /audit/audit.log, maxBytes: 1048576, keep: 3}
vpn: {enabled: true, listen: '0.0.0.0:51820', privateKeyFile: /vpn/privateKey, cidr: 10.88.0.0/16, address: 10.88.0.1}
";
        assert_eq!(parse(text).expect("it should be taken").hold.requests, 100);
    }

    #[test]
    fn refuses_what_cannot_work() {
        for text in ["nonsense: 1", "hold: {minutes: 1}", "limits: {maxConnections: 0}", "limits: {maxBodyBytes: 1}"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
