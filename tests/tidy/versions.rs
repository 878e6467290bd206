//! What is written twice says the same: versions, the chart's copy of the CRDs, the toolchain.

use std::{collections::BTreeMap, fs};

use crate::tree::{none, read, root};

fn workspace_version() -> String {
    let manifest = read("Cargo.toml");
    let (_, package) = manifest.split_once("[workspace.package]").expect("the workspace should have a package table");
    quoted_after(package, "version = ").expect("the workspace should have a version")
}

/// The first quoted or bare word after `key`.
fn quoted_after(text: &str, key: &str) -> Option<String> {
    let (_, rest) = text.split_once(key)?;
    Some(rest.trim_start_matches('"').chars().take_while(|c| !c.is_whitespace() && *c != '"').collect())
}

fn folder(path: &str) -> BTreeMap<String, String> {
    let entries =
        fs::read_dir(root().join(path)).unwrap_or_else(|failure| panic!("{path} cannot be read: {failure}")).flatten();
    entries
        .map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path()).unwrap_or_default())
        })
        .collect()
}

fn differences(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Vec<String> {
    let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
    names.filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

#[test]
fn everything_has_the_version_of_the_workspace() {
    let version = workspace_version();
    let chart = read("charts/alcazar/Chart.yaml");
    let mut wrong = Vec::new();
    for key in ["\nversion: ", "\nappVersion: "] {
        if quoted_after(&chart, key).as_deref() != Some(&version) {
            wrong.push(format!("charts/alcazar/Chart.yaml: {} must be {version}", key.trim()));
        }
    }
    let dockerfile = read("Dockerfile");
    let images = dockerfile.lines().filter_map(|line| line.strip_prefix("ARG VERSION="));
    wrong.extend(
        images
            .filter(|found| *found != version)
            .map(|found| format!("Dockerfile: ARG VERSION={found} must be {version}")),
    );
    if !read("CHANGELOG.md").contains("## [Unreleased]") {
        wrong.push("CHANGELOG.md: must have a section [Unreleased]".to_owned());
    }
    none(&wrong);
}

#[test]
fn images_are_built_with_the_pinned_toolchain() {
    let channel = quoted_after(&read("rust-toolchain.toml"), "channel = ").expect("the toolchain should be pinned");
    let base = quoted_after(&read("Dockerfile"), "ARG BUILD_BASE=").expect("the build base should be pinned");
    assert!(base.contains(&format!(":{channel}-")), "Dockerfile builds on {base}, rust-toolchain.toml pins {channel}");
}

#[test]
fn the_chart_has_the_generated_kinds() {
    none(&differences(&folder("crds/yaml"), &folder("charts/alcazar/crds-generated")));
}

/// As crdgen writes them, without its comment on the first line.
#[test]
fn generated_files_are_up_to_date() {
    let without_comment = |text: &str| text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    let files: BTreeMap<_, _> =
        folder("crds/yaml").into_iter().map(|(name, text)| (name, without_comment(&text))).collect();
    let generated = alcazar_crds::manifest::manifests().into_iter().map(|manifest| {
        (format!("{}.yaml", manifest.plural), serde_yaml::to_string(&manifest.crd).expect("a CRD should be YAML"))
    });
    let mut stale = differences(&generated.collect(), &files);
    if alcazar_crds::reference::page() != read("docs/reference/kinds.md") {
        stale.push("docs/reference/kinds.md".to_owned());
    }
    assert!(stale.is_empty(), "out of date, run `make generate`: {stale:?}");
}

#[test]
fn notices_a_difference() {
    let one = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "1".to_owned())]);
    let other = BTreeMap::from([("a".to_owned(), "2".to_owned()), ("c".to_owned(), "1".to_owned())]);
    assert_eq!(differences(&one, &other), ["a", "b", "c"]);
    assert_eq!(quoted_after("x\nversion: 1.2\n", "\nversion: ").as_deref(), Some("1.2"));
    assert_eq!(quoted_after("version = \"1.2\"\n", "version = ").as_deref(), Some("1.2"));
}
