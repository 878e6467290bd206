//! What may be written on the command line.

use std::{net::Ipv4Addr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Makes keys and VPN peers for people, beside kubectl.
///
/// YAML to apply or to commit goes to standard output. What is secret is shown once on standard error, or goes into a
/// file; it is never sent to the cluster.
#[derive(Debug, Parser)]
#[command(name = "alcazar", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// Groups of commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// API keys of the gateway.
    #[command(subcommand)]
    Keys(Keys),
    /// Peers of the gateway's VPN.
    #[command(subcommand)]
    Vpn(Vpn),
    /// Signatures of models, as OpenSSF Model Signing has them.
    #[command(subcommand)]
    Model(Model),
    /// The gateway's audit log.
    #[command(subcommand)]
    Audit(Audit),
}

/// Commands about keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key, show it once, and print the LlmApiKey that holds its hash.
    ///
    /// Needs no cluster. Example: `alcazar keys create ana --owner ana@example.com -n team-a --expires 90d > ana.yaml`.
    Create(CreateKey),
    /// Revoke a key in the cluster now; where its YAML is in Git, set `spec.state: Revoked` there too.
    Revoke(RevokeKey),
    /// List keys: owner, state, expiry, last use, requests and tokens so far. Never the key, which nobody has.
    List(ListKeys),
}

/// Arguments of `keys create`.
#[derive(Debug, Args)]
pub struct CreateKey {
    /// Name of the LlmApiKey.
    pub name: String,
    /// Who uses it: a person or a program, 1 to 253 characters.
    #[arg(long)]
    pub owner: String,
    /// Namespace of the models that the key opens; without it, the one that the YAML is applied to.
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// LlmDeployments that the key opens, separated by commas; without it, all of the namespace.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub models: Vec<String>,
    /// Requests that it may make in a minute.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    pub requests_per_minute: Option<i32>,
    /// Tokens, of prompts and answers together, that it may use in a minute.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    pub tokens_per_minute: Option<i32>,
    /// Tokens that it may use in a day.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i64).range(1..))]
    pub tokens_per_day: Option<i64>,
    /// When it ends: a span (90d, 12h), the end of a day in UTC (2027-01-31), or a time (2027-01-31T12:00:00Z).
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<String>,
    /// Write the key to a new file that only you can read, instead of showing it.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Form of what goes to standard output.
    #[arg(short, long, value_enum, default_value_t = Output::Yaml)]
    pub output: Output,
}

/// Arguments of `keys revoke`.
#[derive(Debug, Args)]
pub struct RevokeKey {
    /// Name of the LlmApiKey.
    pub name: String,
    /// Its namespace; without it, that of the kubeconfig's context.
    #[arg(short, long)]
    pub namespace: Option<String>,
}

