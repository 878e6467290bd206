//! A person outside, by WireGuard's own programs: VPN, gateway, key, model. The person's namespace has nothing but the tunnel.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    kinds::{keys, vpn_peers, wait_condition},
    wait::{LONG, SHORT, wait_for},
};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::{Api, api::ListParams};

use crate::{gateway_pods::STEADY, scenario::served};

const OURS: &str = "alcazar-system";
/// The status of a peer is written every 30 seconds.
const STATUS: Duration = Duration::from_secs(45);

/// A network namespace with a tunnel in it, and the files of a person.
struct Person {
    namespace: String,
    interface: String,
    folder: tempfile::TempDir,
    gateway: String,
}

impl Person {
    /// The interface is made where the packets go out, and moved: its socket stays behind, and is the namespace's only way out.
    fn arrive(file: &str, address: &str, gateway: &str, ca: &str) -> Self {
        let (namespace, interface) =
            (format!("person-{}", std::process::id()), format!("wg{}", std::process::id() % 100_000));
        let folder = tempfile::tempdir().expect("a folder should be made");
        std::fs::write(folder.path().join("wg.conf"), file).expect("the file should be written");
        std::fs::write(folder.path().join("ca.crt"), ca).expect("the file should be written");
        let person = Self { namespace, interface, folder, gateway: gateway.to_owned() };
        let (namespace, interface) = (person.namespace.as_str(), person.interface.as_str());
        let conf = person.path("wg.conf");
        run(&["ip", "netns", "add", namespace]);
        run(&["wireguard-go", interface]);
        run(&["wg", "setconf", interface, &conf]);
        run(&["ip", "link", "set", interface, "netns", namespace]);
        let inside = |words: &[&str]| run(&[&["ip", "-n", namespace], words].concat());
        inside(&["address", "add", &format!("{address}/32"), "dev", interface]);
        inside(&["link", "set", interface, "mtu", "1420", "up"]);
        inside(&["route", "add", "default", "dev", interface]);
        person
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// `curl` of a route of the gateway's address inside the tunnel.
    fn curl(&self, key: &str, route: &str, more: &[&str]) -> Command {
        // The key is in a file, as in any good script: arguments are seen by everybody.
        let header = self.path("header");
        std::fs::write(&header, format!("Authorization: Bearer {key}\n")).expect("the file should be written");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, "curl", "--silent", "--show-error", "--no-buffer"]);
        command.args(["--max-time", "60", "--cacert", &self.path("ca.crt"), "--header", &format!("@{header}")]);
        command.args(more).arg(format!("https://{}{route}", self.gateway));
        command
    }

    fn fetch(&self, key: &str, route: &str, more: &[&str]) -> (bool, String) {
        let output = self.curl(key, route, more).output().expect("curl should run");
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        let _ = write!(text, "{}", String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["-n", &self.namespace, "link", "delete", &self.interface]).status();
        let _ = Command::new("ip").args(["netns", "delete", &self.namespace]).status();
    }
}

/// Kills what it holds when the test fails on the way.
struct Streaming(Child);

impl Drop for Streaming {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output().expect("the program should be installed");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// `wg genkey`, or `wg pubkey` of its input.
fn wg(verb: &str, input: &str) -> String {
    let mut child =
        Command::new("wg").arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("wg should run");
    child.stdin.take().expect("there should be an input").write_all(input.as_bytes()).expect("wg should read");
    let output = child.wait_with_output().expect("wg should end");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

async fn published(cluster: &Cluster, name: &str) -> std::collections::BTreeMap<String, String> {
    let maps = Api::<ConfigMap>::namespaced(cluster.client.clone(), OURS);
    maps.get(name).await.expect("the operator should publish it").data.unwrap_or_default()
}

/// Address of the only replica.
async fn gateway_pod(cluster: &Cluster) -> String {
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), OURS);
    let ours = ListParams::default().labels("app.kubernetes.io/name=alcazar-gateway");
    wait_for("a gateway pod with an address", LONG, async || {
        let all = pods.list(&ours).await.map_err(|error| error.to_string())?;
        let address = all.items.into_iter().find_map(|pod| pod.status?.pod_ip);
        address.ok_or_else(|| "none".to_owned())
    })
    .await
}

/// A key that the operator makes, and its text.
async fn key(namespace: &TestNamespace) -> String {
    let yaml = "apiVersion: alcazar.dev/v1alpha1
kind: LlmApiKey
metadata: {name: person}
spec: {secretName: person-key, owner: person@example.com}
";
    apply_yaml(&namespace.client, &namespace.name, yaml).await;
    wait_condition(&keys(namespace), "person", "Ready", "True", SHORT).await;
    let secret = namespace.api::<Secret>().get("person-key").await.expect("the operator should make the key");
    let key = secret.data.and_then(|mut data| data.remove("key")).expect("the Secret should have the key");
    String::from_utf8(key.0).expect("the key should be text")
}

