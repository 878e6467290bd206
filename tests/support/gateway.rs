//! The gateway as a process of the test's own, with the certificates that the operator made in the namespace.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use k8s_openapi::api::core::v1::Secret;

use crate::{
    Cluster, TestNamespace,
    cluster::repo,
    wait::{SHORT, wait_for},
};

/// The 32 bytes of a WireGuard key, for a tunnel that nobody comes through.
const VPN_KEY: &str = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n";

/// A running gateway; killed when dropped, with its files.
pub struct Gateway {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Gateway {
    /// Starts it for these namespaces (none: all), with more lines of settings, in which `KEY` stands for a file with a
    /// WireGuard key. An operator has to run in the namespace: it makes the certificates.
    ///
    /// # Panics
    /// When the program is not built (`make test-api` builds it), or there are no certificates.
    pub async fn start(cluster: &Cluster, namespace: &TestNamespace, watched: &[&str], settings: &str) -> Self {
        let folder = repo("target/test-operators").join(format!("{}-gateway", namespace.name));
        bring(namespace, "alcazar-gateway-tls", &folder.join("tls")).await;
        bring(namespace, "alcazar-gateway-client", &folder.join("client")).await;
        let (path, vpn_key) = (folder.join("settings.yaml"), folder.join("vpn-key"));
        fs::write(&vpn_key, VPN_KEY).expect("the folder should be writable");
        let port = free_port();
        let text = format!(
            "listen: 127.0.0.1:{port}\nprobeListen: 127.0.0.1:0\npeerListen: 127.0.0.1:0\ntlsDir: {0}/tls\nclientDir: {0}/client\n\
             watchNamespaces: {watched:?}\nhold: {{seconds: 1}}\npeers: {{service: alcazar-gateway-peers}}\n{1}\n",
            folder.display(),
            settings.replace("KEY", &vpn_key.to_string_lossy()),
        );
        fs::write(&path, text).expect("the settings should be writable");
        let log = fs::File::create(folder.with_extension("log")).expect("the log should open");
        let child = Command::new(repo("target/debug/alcazar-gateway"))
            .args(["run", "--settings"])
            .arg(&path)
            .env("KUBECONFIG", &cluster.kubeconfig)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("target/debug/alcazar-gateway should be built");
        Self { child, folder, port }
    }

    /// The status of the answer to a question with this key; 0 while nobody listens.
    ///
    /// # Panics
    /// When curl is missing.
    #[must_use]
    pub fn ask(&self, key: &str, question: &str) -> u16 {
        let name = "alcazar-gateway";
        let output = Command::new("curl")
            .args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "5"])
            .args(["--resolve", &format!("{name}:{}:127.0.0.1", self.port), "--cacert"])
            .arg(self.folder.join("client/ca.crt"))
            .args(["--header", &format!("Authorization: Bearer {key}"), "--json", question])
            .arg(format!("https://{name}:{}/v1/chat/completions", self.port))
            .output()
            .expect("curl should run");
        String::from_utf8_lossy(&output.stdout).parse().unwrap_or_default()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The files of a Secret, as a pod mounts them.
async fn bring(namespace: &TestNamespace, secret: &str, folder: &Path) {
    let found = wait_for(secret, SHORT, async || {
        namespace.api::<Secret>().get(secret).await.map_err(|error| error.to_string())
    })
    .await;
    fs::create_dir_all(folder).expect("target/ should be writable");
    for (name, value) in found.data.into_iter().flatten() {
        fs::write(folder.join(name), value.0).expect("the folder should be writable");
    }
}

/// One that nobody had a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there should be a free port");
    listener.local_addr().expect("it should have an address").port()
}
