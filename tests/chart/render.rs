//! Runs `helm template` and parses what comes.

use std::{path::Path, process::Command};

use serde::Deserialize;
use serde_yaml::Value;

pub(crate) const NAMESPACE: &str = "alcazar-system";

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate should lie in the repository")
}

/// The objects for these `--set` values.
#[track_caller]
pub(crate) fn render(set: &[&str]) -> Vec<Value> {
    render_with(set, &[])
}

#[track_caller]
pub(crate) fn render_with(set: &[&str], apis: &[&str]) -> Vec<Value> {
    let text = helm("alcazar", set, apis).unwrap_or_else(|refusal| panic!("helm should render {set:?}: {refusal}"));
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).expect("the chart should render YAML"))
        .filter(|document| !document.is_null())
        .collect()
}

/// What helm says against these values.
#[track_caller]
pub(crate) fn refusal(set: &[&str]) -> String {
    helm("alcazar", set, &[]).expect_err("the schema should refuse these values")
}

pub(crate) fn helm(release: &str, set: &[&str], apis: &[&str]) -> Result<String, String> {
    let program = root().join("target/cluster-bin/helm");
    assert!(program.exists(), "target/cluster-bin/helm is missing: `make cluster-bin` builds it");
    let mut command = Command::new(program);
    command.args(["template", release]).arg(root().join("charts/alcazar"));
    command.args(["--namespace", NAMESPACE, "--kube-version", "1.35.0"]);
    for value in set {
        command.args(["--set-json", value]);
    }
    for api in apis {
        command.args(["--api-versions", api]);
    }
    let output = command.output().expect("helm should run");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

pub(crate) fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The one object of that kind of the operator itself, its canary left out.
#[track_caller]
pub(crate) fn the<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    one(objects, kind, "alcazar-operator")
}

/// The one object of that kind of the gateway.
#[track_caller]
pub(crate) fn the_gateways<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    one(objects, kind, "alcazar-gateway")
}

#[track_caller]
fn one<'a>(objects: &'a [Value], kind: &str, program: &str) -> &'a Value {
    let of_program = |object: &&Value| {
        object["metadata"]["labels"]["app.kubernetes.io/name"] == program && name(object) != "alcazar-canary"
    };
    let found: Vec<_> = of_kind(objects, kind).into_iter().filter(of_program).collect();
    assert_eq!(found.len(), 1, "there should be one {kind} of {program}");
    found[0]
}

/// The object of that kind and name.
#[track_caller]
pub(crate) fn named<'a>(objects: &'a [Value], kind: &str, wanted: &str) -> &'a Value {
    let found = of_kind(objects, kind).into_iter().find(|object| name(object) == wanted);
    found.unwrap_or_else(|| panic!("there should be a {kind} {wanted}"))
}

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

pub(crate) fn strings(value: &Value) -> Vec<&str> {
    value.as_sequence().into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_sequence().map_or(&[], Vec::as_slice)
}
