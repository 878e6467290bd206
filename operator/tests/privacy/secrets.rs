//! Secrets of every kind that the operator or its Jobs use, and the errors that each can cause.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command},
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    api_server::ApiServer,
    canary::{CANARY, canary, found_in},
};

const SECRETS: &str = "/api/v1/namespaces/team-a/secrets";
const OWN_SECRETS: &str = "/api/v1/namespaces/system/secrets";
const LEVELS: &str = "trace,hyper=trace,h2=trace,kube=trace,tower=trace";

fn secret(data: &[(&str, String)]) -> Value {
    let data: Value =
        data.iter().map(|(key, value)| ((*key).to_owned(), Value::String(STANDARD.encode(value)))).collect();
    json!({"kind": "Secret", "data": data})
}

fn kinds(kind: &str) -> String {
    format!("/apis/alcazar.dev/v1alpha1/namespaces/team-a/{kind}")
}

fn model(source: &Value, more: &Value) -> Value {
    let mut object = json!({"kind": "LlmModel", "spec": {"source": source, "storage": {"size": "1Gi"}}});
    object["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

fn fill(server: &ApiServer) {
    let pem = |what: &str| format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", canary("pem"));
    let broken = [("tls.crt", pem("CERTIFICATE")), ("tls.key", pem("PRIVATE KEY")), ("ca.crt", canary("ca"))];
    for name in ["alcazar-ca", "alcazar-gateway-client", "alcazar-gateway-tls"] {
        server.has(OWN_SECRETS, name, secret(&broken));
    }
    server.has(OWN_SECRETS, "alcazar-vpn", secret(&[("privateKey", canary("vpn"))]));
    server.has(SECRETS, "hub-token", secret(&[("token", canary("token")), ("password", canary("password"))]));
    server.has(SECRETS, "signer", secret(&[("public.pem", canary("signer"))]));
    server.has(SECRETS, "sealer", secret(&[("key", canary("sealer"))]));
    server.has(SECRETS, "ana-key", secret(&[("key", canary("key"))]));
    let mut own = secret(&[("key", canary("own"))]);
    own["metadata"]["ownerReferences"] = json!([{"apiVersion": "alcazar.dev/v1alpha1", "kind": "LlmApiKey", "name": "bob", "uid": "bob", "controller": true}]);
    server.has(SECRETS, "bob-key", own);
    let revision = "12fd25f77366fa6b3b4b768ec3050bf629380bac";
    let hub = json!({"huggingFace": {"repo": "a/b", "revision": revision, "tokenSecretName": "hub-token"}});
    let url = format!("https://ana:{CANARY}@huggingface.co/a.gguf?signature={CANARY}");
    let file = json!({"url": url, "sha256": "0".repeat(64), "path": "a.gguf"});
    let http = json!({"http": {"files": [file], "authSecretName": "hub-token"}});
    let protection = json!({"signature": {"publicKeySecretName": "signer"}, "encryption": {"keySecretName": "sealer"}});
    server.has(&kinds("llmmodels"), "hub", model(&hub, &json!({})));
    server.has(&kinds("llmmodels"), "sealed", model(&hub, &protection));
    server.has(&kinds("llmmodels"), "address", model(&http, &json!({})));
    server.has(&kinds("llmdeployments"), "assistant", json!({"kind": "LlmDeployment", "spec": {"modelName": "hub"}}));
    for name in ["ana", "bob"] {
        let spec = json!({"owner": name, "secretName": format!("{name}-key")});
        server.has(&kinds("llmapikeys"), name, json!({"kind": "LlmApiKey", "spec": spec}));
    }
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(dir: &Path, api: std::net::SocketAddr, admin: std::net::SocketAddr) -> Program {
    let file = |name: &str| File::create(dir.join(name)).unwrap();
    let settings = json!({
        "runtimeImage": "example.com/runtime:1", "watchNamespaces": ["team-a"], "adminListen": admin,
        "canaryListen": "127.0.0.1:0", "sourceCidrs": {"huggingface.co": ["203.0.113.0/24"]},
        "gateway": {"enabled": true, "vpn": {"enabled": true, "endpoint": "vpn.example.com:51820"}},
    });
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": format!("http://{api}")}}],
        "users": [{"name": "x", "user": {"token": canary("bearer")}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    });
    fs::write(dir.join("settings.yaml"), settings.to_string()).unwrap();
    fs::write(dir.join("kubeconfig"), kubeconfig.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_alcazar-operator"));
    command.args(["run", "--settings"]).arg(dir.join("settings.yaml")).env("KUBECONFIG", dir.join("kubeconfig"));
    command.env("POD_NAMESPACE", "system").env("ALCAZAR_LOG", LEVELS).env("RUST_BACKTRACE", "full");
    Program(command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap())
}

async fn get(address: std::net::SocketAddr, path: &str) -> Vec<u8> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_credential_is_written_down() {
    let (server, mut tasks, dir) = (Arc::<ApiServer>::default(), JoinSet::new(), tempfile::tempdir().unwrap());
    fill(&server);
    let api = server.serve(&mut tasks).await;
    let admin = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let program = start(dir.path(), api, admin);
    let deadline = Instant::now() + Duration::from_secs(30);
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    for name in ["hub", "sealed", "address", "assistant", "ana", "bob"] {
        while !server.has_status(name) {
            let log = String::from_utf8_lossy(&read("stderr")).into_owned();
            assert!(Instant::now() < deadline, "{name} has no status:\n{log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    // The passes that follow on what the first ones wrote, and those of the certificates.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut told = vec![("/metrics".to_owned(), get(admin, "/metrics").await)];
    drop(program);
    told.extend(["stdout", "stderr"].map(|name| (name.to_owned(), read(name))));
    let written = server.written.lock().unwrap().clone();
    let open = written.into_iter().filter(|(path, _)| !path.contains("/secrets"));
    told.extend(open.map(|(path, body)| (path, body.into_bytes())));
    let leaks: Vec<String> =
        told.iter().filter_map(|(place, text)| found_in(text).map(|around| format!("{place}: …{around}…"))).collect();
    assert!(leaks.is_empty(), "{} places hold a canary:\n{}", leaks.len(), leaks.join("\n"));
    let log = String::from_utf8_lossy(&told[2].1).into_owned();
    assert!(log.contains("\"DEBUG\"") || log.contains("\"TRACE\""), "the log should be at its finest:\n{log}");
    assert!(log.contains("alcazar-ca"), "the broken authority should have been found:\n{log}");
}
