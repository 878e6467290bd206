//! Which crate may depend on which: the direction of ARCHITECTURE.md.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

use crate::tree::{none, root};

/// What each crate may use of ours. `core` is whom everybody below the server may know; nobody knows the server.
const MAY_USE: &[(&str, &[&str])] = &[
    ("alcazar-crds", &[]),
    ("alcazar-contract", &[]),
    ("alcazar-telemetry", &[]),
    ("alcazar-operator", &["alcazar-crds", "alcazar-contract", "alcazar-telemetry"]),
    (
        "alcazar-cli",
        &["alcazar-crds", "alcazar-contract", "alcazar-telemetry", "alcazar-vpn", "alcazar-signing", "alcazar-gateway"],
    ),
    ("alcazar-core", &[]),
    ("alcazar-formats", &["alcazar-core"]),
    ("alcazar-text", &["alcazar-core", "alcazar-formats"]),
    ("alcazar-models", &["alcazar-core", "alcazar-formats"]),
    ("alcazar-backend-candle", &["alcazar-core", "alcazar-formats"]),
    ("alcazar-backend-cpu", &["alcazar-core", "alcazar-formats"]),
    // Sans-IO, and it names no backend.
    ("alcazar-engine", &["alcazar-core", "alcazar-formats", "alcazar-text", "alcazar-models"]),
    // Knows packets and streams, nothing of what is served through them.
    ("alcazar-vpn", &[]),
    ("alcazar-signing", &[]),
    ("alcazar-store", &["alcazar-contract", "alcazar-core", "alcazar-formats", "alcazar-signing"]),
    (
        "alcazar-server",
        &[
            "alcazar-contract",
            "alcazar-core",
            "alcazar-formats",
            "alcazar-text",
            "alcazar-models",
            "alcazar-backend-candle",
            "alcazar-backend-cpu",
            "alcazar-engine",
            "alcazar-store",
            "alcazar-telemetry",
        ],
    ),
    ("alcazar-gateway", &["alcazar-crds", "alcazar-contract", "alcazar-telemetry", "alcazar-vpn"]),
    ("alcazar-tests", &["alcazar-crds", "alcazar-contract", "alcazar-operator"]),
];

/// Crates that do no IO and so know no client, runtime or HTTP.
const WITHOUT_IO: [&str; 6] =
    ["alcazar-core", "alcazar-formats", "alcazar-text", "alcazar-models", "alcazar-engine", "alcazar-contract"];
const IO: [&str; 7] = ["tokio", "hyper", "axum", "reqwest", "kube-client", "async-std", "mio"];

struct Package {
    name: String,
    folder: String,
    /// Without development dependencies: tests may know more.
    uses: Vec<String>,
    features: BTreeMap<String, Vec<String>>,
}

fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo should run");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata should be JSON");
    metadata["packages"].as_array().expect("there should be packages").iter().map(package).collect()
}

fn package(value: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let normal =
        value["dependencies"].as_array().into_iter().flatten().filter(|dependency| dependency["kind"] != "dev");
    let uses = normal
        .map(|dependency| {
            let features = dependency["features"].as_array().into_iter().flatten().any(|feature| feature == "client");
            let name = text(&dependency["name"]);
            if name == "kube" && features { "kube-client".to_owned() } else { name }
        })
        .collect();
    let manifest = text(&value["manifest_path"]);
    let folder = manifest.trim_end_matches("/Cargo.toml").trim_start_matches(&*root().to_string_lossy());
    Package {
        name: text(&value["name"]),
        folder: folder.trim_start_matches('/').to_owned(),
        uses,
        features: serde_json::from_value(value["features"].clone()).unwrap_or_default(),
    }
}

/// Folders of all crates.
pub(crate) fn members() -> Vec<String> {
    packages().into_iter().map(|package| package.folder).collect()
}

fn wrong_direction(package: &Package) -> Vec<String> {
    let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == package.name) else {
        return vec![format!(
            "{}: a new crate: say in tests/tidy/crates.rs and ARCHITECTURE.md what it may use",
            package.name
        )];
    };
    let ours = package.uses.iter().filter(|name| name.starts_with("alcazar-"));
    ours.filter(|name| !allowed.contains(&name.as_str()))
        .map(|name| format!("{} must not use {name}", package.name))
        .collect()
}

fn does_io(package: &Package) -> Vec<String> {
    let io = package.uses.iter().filter(|name| WITHOUT_IO.contains(&&*package.name) && IO.contains(&name.as_str()));
    io.map(|name| format!("{} does no IO and must not use {name}", package.name)).collect()
}

/// A device feature anywhere else would make one crate compile to two things.
fn stray_device_feature(package: &Package) -> Option<String> {
    let may = package.name == "alcazar-server" || package.name.starts_with("alcazar-backend-");
    (!may && package.features.contains_key("cuda")).then(|| format!("{} must not have a device feature", package.name))
}

#[test]
fn dependencies_point_one_way() {
    none(&packages().iter().flat_map(wrong_direction).collect::<Vec<_>>());
}

#[test]
fn inner_crates_do_no_io() {
    none(&packages().iter().flat_map(does_io).collect::<Vec<_>>());
}

#[test]
fn only_backends_and_the_server_know_devices() {
    none(&packages().iter().filter_map(stray_device_feature).collect::<Vec<_>>());
}

#[test]
fn every_crate_of_the_table_exists() {
    let known: Vec<_> = packages().into_iter().map(|package| package.name).collect();
    let gone = MAY_USE.iter().filter(|(name, _)| !known.iter().any(|known| known == name));
    none(&gone.map(|(name, _)| format!("{name} is in the table and not in the workspace")).collect::<Vec<_>>());
}

#[test]
fn notices_a_wrong_direction() {
    let package = |name: &str, uses: &[&str]| Package {
        name: name.to_owned(),
        folder: String::new(),
        uses: uses.iter().map(|name| (*name).to_owned()).collect(),
        features: BTreeMap::from([("cuda".to_owned(), Vec::new())]),
    };
    assert_eq!(wrong_direction(&package("alcazar-engine", &["alcazar-backend-candle", "serde"])).len(), 1);
    assert_eq!(wrong_direction(&package("alcazar-operator", &["alcazar-server"])).len(), 1);
    assert_eq!(wrong_direction(&package("alcazar-new", &[])).len(), 1);
    assert_eq!(does_io(&package("alcazar-engine", &["tokio"])).len(), 1);
    assert!(stray_device_feature(&package("alcazar-engine", &[])).is_some());
}
