//! The program `alcazar` as people run it, against a cluster, with their own rights.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::apply_yaml,
    cluster::repo,
    kinds::{keys, vpn_peers, wait_reason},
    operator::Operator,
    wait::SHORT,
};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::namespace_admin::tenant;

/// Somebody's shell: a folder, and a kubeconfig with his name in it.
struct Shell {
    folder: tempfile::TempDir,
    kubeconfig: PathBuf,
}

impl Shell {
    /// Of the administrator, or of another user.
    fn open(cluster: &Cluster, user: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("there should be a folder");
        let text = fs::read_to_string(&cluster.kubeconfig).expect("the kubeconfig should be readable");
        let mut config: Value = serde_yaml::from_str(&text).expect("the kubeconfig should be YAML");
        if let Some(user) = user {
            for entry in config["users"].as_array_mut().expect("there should be users") {
                entry["user"]["as"] = json!(user);
                entry["user"]["as-groups"] = json!(["system:authenticated"]);
            }
        }
        let kubeconfig = folder.path().join("kubeconfig");
        fs::write(&kubeconfig, serde_yaml::to_string(&config).expect("YAML")).expect("the folder should be writable");
        Self { folder, kubeconfig }
    }

    fn run(&self, line: &str) -> Said {
        self.run_with(&self.kubeconfig, line)
    }

    fn run_with(&self, kubeconfig: &Path, line: &str) -> Said {
        let mut command = Command::new(repo("target/debug/alcazar"));
        command.args(line.split_whitespace()).current_dir(self.folder.path()).env("KUBECONFIG", kubeconfig);
        Said::of(&command.output().expect("target/debug/alcazar should be built"))
    }
}

/// What a command wrote where, and how it ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    aside: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), aside: text(&output.stderr) }
    }

    #[track_caller]
    fn assert_failed(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        for word in words {
            assert!(self.aside.contains(word), "{word} is not in: {}", self.aside);
        }
    }
}

#[tokio::test]
async fn a_key_is_made_listed_and_revoked() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "clikeys").await;
    let operator = Operator::start(&cluster, &namespace);
    let (name, user) = (&namespace.name, format!("admin-of-{}", namespace.name));
    let as_tenant = tenant(&cluster, &namespace).await;
    let shell = Shell::open(&cluster, Some(&user));

    let none = shell.run(&format!("keys list -n {name}"));
    assert_eq!((none.code, none.out.as_str(), none.aside.as_str()), (Some(0), "", "no keys\n"));
    let made =
        shell.run(&format!("keys create ana --owner ana@example.com -n {name} --models assistant --expires 90d"));
    assert_eq!(made.code, Some(0), "{made:?}");
    let key = made.aside.split_whitespace().find(|word| word.starts_with("alc_")).expect("the key should be shown");
    assert_eq!(made.aside.matches(key).count(), 1, "once");
    apply_yaml(&as_tenant, name, &made.out).await;
    wait_reason(&keys(&namespace), "ana", "Ready", ("True", "Active"), SHORT).await;

    // It stands nowhere: not in the object, not in an Event, not in the operator's log.
    let object = keys(&namespace).get("ana").await.expect("the key should be there");
    assert_eq!(object.data["spec"]["hash"], format!("{:x}", Sha256::digest(key)));
    let events = namespace.api::<Event>().list(&ListParams::default()).await.expect("Events should be readable");
    let log = fs::read_to_string(&operator.log).expect("the log should be readable");
    for text in [made.out, serde_json::to_string(&object).expect("JSON"), format!("{events:?}"), log] {
        assert!(!text.contains(key) && !text.contains(&key[4..]), "the key is in {text}");
    }

    // As the gateway writes it.
    let usage = json!({"status": {"lastUsedTime": "2026-11-23T12:00:00Z",
        "usage": {"requests": 3, "promptTokens": 7, "completionTokens": 9, "tokensToday": 16, "day": "2026-11-23"}}});
    let written = keys(&namespace).patch_status("ana", &PatchParams::default(), &Patch::Merge(usage)).await;
    written.expect("the usage should be writable");
    let listed = shell.run(&format!("keys list -n {name}")).out;
    let line: Vec<_> = listed.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    assert_eq!(line[..5], ["ana", "ana@example.com", "Active", "True", "(Active)"], "{listed}");
    assert_eq!(line[6..], ["2026-11-23T12:00:00Z", "3", "16"], "{listed}");

    let revoked = shell.run(&format!("keys revoke ana -n {name}"));
    assert_eq!((revoked.code, revoked.out.as_str()), (Some(0), ""), "{revoked:?}");
    assert!(revoked.aside.contains("is revoked") && revoked.aside.contains("Git"), "{}", revoked.aside);
    let object = keys(&namespace).get("ana").await.expect("the key should be there");
    assert_eq!(object.data["spec"]["state"], "Revoked", "{}", object.data["spec"]);
    wait_reason(&keys(&namespace), "ana", "Ready", ("False", "Revoked"), SHORT).await;
    assert!(shell.run(&format!("keys list -n {name}")).out.contains("Revoked   False (Revoked)"));
    namespace.close().await;
}

