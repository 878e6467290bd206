//! What no model pod may reach: the API server, under the address that pods see. Client required.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use kube::Api;
use tokio::sync::OnceCell;

use crate::{context::Context, env_vars};

/// The targets, found once: the address of the API server's Service never changes.
#[derive(Debug, Default)]
pub(crate) struct Targets(OnceCell<Vec<String>>);

impl Targets {
    /// As `host:port`; empty while the address is not known.
    pub(crate) async fn get(&self, ctx: &Context) -> Vec<String> {
        let found = self.0.get_or_try_init(|| async { find(ctx).await.ok_or(()) }).await;
        found.cloned().unwrap_or_default()
    }
}

/// Inside the cluster the kubelet tells; outside (a developer's machine, a test) the Service does.
async fn find(ctx: &Context) -> Option<Vec<String>> {
    let told = env_vars::read(env_vars::API_SERVER_HOST).zip(env_vars::read(env_vars::API_SERVER_PORT));
    if let Some((host, port)) = told {
        return Some(vec![target(&host, &port)?]);
    }
    let services: Api<Service> = Api::namespaced(ctx.client.clone(), "default");
    let spec = match services.get("kubernetes").await {
        Ok(service) => service.spec?,
        Err(failure) => {
            tracing::warn!(error = %failure, "failed to read Service default/kubernetes, whose address pods must not reach");
            return None;
        }
    };
    let port = spec.ports?.first()?.port;
    Some(vec![target(&spec.cluster_ip?, &port.to_string())?])
}

/// An address that only this machine has proves nothing about a pod.
fn target(host: &str, port: &str) -> Option<String> {
    match host.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() || address.is_unspecified() => None,
        Ok(IpAddr::V6(address)) => Some(format!("[{address}]:{port}")),
        Ok(IpAddr::V4(_)) | Err(_) if !host.is_empty() && host != "None" => Some(format!("{host}:{port}")),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn an_address_that_pods_see() {
        assert_eq!(target("10.96.0.1", "443").as_deref(), Some("10.96.0.1:443"));
        assert_eq!(target("fd00::1", "443").as_deref(), Some("[fd00::1]:443"));
        assert_eq!(target("api.internal", "6443").as_deref(), Some("api.internal:6443"));
        for useless in ["127.0.0.1", "::1", "0.0.0.0", "", "None"] {
            assert_eq!(target(useless, "443"), None, "{useless}");
        }
    }
}