fn peer(public_key: &str, address: &str, state: &str) -> String {
    format!(
        "apiVersion: alcazar.dev/v1alpha1
kind: LlmVpnPeer
metadata: {{name: laptop}}
spec: {{publicKey: {public_key}, address: {address}, owner: person@example.com, state: {state}}}
"
    )
}

#[tokio::test]
async fn a_person_outside_gets_an_answer_through_the_tunnel_until_revoked() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "vpn", "assistant", "  access: {mode: Gateway}").await;
    let _steady = STEADY.read().await;
    let vpn = published(&cluster, "alcazar-vpn").await;
    let ca = published(&cluster, "alcazar-ca").await["ca.crt"].clone();
    let gateway = &vpn["gatewayAddress"];
    let address = format!("{}.77", gateway.rsplit_once('.').expect("it should be an address").0);
    let (private, key) = (wg("genkey", ""), key(&namespace).await);
    let public = wg("pubkey", &private);
    apply_yaml(&cluster.client, &namespace.name, &peer(&public, &address, "Active")).await;
    wait_condition(&vpn_peers(&namespace), "laptop", "Ready", "True", SHORT).await;

    let file = format!(
        "[Interface]\nPrivateKey = {private}\n\n[Peer]\nPublicKey = {}\nEndpoint = {}:51820\nAllowedIPs = 0.0.0.0/0\nPersistentKeepalive = 25\n",
        vpn["publicKey"],
        gateway_pod(&cluster).await
    );
    let person = Person::arrive(&file, &address, gateway, &ca);
    answers(&person, &key).await;
    nothing_else_answers(&person);
    wait_for("the handshake in the status", STATUS, async || {
        let object = vpn_peers(&namespace).get("laptop").await.map_err(|error| error.to_string())?;
        let status = &object.data["status"];
        let written = status["lastHandshakeTime"].is_string() && status["receivedBytes"].as_i64() > Some(0);
        if written { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    ends_when_revoked(&namespace, &person, &key, &peer(&public, &address, "Revoked")).await;
    drop(person);
    namespace.close().await;
}

async fn answers(person: &Person, key: &str) {
    wait_for("the gateway through the tunnel", LONG, async || {
        let (_, text) = person.fetch(key, "/v1/models", &[]);
        if text.contains("assistant") { Ok(()) } else { Err(text) }
    })
    .await;
    let body =
        r#"{"model":"assistant","stream":true,"max_tokens":16,"messages":[{"role":"user","content":"Say hello."}]}"#;
    let (done, text) =
        person.fetch(key, "/v1/chat/completions", &["--header", "Content-Type: application/json", "--data", body]);
    assert!(done && text.contains("data: ") && text.contains("[DONE]"), "{text}");
    let (_, text) = person.fetch("alc_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "/v1/models", &[]);
    assert!(text.contains(r#""error""#) && !text.contains("assistant"), "the tunnel is no key: {text}");
}

/// The API server's Service and the gateway's probe port; everything of the namespace goes through the tunnel.
fn nothing_else_answers(person: &Person) {
    for target in ["https://10.96.0.1/healthz", &format!("http://{}:8081/metrics", person.gateway)] {
        let tried = Command::new("ip")
            .args(["netns", "exec", &person.namespace, "curl", "--silent", "--insecure", "--max-time", "3", target])
            .output()
            .expect("curl should run");
        assert!(!tried.status.success(), "{target} answered: {}", String::from_utf8_lossy(&tried.stdout));
    }
}

async fn ends_when_revoked(namespace: &TestNamespace, person: &Person, key: &str, revoked: &str) {
    let body = r#"{"model":"assistant","stream":true,"max_tokens":1500,"ignore_eos":true,"messages":[{"role":"user","content":"Tell me a long story."}]}"#;
    let more = ["--header", "Content-Type: application/json", "--data", body, "--output", "/dev/null"];
    let child = person.curl(key, "/v1/chat/completions", &more).stderr(Stdio::null()).spawn().expect("curl should run");
    let mut streaming = Streaming(child);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    apply_yaml(&namespace.client, &namespace.name, revoked).await;
    wait_for("the stream to end", SHORT, async || match streaming.0.try_wait() {
        Ok(Some(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert!(began.elapsed() <= Duration::from_secs(5), "it took {:?}", began.elapsed());
    let (_, text) = person.fetch(key, "/v1/models", &["--connect-timeout", "3"]);
    assert!(!text.contains("assistant"), "a revoked peer was answered: {text}");
}