#[tokio::test]
async fn a_device_gets_what_the_cluster_knows_of_the_server() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "clivpn").await;
    let vpn = "gateway: {vpn: {enabled: true, endpoint: 'vpn.example.com:51820', cidr: 10.88.0.0/16}}";
    let _operator = Operator::start_with(&cluster, &namespace, vpn);
    let (name, shell) = (&namespace.name, Shell::open(&cluster, None));
    let line = format!("vpn add laptop --owner ana@example.com -n {name} --no-qr --system-namespace {name}");
    let made = alcazar_tests::wait::wait_for("the server to be known", SHORT, async || {
        let made = shell.run(&line);
        if made.code == Some(0) { Ok(made) } else { Err(made.aside) }
    })
    .await;
    for word in ["Endpoint = vpn.example.com:51820", "AllowedIPs = 10.88.0.1/32", "PrivateKey = "] {
        assert!(made.aside.contains(word), "{word} is not in: {}", made.aside);
    }
    let private = made.aside.lines().find_map(|line| line.strip_prefix("PrivateKey = ")).unwrap_or_default();
    assert!(private.len() == 44 && !made.out.contains(private), "{}", made.out);
    apply_yaml(&cluster.client, name, &made.out).await;
    wait_reason(&vpn_peers(&namespace), "laptop", "Ready", ("True", "Active"), SHORT).await;
    let object = vpn_peers(&namespace).get("laptop").await.expect("the peer should be there");
    let first = object.data["spec"]["address"].as_str().unwrap_or_default().to_owned();
    let second = shell.run(&line.replace("laptop", "phone"));
    assert!(second.code == Some(0) && !second.out.contains(&format!("address: {first}\n")), "{}", second.out);
    shell.run(&format!("{line} --address {first}")).assert_failed(2, &[&first]);
    namespace.close().await;
}

#[tokio::test]
async fn failures_in_a_cluster_say_what_helps() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "clifail").await;
    let name = &namespace.name;
    let (admin, nobody) = (Shell::open(&cluster, None), Shell::open(&cluster, Some("nobody")));
    for line in ["keys list -n no-such-namespace", "keys revoke ana -n no-such-namespace"] {
        admin.run(line).assert_failed(1, &["no-such-namespace", "kubectl get namespaces"]);
    }
    admin.run(&format!("keys revoke ana -n {name}")).assert_failed(1, &["\"ana\" not found", name]);
    let vpn = format!("vpn add ana --owner o --system-namespace {name}");
    admin.run(&vpn).assert_failed(2, &["alcazar-vpn", "gateway.vpn.enabled", "--server-key"]);

    for line in [format!("keys list -n {name}"), "keys list -A".to_owned(), format!("keys revoke ana -n {name}")] {
        nobody.run(&line).assert_failed(1, &["forbidden", "nobody", "docs/install.md"]);
    }
    nobody.run(&vpn).assert_failed(2, &["forbidden", "--server-key"]);

    // A cluster that does not answer, one that does not know you, and a file that is none.
    let text = fs::read_to_string(&admin.kubeconfig).expect("the kubeconfig should be readable");
    let change = |edit: &dyn Fn(&mut Value)| {
        let mut config: Value = serde_yaml::from_str(&text).expect("the kubeconfig should be YAML");
        edit(&mut config);
        let path = admin.folder.path().join("other");
        fs::write(&path, serde_yaml::to_string(&config).expect("YAML")).expect("the folder should be writable");
        path
    };
    let away = change(&|config| config["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:1"));
    admin.run_with(&away, "keys list").assert_failed(1, &["failed to reach the cluster", "KUBECONFIG"]);
    let stranger = change(&|config| config["users"][0]["user"] = json!({"token": "no-such-token"}));
    let refused = admin.run_with(&stranger, "keys list");
    refused.assert_failed(1, &["log in again"]);
    assert!(!refused.aside.contains("no-such-token"), "{}", refused.aside);
    admin
        .run_with(Path::new("no-such-file"), "keys list")
        .assert_failed(1, &["failed to reach the cluster", "KUBECONFIG"]);
    namespace.close().await;
}
