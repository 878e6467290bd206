//! Real YAML through the types and back: nothing that the schema takes is lost in the operator's hands.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::repo;
use crate::{
    llm_api_key::LlmApiKey,
    llm_deployment::{DesiredState, IsolationMode, LlmDeployment, RolloutStrategy},
    llm_model::LlmModel,
    llm_vpn_peer::LlmVpnPeer,
};

/// Every document of our kinds in the folder, with the name of its file.
fn documents(folder: &str) -> Vec<(String, Value)> {
    let mut files: Vec<PathBuf> = fs::read_dir(repo(folder))
        .expect("the folder should exist")
        .map(|entry| entry.expect("the folder should be readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("the file should be readable");
        for document in serde_yaml::Deserializer::from_str(&text) {
            let value = Value::deserialize(document).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            if value["apiVersion"] == "alcazar.dev/v1alpha1" {
                found.push((file.display().to_string(), value));
            }
        }
    }
    found
}

fn there_and_back<K: DeserializeOwned + Serialize>(file: &str, value: &Value) -> Value {
    let typed: K = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::to_value(typed).expect("a kind should serialize")
}

/// Whether all of `part` is in `whole`; the types may add defaults.
fn contains(whole: &Value, part: &Value) -> Result<(), String> {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part.iter().try_for_each(|(key, value)| {
            whole.get(key).map_or_else(
                || Err(format!(".{key} is lost")),
                |found| contains(found, value).map_err(|error| format!(".{key}{error}")),
            )
        }),
        (Value::Array(whole), Value::Array(part)) if whole.len() == part.len() => {
            whole.iter().zip(part).try_for_each(|(whole, part)| contains(whole, part))
        }
        _ if whole == part => Ok(()),
        _ => Err(format!(": {part} became {whole}")),
    }
}

#[test]
fn what_the_schema_takes_survives_the_types() {
    let all: Vec<_> =
        ["examples", "tests/cases/crds/accepted", "tests/cases/crds/updates"].into_iter().flat_map(documents).collect();
    assert!(all.len() > 50, "only {} documents", all.len());
    for (file, value) in all {
        let back = match value["kind"].as_str() {
            Some("LlmDeployment") => there_and_back::<LlmDeployment>(&file, &value),
            Some("LlmModel") => there_and_back::<LlmModel>(&file, &value),
            Some("LlmApiKey") => there_and_back::<LlmApiKey>(&file, &value),
            Some("LlmVpnPeer") => there_and_back::<LlmVpnPeer>(&file, &value),
            other => panic!("{file}: kind {other:?}"),
        };
        if let Err(error) = contains(&back, &value) {
            panic!("{file}: {error}");
        }
    }
}

#[test]
fn the_smallest_yaml_means_what_the_page_says() {
    let documents = documents("examples");
    let (_, value) =
        documents.iter().find(|(file, _)| file.ends_with("assistant.yaml")).expect("assistant.yaml should exist");
    let deployment: LlmDeployment = serde_json::from_value(value.clone()).expect("the example should be a deployment");
    let spec = deployment.spec;
    let source = spec.model.expect("the model should be inline").source;
    assert_eq!(source.hugging_face.expect("the source should be the hub").repo, "HuggingFaceTB/SmolLM2-135M-Instruct");
    assert_eq!((spec.replicas, spec.model_name), (None, None));
    assert_eq!((spec.state, spec.network.isolation), (DesiredState::Active, IsolationMode::Required));
    assert_eq!(spec.rollout.strategy, RolloutStrategy::Auto);
    assert_eq!((spec.rollout.progress_deadline_seconds, spec.rollout.drain_seconds), (1800, 120));
}

/// Each refused case says what it expects, and is YAML: a typo must not pass as a refusal.
#[test]
fn refused_cases_are_well_formed() {
    let mut n_cases = 0;
    for entry in fs::read_dir(repo("tests/cases/crds/refused")).expect("the folder should exist") {
        let path = entry.expect("the folder should be readable").path();
        let text = fs::read_to_string(&path).expect("the file should be readable");
        assert!(text.starts_with("# expect: "), "{}", path.display());
        n_cases += 1;
    }
    assert!(n_cases >= 40, "only {n_cases} cases");
    assert!(documents("tests/cases/crds/refused").len() >= n_cases);
}
