//! The settings file of `alcazar-operator run --settings FILE`: YAML, validated as a whole before anything starts.

use std::{
    collections::BTreeMap,
    fs, io,
    net::{Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use alcazar_contract::CANARY_PORT;
use alcazar_crds::llm_model::DEFAULT_SIZE;
use ipnet::IpNet;
use k8s_openapi::{api::networking::v1::NetworkPolicyPeer, apimachinery::pkg::api::resource::Quantity};
use serde::Deserialize;
use url::Url;

use crate::{admin, compare::quantity};

mod gateway;
mod rules;
#[cfg(test)]
mod tests;

pub use self::{
    gateway::{Gateway, Vpn},
    rules::{Isolation, Require},
};

/// The settings as the file has them; [`load`] has checked them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Image of fetch Jobs and of model pods without a GPU.
    pub runtime_image: String,
    /// Image of model pods with a GPU; empty: deployments that ask for one are refused with the mend.
    #[serde(default)]
    pub runtime_cuda_image: String,
    /// Pull policy of both.
    #[serde(default)]
    pub image_pull_policy: ImagePullPolicy,
    /// Pull secrets that every namespace with models has.
    #[serde(default)]
    pub image_pull_secret_names: Vec<String>,
    /// Where /metrics, /livez and /readyz are served.
    #[serde(default = "default_listen")]
    pub admin_listen: SocketAddr,
    /// Where the canary answers everybody who can reach it.
    #[serde(default = "default_canary")]
    pub canary_listen: SocketAddr,
    /// Namespaces to look after; empty: all.
    #[serde(default)]
    pub watch_namespaces: Vec<String>,
    /// Hub of `huggingFace` sources that name no endpoint.
    #[serde(default = "default_hub")]
    pub hugging_face_endpoint: String,
    /// Hosts that sources may name although they are private, of the cluster, or spoken to without TLS.
    #[serde(default)]
    pub allowed_hosts: Vec<String>,
    /// Addresses of hosts behind a CDN, instead of what they resolve to.
    #[serde(default)]
    pub source_cidrs: BTreeMap<String, Vec<String>>,
    /// Keys of labels that children inherit.
    #[serde(default)]
    pub propagated_labels: Vec<String>,
    /// Peers that may scrape metrics.
    #[serde(default)]
    pub metrics_from: Vec<NetworkPolicyPeer>,
    /// Used where a spec says nothing.
    #[serde(default)]
    pub defaults: Defaults,
    /// The gateway and its VPN.
    #[serde(default)]
    pub gateway: Gateway,
    /// What every model of the cluster must have.
    #[serde(default)]
    pub require: Require,
    /// What the proof of isolation tries besides what it always tries.
    #[serde(default)]
    pub isolation: Isolation,
}

/// Pull policy of the runtime images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ImagePullPolicy {
    /// Pull at every start.
    Always,
    /// Pull when the node lacks the image.
    #[default]
    IfNotPresent,
    /// Never pull.
    Never,
}

impl ImagePullPolicy {
    /// As Kubernetes spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// Used where a spec says nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Defaults {
    /// Storage class of model volumes; none: the cluster's default class.
    pub storage_class_name: Option<String>,
    /// Size of model volumes.
    pub storage_size: Quantity,
    /// CPU request of model pods.
    pub cpu: Quantity,
    /// Memory request and limit of model pods.
    pub memory: Quantity,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            storage_class_name: None,
            storage_size: Quantity(DEFAULT_SIZE.into()),
            cpu: Quantity("2".into()),
            memory: Quantity("4Gi".into()),
        }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], admin::PORT))
}

/// Of both families, where the machine has both.
fn default_canary() -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, CANARY_PORT))
}

fn default_hub() -> String {
    "https://huggingface.co".into()
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
    #[error("invalid settings: {field} is {found:?}; it must be {expected}")]
    Invalid {
        /// Path of the field.
        field: String,
        /// What the file has.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
}

/// Reads and checks the file.
pub fn load(path: &Path) -> Result<Settings, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
    let settings: Settings =
        serde_yaml::from_str(&text).map_err(|source| Error::Parse { path: path.into(), source })?;
    settings.check()?;
    Ok(settings)
}

impl Settings {
    fn check(&self) -> Result<(), Error> {
        require(!self.runtime_image.trim().is_empty(), "runtimeImage", &self.runtime_image, "an image reference")?;
        require(
            is_http_url(&self.hugging_face_endpoint),
            "huggingFaceEndpoint",
            &self.hugging_face_endpoint,
            "an http(s) URL",
        )?;
        for (index, namespace) in self.watch_namespaces.iter().enumerate() {
            require(is_dns_label(namespace), &format!("watchNamespaces[{index}]"), namespace, "a namespace name")?;
        }
        for (index, host) in self.allowed_hosts.iter().enumerate() {
            require(
                is_host(host),
                &format!("allowedHosts[{index}]"),
                host,
                "a lower-case host name or address without scheme, port or path",
            )?;
        }
        for (host, cidrs) in &self.source_cidrs {
            require(is_host(host), "sourceCidrs", host, "keyed by lower-case host names")?;
            for (index, cidr) in cidrs.iter().enumerate() {
                require(
                    cidr.parse::<IpNet>().is_ok(),
                    &format!("sourceCidrs.{host}[{index}]"),
                    cidr,
                    "a CIDR such as 203.0.113.0/24",
                )?;
            }
        }
        self.gateway.check()?;
        self.require.check()?;
        self.isolation.check()?;
        self.defaults.check()
    }

    /// Whether a source may name this host although it is private, internal, or spoken to without TLS.
    #[must_use]
    pub fn allows_host(&self, host: &str) -> bool {
        self.allowed_hosts.iter().any(|allowed| allowed == host)
    }
}

impl Defaults {
    fn check(&self) -> Result<(), Error> {
        for (field, value) in [("storageSize", &self.storage_size), ("cpu", &self.cpu), ("memory", &self.memory)] {
            let positive = quantity::parse(&value.0).is_some_and(|parsed| parsed > quantity::ZERO);
            require(positive, &format!("defaults.{field}"), &value.0, "a positive quantity such as 500m or 4Gi")?;
        }
        Ok(())
    }
}

fn require(holds: bool, field: &str, found: &str, expected: &'static str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Invalid { field: field.into(), found: found.into(), expected }) }
}

fn is_http_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
}

fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= 63 && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Labels with dots between them, lower-case.
fn is_dns_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// `host:port`, the host an address (IPv6 in brackets) or a DNS name.
fn is_target(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = bracketed.map_or_else(|| is_dns_name(host), |host| host.parse::<Ipv6Addr>().is_ok());
    host && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// An IP address with a port; an IPv6 address in brackets.
fn is_address(text: &str) -> bool {
    text.parse::<SocketAddr>().is_ok_and(|address| address.port() > 0)
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text == text.to_ascii_lowercase() && url::Host::parse(text).is_ok()
}