/// Arguments of `keys list`.
#[derive(Debug, Args)]
pub struct ListKeys {
    /// Which namespace; without it, that of the kubeconfig's context.
    #[arg(short, long, conflicts_with = "all_namespaces")]
    pub namespace: Option<String>,
    /// Keys of all namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}

/// Commands about peers.
#[derive(Debug, Subcommand)]
pub enum Vpn {
    /// Make a key pair, show the file for wg-quick and its QR code once, and print the LlmVpnPeer.
    ///
    /// The server's facts come from the cluster, or from flags without one. Example:
    /// `alcazar vpn add ana --owner ana@example.com --expires 90d > ana-vpn.yaml`.
    Add(AddPeer),
}

/// Arguments of `vpn add`.
#[derive(Debug, Args)]
pub struct AddPeer {
    /// Name of the LlmVpnPeer.
    pub name: String,
    /// Who uses it, 1 to 253 characters.
    #[arg(long)]
    pub owner: String,
    /// Namespace of the LlmVpnPeer; without it, the one that the YAML is applied to.
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Address in the tunnel; without it the first that no peer of the cluster has.
    #[arg(long, value_name = "IPV4")]
    pub address: Option<Ipv4Addr>,
    /// When it ends: a span (90d, 12h), the end of a day in UTC (2027-01-31), or a time (2027-01-31T12:00:00Z).
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<String>,
    /// Write the file for wg-quick to a new file that only you can read, instead of showing it.
    #[arg(long, value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Show no QR code.
    #[arg(long)]
    pub no_qr: bool,
    /// The server, where no cluster is to be asked.
    #[command(flatten)]
    pub server: ServerFlags,
    /// Form of what goes to standard output.
    #[arg(short, long, value_enum, default_value_t = Output::Yaml)]
    pub output: Output,
}

/// What `ConfigMap alcazar-vpn` would tell.
#[derive(Debug, Args)]
pub struct ServerFlags {
    /// Public key of the server; with --endpoint, --gateway-address and --address, no cluster is asked.
    #[arg(long, value_name = "BASE64", requires_all = ["endpoint", "gateway_address", "address"])]
    pub server_key: Option<String>,
    /// Where the server is reached from outside.
    #[arg(long, value_name = "HOST:PORT", requires = "server_key")]
    pub endpoint: Option<String>,
    /// Address of the gateway in the tunnel.
    #[arg(long, value_name = "IPV4", requires = "server_key")]
    pub gateway_address: Option<Ipv4Addr>,
    /// Namespace of the operator, where ConfigMap alcazar-vpn lies.
    #[arg(long, value_name = "NAMESPACE", default_value = "alcazar-system")]
    pub system_namespace: String,
}

/// Commands about models.
#[derive(Debug, Subcommand)]
pub enum Model {
    /// Hash every file of a model and write its signature to model.sig beside them.
    Sign(SignModel),
    /// Verify that a model has a signature of somebody you trust, and exactly the files that were signed.
    ///
    /// The operator does the same before it serves, with `spec.signature` of an LlmModel.
    Verify(VerifyModel),
}

/// Arguments of `model sign`.
#[derive(Debug, Args)]
pub struct SignModel {
    /// Directory of the model.
    pub directory: PathBuf,
    /// Private key, PEM (P-256, P-384 or P-521), without a password.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Certificates, PEM: the signer's first, then those between it and a root; without it the signature names the bare key.
    #[arg(long, value_name = "FILE")]
    pub certificates: Option<PathBuf>,
}

/// Arguments of `model verify`.
#[derive(Debug, Args)]
pub struct VerifyModel {
    /// Directory of the model, with its model.sig.
    pub directory: PathBuf,
    /// Public key that must have signed, PEM.
    #[arg(long, value_name = "FILE", required_unless_present = "roots", conflicts_with = "roots")]
    pub public_key: Option<PathBuf>,
    /// Roots that must vouch for the signer's certificate, PEM.
    #[arg(long, value_name = "FILE")]
    pub roots: Option<PathBuf>,
    /// Alternative name that the signer's certificate must have.
    #[arg(long, value_name = "NAME", requires = "roots", conflicts_with = "public_key")]
    pub identity: Option<String>,
}

/// Commands about the audit log.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Verify that no line of an audit log was changed, removed, added or moved.
    Verify(VerifyAudit),
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub struct VerifyAudit {
    /// Files of one gateway pod, oldest first; they are one chain.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// How an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Yaml,
    Json,
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
    fn limits_are_at_least_one_and_the_server_is_told_whole() {
        for bad in [
            "alcazar keys create a",
            "alcazar keys create a --owner o --requests-per-minute 0",
            "alcazar keys create a --owner o --tokens-per-day -1",
            "alcazar keys list -n a -A",
            "alcazar model verify m",
            "alcazar model verify m --public-key a --roots b",
            "alcazar model verify m --public-key a --identity b",
            "alcazar audit verify",
            "alcazar vpn add a --owner o --server-key x",
            "alcazar vpn add a --owner o --endpoint x:1",
            "alcazar vpn add a --owner o --server-key x --endpoint x:1 --gateway-address 10.88.0.1",
        ] {
            assert!(Cli::try_parse_from(bad.split_whitespace()).is_err(), "{bad}");
        }
    }
}
