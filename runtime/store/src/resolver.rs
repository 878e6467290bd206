//! Resolves names for the HTTP client, and hands out only addresses the policy agrees with.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::{error::FetchError, policy::Policy};

/// Who knows the addresses of names.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// Addresses of a host; their ports mean nothing.
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The resolver of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { tokio::net::lookup_host((host.as_str(), 0)).await.map(Iterator::collect) })
    }
}

/// A resolver behind the policy: what is vetted is what is connected to, so a name that changes its answer between check
/// and use gains nothing.
pub(crate) struct VettedResolver {
    pub policy: Arc<Policy>,
    pub lookup: Arc<dyn Lookup>,
}

impl Resolve for VettedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.policy);
        let host = name.as_str().to_owned();
        let found = self.lookup.lookup(host.clone());
        Box::pin(async move {
            let addresses = vet(&policy, &host, found.await)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Refuses the whole answer if one address is refused: a mixed answer is an attack or a mistake.
fn vet(policy: &Policy, host: &str, found: io::Result<Vec<SocketAddr>>) -> Result<Vec<SocketAddr>, FetchError> {
    let unresolved = |fault: String| FetchError::NotResolved { host: host.to_owned(), fault };
    let addresses = found.map_err(|error| unresolved(error.to_string()))?;
    if addresses.is_empty() {
        return Err(unresolved("the answer holds no address".to_owned()));
    }
    for address in &addresses {
        policy.vet_address(host, address.ip())?;
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_address_spoils_the_answer() {
        let policy = Policy::default();
        let at = |text: &str| text.parse::<SocketAddr>().expect("address");
        assert_eq!(vet(&policy, "a.example", Ok(vec![at("93.184.215.14:0")])).expect("public").len(), 1);
        let mixed = vet(&policy, "a.example", Ok(vec![at("93.184.215.14:0"), at("[::1]:0")]));
        assert_eq!(mixed.expect_err("mixed").reason().as_str(), "SourceNotAllowed");
        let none = vet(&policy, "a.example", Ok(vec![]));
        assert_eq!(none.expect_err("empty").reason().as_str(), "SourceNotResolved");
    }
}
