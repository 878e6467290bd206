//! A namespace for one test, restricted as users' namespaces are, removed at the end.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    core::NamespaceResourceScope,
};

use crate::{
    cluster::repo,
    kinds::{deployments, models},
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
        self.empty().await;
        let api = Api::<Namespace>::all(self.client.clone());
        api.delete(&self.name, &DeleteParams::default()).await.expect("the namespace should be deletable");
        wait_for("the namespace to be gone", LONG, async || match api.get_opt(&self.name).await {
            Ok(None) => Ok(()),
            Ok(Some(left)) => Err(format!("{:?}", left.status)),
            Err(error) => Err(error.to_string()),
        })
        .await;
    }

    /// Deletes our objects and waits for their pods: a namespace that still has pods is looked at again only after half
    /// of their grace period, minutes for model pods.
    async fn empty(&self) {
        let background = DeleteParams::background();
        let all = ListParams::default();
        deployments(self).delete_collection(&background, &all).await.expect("the deployments should be deletable");
        models(self).delete_collection(&background, &all).await.expect("the models should be deletable");
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=alcazar");
        wait_for("the pods to be gone", LONG, async || {
            let pods = self.api::<Pod>().list(&ours).await.map_err(|error| error.to_string())?;
            let left: Vec<_> = pods.items.iter().map(ResourceExt::name_any).collect();
            if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
        })
        .await;
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
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
