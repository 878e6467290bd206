//! A namespace for one test, restricted as users' namespaces are, removed at the end.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, PostParams},
    core::NamespaceResourceScope,
};

use crate::{
    cluster::repo,
    wait::{LONG, wait_for},
};

/// Lives as long as the test; call [`TestNamespace::close`] at its end to wait until all is gone.
/// After a failure it is deleted too, without waiting: its pods would take the node's cores from the tests that follow.
/// `ALCAZAR_KEEP=1` leaves it for a look.
pub struct TestNamespace {
    /// As administrator.
    pub client: Client,
    /// Unique to this test.
    pub name: String,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl TestNamespace {
    /// Makes it, with Pod Security `restricted` enforced.
    ///
    /// # Panics
    /// When the API server refuses.
    pub async fn create(client: &Client, purpose: &str) -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t-{purpose}-{}-{count}", std::process::id());
        let labels = BTreeMap::from([("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned())]);
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.clone());
        namespace.metadata.labels = Some(labels);
        Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .expect("the namespace should be made");
        Self { client: client.clone(), name }
    }

    /// The objects of one kind in it.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Deletes it and waits until nothing is left: a stuck finalizer fails the test.
    ///
    /// # Panics
    /// When it is still there after a minute and a half.
    pub async fn close(self) {
        let api = Api::<Namespace>::all(self.client.clone());
        api.delete(&self.name, &DeleteParams::default()).await.expect("the namespace should be deletable");
        wait_for("the namespace to be gone", LONG, async || match api.get_opt(&self.name).await {
            Ok(None) => Ok(()),
            Ok(Some(left)) => Err(format!("{:?}", left.status)),
            Err(error) => Err(error.to_string()),
        })
        .await;
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        #[expect(clippy::disallowed_methods, reason = "settings of the test tiers")]
        let (kubeconfig, keep) = (std::env::var_os("ALCAZAR_KUBECONFIG"), std::env::var_os("ALCAZAR_KEEP"));
        if !std::thread::panicking() || keep.is_some() {
            return;
        }
        // A process, since the runtime of the failed test does no more work.
        let _ = std::process::Command::new(repo("target/cluster-bin/kubectl"))
            .arg("--kubeconfig")
            .arg(kubeconfig.unwrap_or_default())
            .args(["delete", "namespace", "--wait=false", &self.name])
            .output();
    }
}
