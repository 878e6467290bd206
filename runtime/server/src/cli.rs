//! What may be written on the command line. Configuration comes from here and from mounted files only.

use std::{
    net::{IpAddr, SocketAddr},
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
};

use crate::adapters::{Given, parse_given};
use alcazar_contract::{
    MODEL_PORT, PROBE_PORT,
    isolation::{Target, TargetKind},
    paths,
};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Serves one model over an OpenAI-compatible API, and fetches and verifies it.
#[derive(Debug, Parser)]
#[command(name = "alcazar-runtime", version)]
pub struct Cli {
    /// Least severe level that is logged: error, warn, info, debug or trace; or a filter per module.
    #[arg(long, global = true, default_value = "info")]
    pub log_level: String,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a model.
    Serve(Serve),
    /// Bring a model to a volume and seal it.
    Fetch(Fetch),
    /// Hash a model and compare it with a digest.
    Verify(Verify),
    /// Print what a model file says of itself, as JSON.
    Inspect {
        /// A model file or directory.
        model: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct Serve {
    /// A model file or directory.
    #[arg(long, value_name = "DIR|FILE")]
    pub model: PathBuf,
    /// Manifest digest that the files must have; they are hashed before any is opened.
    #[arg(long, value_name = "sha256:HEX")]
    pub digest: Option<String>,
    /// Name of the model in the API; without it the name that the file carries, or that of the path.
    #[arg(long)]
    pub name: Option<String>,
    /// An adapter to serve under a name of its own, beside those in the model's adapters/ folder; may be repeated.
    #[arg(long, value_name = "NAME=DIR", value_parser = parse_given)]
    pub adapter: Vec<Given>,
    /// Where the API listens.
    #[arg(long, default_value_t = any(MODEL_PORT))]
    pub listen: SocketAddr,
    /// Where probes, metrics and status listen.
    #[arg(long, default_value_t = any(PROBE_PORT))]
    pub probe_listen: SocketAddr,
    /// Directory with the age identity (key, and previous ones) that opens encrypted files.
    #[arg(long, value_name = "DIR")]
    pub encryption_key_dir: Option<PathBuf>,
    /// Directory with tls.crt and tls.key, read again when they change; without it the API is plain HTTP.
    #[arg(long)]
    pub tls_dir: Option<PathBuf>,
    /// Who is answered over TLS.
    #[arg(long, value_enum, ignore_case = true, default_value_t = Clients::Any, requires = "tls_dir")]
    pub clients: Clients,
    /// Longest context to serve, in tokens; without it that of the model, as far as memory allows.
    #[arg(long)]
    pub context_length: Option<NonZeroUsize>,
    /// Sequences that are computed together at most.
    #[arg(long, default_value = "16")]
    pub max_sequences: NonZeroUsize,
    /// Requests that may wait for a place.
    #[arg(long, default_value = "64")]
    pub max_queued: usize,
    /// How long a request may take from its arrival to the end of its answer.
    #[arg(long, default_value = "3600")]
    pub request_seconds: NonZeroU64,
    /// How long running answers may take to end after SIGTERM.
    #[arg(long, default_value_t = 60)]
    pub drain_seconds: u64,
    /// Whether weights are opened only after the targets were found unreachable.
    #[arg(long, value_enum, ignore_case = true, default_value_t = IsolationMode::BestEffort)]
    pub isolation: IsolationMode,
    /// What this pod must not reach: host:port, or Kind=host:port, tried by a new connection; with /udp behind it by a
    /// DNS query. May be repeated.
    #[arg(long, value_name = "[KIND=]HOST:PORT")]
    pub isolation_target: Vec<Target>,
    /// Addresses of the node that this pod runs on, with commas between them.
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
    pub isolation_node: Vec<IpAddr>,
    /// What listens on the node and must not be reached, as Kind=port: tried at the node's addresses, at this pod's
    /// gateways, and at their link-local IPv6 addresses. May be repeated.
    #[arg(long, value_name = "KIND=PORT", value_parser = node_port)]
    pub isolation_node_port: Vec<(TargetKind, u16)>,
    /// Whether the resolvers of /etc/resolv.conf must not be reached either.
    #[arg(long)]
    pub isolation_resolvers: bool,
    /// Threads that compute; without it as many as the cgroup's CPU quota and the affinity allow.
    #[arg(long)]
    pub threads: Option<NonZeroUsize>,
    /// Where the reason of a failure is written for Kubernetes.
    #[arg(long, default_value = paths::TERMINATION_LOG)]
    pub termination_log: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Clients {
    /// Everybody who can connect.
    Any,
    /// Only a gateway, by its certificate: issued by an authority of ca.crt in the TLS directory, for clients, with the
    /// name alcazar-gateway.
    Gateway,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IsolationMode {
    /// No weights are opened, and nothing is served, while a target can be reached.
    Required,
    /// The finding is reported only.
    #[value(name = "BestEffort")]
    BestEffort,
}

#[derive(Debug, Args)]
pub struct Fetch {
    /// What to fetch, as JSON.
    #[arg(long, value_name = "JSON")]
    pub source: String,
    /// Root of the volume.
    #[arg(long, default_value = paths::WEIGHTS)]
    pub into: PathBuf,
    /// Manifest digest that the model must have.
    #[arg(long, value_name = "sha256:HEX")]
    pub expect_digest: Option<String>,
    /// Mounted Secret with the key token, or username and password.
    #[arg(long)]
    pub credentials_dir: Option<PathBuf>,
    /// A host that may be private, inside the cluster, or speak plain HTTP; may be repeated.
    #[arg(long, value_name = "HOST")]
    pub allow_host: Vec<String>,
    /// Certificate authorities (PEM) to trust beside the system's.
    #[arg(long)]
    pub ca_file: Option<PathBuf>,
    #[command(flatten)]
    pub protection: Protection,
    /// Where the progress is told.
    #[arg(long, default_value_t = any(PROBE_PORT))]
    pub probe_listen: SocketAddr,
    /// Where the report is written for Kubernetes.
    #[arg(long, default_value = paths::TERMINATION_LOG)]
    pub termination_log: PathBuf,
}

/// Whose signature files must have, and for whom they are encrypted.
#[derive(Debug, Args)]
pub struct Protection {
    /// Public key (PEM) of who must have signed the model.
    #[arg(long, value_name = "FILE", conflicts_with = "signature_roots")]
    pub signature_key: Option<PathBuf>,
    /// Certificates (PEM) that the signer's must lead to; a file identity beside them says whose it must be.
    #[arg(long, value_name = "FILE")]
    pub signature_roots: Option<PathBuf>,
    /// Directory with the age identity (key, and previous ones) that the files are encrypted for.
    #[arg(long, value_name = "DIR")]
    pub encryption_key_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// A model file or directory.
    #[arg(long, value_name = "DIR|FILE")]
    pub model: PathBuf,
    /// Manifest digest that the model must have.
    #[arg(long, value_name = "sha256:HEX")]
    pub expect_digest: Option<String>,
    #[command(flatten)]
    pub protection: Protection,
    /// Where the progress is told.
    #[arg(long, default_value_t = any(PROBE_PORT))]
    pub probe_listen: SocketAddr,
    /// Where the report is written for Kubernetes.
    #[arg(long, default_value = paths::TERMINATION_LOG)]
    pub termination_log: PathBuf,
}

fn node_port(text: &str) -> Result<(TargetKind, u16), String> {
    let (kind, port) = text.split_once('=').ok_or_else(|| format!("{text:?} is not Kind=port"))?;
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(|| format!("{port:?} is no port"))?;
    Ok((kind.parse()?, port))
}

fn any(port: u16) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], port))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_arguments_of_the_operator_are_understood() {
        let line = "alcazar-runtime serve --model /weights/sha256-00 --digest sha256:00 --name x --tls-dir /tls \
                    --clients Gateway --context-length 2048 --max-sequences 8 --drain-seconds 30 --isolation Required \
                    --isolation-target Public=1.1.1.1:443 --isolation-target ApiServer=10.96.0.1:443 \
                    --isolation-node 192.0.2.5,fd00::5 --isolation-node-port Kubelet=10250 --isolation-resolvers";
        let Command::Serve(serve) = Cli::try_parse_from(line.split_whitespace()).expect("serve").command else {
            panic!("serve")
        };
        assert_eq!((serve.isolation, serve.isolation_target.len()), (IsolationMode::Required, 2));
        assert_eq!(serve.isolation_target[0], Target::tcp(TargetKind::Public, "1.1.1.1:443"));
        assert_eq!(serve.isolation_node_port, [(TargetKind::Kubelet, 10250)]);
        assert_eq!((serve.clients, serve.isolation_node.len(), serve.isolation_resolvers), (Clients::Gateway, 2, true));
        assert_eq!((serve.listen.port(), serve.probe_listen.port(), serve.drain_seconds), (8443, 8081, 30));
        let line = "alcazar-runtime fetch --source {} --into /weights --expect-digest sha256:00 --credentials-dir \
                    /credentials --allow-host hub.hub.svc --allow-host x --termination-log /dev/termination-log";
        let Command::Fetch(fetch) = Cli::try_parse_from(line.split_whitespace()).expect("fetch").command else {
            panic!("fetch")
        };
        assert_eq!(fetch.allow_host, ["hub.hub.svc", "x"]);
        for bad in [
            "alcazar-runtime serve",
            "alcazar-runtime serve --model x --isolation Maybe",
            "alcazar-runtime serve --model x --isolation-target Door=10.0.0.1:1",
            "alcazar-runtime serve --model x --isolation-node-port Kubelet=0",
            "alcazar-runtime serve --model x --clients Gateway",
            "alcazar-runtime",
        ] {
            assert!(Cli::try_parse_from(bad.split_whitespace()).is_err(), "{bad}");
        }
    }
}
