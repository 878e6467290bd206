//! The cluster under test: `make` starts it and names its kubeconfig.

use std::path::{Path, PathBuf};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

/// A client of the cluster that `ALCAZAR_KUBECONFIG` names.
#[derive(Clone)]
pub struct Cluster {
    /// As administrator.
    pub client: Client,
    /// The file, for programs that are started as processes.
    pub kubeconfig: PathBuf,
}

impl Cluster {
    /// Connects.
    ///
    /// # Panics
    /// When the variable is missing: a tier that was asked for must not be skipped in silence.
    pub async fn connect() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one setting of the test tiers")]
        let path = std::env::var("ALCAZAR_KUBECONFIG")
            .expect("ALCAZAR_KUBECONFIG should name the kubeconfig of the test cluster: run this tier by `make test-api` or `make e2e`");
        let kubeconfig = PathBuf::from(path);
        let parsed = Kubeconfig::read_from(&kubeconfig).expect("the kubeconfig should parse");
        let config = Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default())
            .await
            .expect("the kubeconfig should name a cluster and a user");
        Self { client: Client::try_from(config).expect("the client should be made"), kubeconfig }
    }
}

/// A path below the root of the repository.
///
/// # Panics
/// When this crate does not lie in a folder of the repository.
#[must_use]
pub fn repo(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ should have a parent").join(path)
}
