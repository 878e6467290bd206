//! The operator as a process of the test's own, which sees one namespace only.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::{Cluster, TestNamespace, cluster::repo};

/// What the kubelet tells every pod.
const OF_POD: [(&str, &str); 2] = [("KUBERNETES_SERVICE_HOST", "10.96.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];

/// A running operator; killed when dropped.
pub struct Operator {
    child: Child,
    /// Its JSON log.
    pub log: PathBuf,
}

impl Operator {
    /// Starts it on `namespace` alone, its Lease and CA in the same namespace.
    ///
    /// # Panics
    /// When the program is not built (`make test-api` builds it) or cannot be started.
    #[must_use]
    pub fn start(cluster: &Cluster, namespace: &TestNamespace) -> Self {
        Self::start_with(cluster, namespace, "")
    }

    /// [`Operator::start`] with more lines of settings.
    ///
    /// # Panics
    /// As [`Operator::start`].
    #[must_use]
    pub fn start_with(cluster: &Cluster, namespace: &TestNamespace, settings: &str) -> Self {
        Self::start_in(cluster, namespace, &namespace.name, settings, &[])
    }

    /// [`Operator::start`] on all namespaces, as a pod.
    ///
    /// # Panics
    /// As [`Operator::start`].
    #[must_use]
    pub fn start_everywhere(cluster: &Cluster, namespace: &TestNamespace) -> Self {
        Self::start_in(cluster, namespace, "", "", &OF_POD)
    }

    /// [`Operator::start`] with what the kubelet tells every pod of the API server's address.
    ///
    /// # Panics
    /// As [`Operator::start`].
    #[must_use]
    pub fn start_as_pod(cluster: &Cluster, namespace: &TestNamespace) -> Self {
        Self::start_in(cluster, namespace, &namespace.name, "", &OF_POD)
    }

    fn start_in(
        cluster: &Cluster,
        namespace: &TestNamespace,
        watched: &str,
        settings: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let folder = repo("target/test-operators");
        std::fs::create_dir_all(&folder).expect("target/ should be writable");
        let path = folder.join(format!("{}.yaml", namespace.name));
        let log = folder.join(format!("{}.log", namespace.name));
        // Addresses for documentation (RFC 5737) instead of a lookup: the tests have no internet and ask nobody.
        let text = format!(
            "runtimeImage: localhost/alcazar/runtime:0.1.0\nwatchNamespaces: [{watched}]\nadminListen: 127.0.0.1:0\ncanaryListen: 127.0.0.1:0\n\
             sourceCidrs: {{huggingface.co: [203.0.113.0/24]}}\n{settings}\n"
        );
        std::fs::write(&path, text).expect("the settings should be writable");
        let append = std::fs::File::options().create(true).append(true).open(&log).expect("the log should open");
        let child = Command::new(repo("target/debug/alcazar-operator"))
            .args(["run", "--settings"])
            .arg(&path)
            .env("KUBECONFIG", &cluster.kubeconfig)
            .env("POD_NAMESPACE", &namespace.name)
            .env("POD_NAME", format!("test-{}", std::process::id()))
            .env("POD_UID", &namespace.name)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(append)
            .spawn()
            .expect("target/debug/alcazar-operator should be built");
        Self { child, log }
    }

    /// `kill -9`, as a lost node does.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Process id, for figures of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
