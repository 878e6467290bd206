//! The programs with exactly what the chart grants them: nothing that they ask for is refused, and nothing that they may do is
//! never done. What was asked is read from the API server's own audit log.

mod cluster_wide;
mod gateway;
mod life;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use alcazar_tests::{Cluster, TestNamespace, operator::Operator};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api,
    api::{DynamicObject, PostParams},
};
use serde_json::{Value, json};

use self::life::live;
use crate::chart;

/// Granted and not seen here, each with the reason.
const UNSEEN: [(&str, &str); 7] = [
    ("update llmdeployments/finalizers", "asked for by an admission plugin that this API server does not run"),
    ("update llmmodels/finalizers", "the same"),
    ("update llmapikeys/finalizers", "the same"),
    ("update leases", "a Lease is renewed now and then, perhaps not while the test lasts"),
    ("create ciliumnetworkpolicies", "only where Cilium's kind is: tests/api/cilium.rs"),
    ("patch ciliumnetworkpolicies", "the same"),
    ("delete ciliumnetworkpolicies", "the same"),
];
/// Reads that a store answers, unless it has not caught up with a write.
const BY_NAME: &str = "get ";

/// Verb and resource, as `patch llmmodels/status`.
type Right = String;

fn granted(objects: &[DynamicObject]) -> BTreeSet<Right> {
    let rules = objects.iter().flat_map(|object| object.data["rules"].as_array().cloned().unwrap_or_default());
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in rules {
        for verb in strings(&rule["verbs"]) {
            rights.extend(strings(&rule["resources"]).into_iter().map(|resource| format!("{verb} {resource}")));
        }
    }
    rights
}

/// What `user` asked for according to the audit log, with the code of the answer.
fn asked(log: &Path, user: &str) -> BTreeSet<(Right, u64)> {
    let text = fs::read(log).expect("the API server should write an audit log beside the kubeconfig");
    let text = String::from_utf8_lossy(&text);
    let events =
        text.lines().filter(|line| line.contains(user)).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_user = events
        .filter(|event| event["user"]["username"] == user && event["objectRef"]["resource"].is_string())
        // Asked for where it may be had; with named namespaces it may not, and the kubelet's word is taken instead.
        .filter(|event| {
            (&event["objectRef"]["namespace"], &event["objectRef"]["name"]) != (&json!("default"), &json!("kubernetes"))
        });
    of_user
        .flat_map(|event| {
            let part = |name: &str| event["objectRef"][name].as_str().unwrap_or_default().to_owned();
            let resource = [part("resource"), part("subresource")];
            let resource = resource.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("/");
            let code = event["responseStatus"]["code"].as_u64().unwrap_or_default();
            let verb = event["verb"].as_str().unwrap_or_default();
            // A server-side apply of what is not there yet is judged as a creation too.
            let verbs = if (verb, code) == ("patch", 201) { vec!["patch", "create"] } else { vec![verb] };
            verbs.into_iter().map(|verb| (format!("{verb} {resource}"), code)).collect::<Vec<_>>()
        })
        .collect()
}

/// An account of the chart: what it may do, and a kubeconfig with its token alone.
struct Account {
    granted: BTreeSet<Right>,
    user: String,
    cluster: Cluster,
    objects: Vec<DynamicObject>,
}

impl Account {
    /// That of a program, of a release with these values in the test's namespace. `is_its` chooses its objects by their names.
    async fn make(
        cluster: &Cluster,
        namespace: &TestNamespace,
        (release, name): (&str, &str),
        set: &[&str],
        is_its: impl Fn(&str) -> bool,
    ) -> Self {
        let kinds = ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];
        let mut objects = chart::render(release, &namespace.name, set, &kinds);
        objects.retain(|object| object.metadata.name.as_deref().is_some_and(&is_its));
        for object in &objects {
            chart::apply(&cluster.client, object).await;
        }
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let accounts: Api<ServiceAccount> = namespace.api();
        let token = accounts.create_token_request(name, &PostParams::default(), &request).await;
        let token = token.expect("there should be a token").status.expect("a token has a status").token;
        Self {
            granted: granted(&objects),
            user: format!("system:serviceaccount:{}:{name}", namespace.name),
            cluster: Cluster {
                client: cluster.client.clone(),
                kubeconfig: kubeconfig(&cluster.kubeconfig, &namespace.name, &token),
            },
            objects,
        }
    }

    /// Holds what it asked for against what it may.
    fn judge(&self, audit: &Path, unseen: &[(&str, &str)], is_exempt: impl Fn(&str) -> bool) {
        let requests = asked(audit, &self.user);
        let refused: Vec<_> = requests.iter().filter(|(_, code)| *code == 403).collect();
        assert!(refused.is_empty(), "asked for and not granted: {refused:?}");
        let done: BTreeSet<Right> = requests.into_iter().map(|(right, _)| right).collect();
        let ungranted: Vec<_> = done.difference(&self.granted).collect();
        assert!(ungranted.is_empty(), "used and not in the chart's rules: {ungranted:?}");
        let idle: Vec<_> = self
            .granted
            .difference(&done)
            .filter(|right| !is_exempt(right) && !unseen.iter().any(|(unseen, _)| unseen == right))
            .collect();
        assert!(idle.is_empty(), "granted and never used: {idle:?}; used: {done:?}");
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _ = self.cluster.kubeconfig.parent().map(fs::remove_dir_all);
    }
}

/// Beside the administrator's, with a token in place of his certificate, and the namespace that pods are told of.
fn kubeconfig(of_admin: &Path, namespace: &str, token: &str) -> PathBuf {
    let text = fs::read_to_string(of_admin).expect("the kubeconfig should be readable");
    let mut config: Value = serde_yaml::from_str(&text).expect("the kubeconfig should be YAML");
    for user in config["users"].as_array_mut().expect("there should be users") {
        user["user"] = json!({"token": token});
    }
    for context in config["contexts"].as_array_mut().expect("there should be contexts") {
        context["context"]["namespace"] = json!(namespace);
    }
    let folder = tempfile::Builder::new().prefix("alcazar-").tempdir().expect("there should be a folder").keep();
    let path = folder.join("kubeconfig");
    fs::write(&path, serde_yaml::to_string(&config).expect("YAML")).expect("the kubeconfig should be writable");
    path
}

#[tokio::test]
async fn the_operator_does_all_that_it_may_and_may_all_that_it_does() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "least").await;
    let watched = format!("watchNamespaces=[\"{}\"]", namespace.name);
    let is_its = |name: &str| name.starts_with("t-operator");
    let account = Account::make(&cluster, &namespace, ("t", "t-operator"), &[&watched], is_its).await;
    let operator = Operator::start_as_pod(&account.cluster, &namespace);
    live(&cluster.client, &namespace).await;
    account.judge(&cluster.kubeconfig.with_file_name("audit.log"), &UNSEEN, |right| right.starts_with(BY_NAME));
    drop(operator);
    namespace.close().await;
}
