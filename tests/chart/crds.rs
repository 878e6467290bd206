//! The kinds in the chart are the generated ones, and outlive the release.

use std::fs;

use serde_yaml::Value;

use crate::render::{name, of_kind, render, root};

#[test]
fn the_kinds_are_the_generated_ones_and_are_kept() {
    let objects = render(&[]);
    let rendered = of_kind(&objects, "CustomResourceDefinition");
    let files: Vec<_> = fs::read_dir(root().join("crds/yaml")).expect("crds/yaml should exist").flatten().collect();
    assert_eq!(rendered.len(), files.len());
    for file in files {
        let text = fs::read_to_string(file.path()).expect("a CRD should be readable");
        let mut generated: Value = serde_yaml::from_str(&text).expect("a CRD should be YAML");
        let found =
            rendered.iter().find(|object| name(object) == name(&generated)).expect("each CRD should be in the chart");
        assert_eq!(found["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
        generated["metadata"]["annotations"] = found["metadata"]["annotations"].clone();
        assert_eq!(**found, generated, "the chart must not change {}", name(&generated));
    }
}

#[test]
fn they_can_be_left_to_somebody_else() {
    assert!(of_kind(&render(&["crds.install=false"]), "CustomResourceDefinition").is_empty());
}
