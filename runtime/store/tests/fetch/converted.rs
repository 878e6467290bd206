//! Models that come in files nobody serves.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use alcazar_contract::report::ModelFacts;
use alcazar_formats::model::open;
use alcazar_store::{Fetch, FetchError, FormatsInspector, Inspect, Inspected, digest_of, fetch, verify};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    bench::Bench,
    hub::{Fault, hex},
};

const RECORD: &str = "alcazar-conversion.json";

fn fixture(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// A repository of the tiny llama whose weights have this name and these bytes.
async fn repository(name: &str, weights: &[u8]) -> Bench {
    let [config, tokenizer] =
        ["config.json", "tokenizer.json"].map(|name| fixture(&format!("models/testdata/llama/{name}")));
    Bench::with(&[("config.json", &config), ("tokenizer.json", &tokenizer), (name, weights), ("README.md", b"# hi")])
        .await
}

async fn run(bench: &Bench, job: &Fetch) -> Result<ModelFacts, FetchError> {
    fetch(job, Arc::new(FormatsInspector), &bench.progress).await
}

/// Names and bytes of a sealed model's files.
fn files(bench: &Bench, facts: &ModelFacts) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(bench.volume.path().join(&facts.path)).unwrap();
    let read =
        |entry: std::fs::DirEntry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
    entries.map(|entry| read(entry.unwrap())).collect()
}

fn digest(name: &str, bytes: &[u8]) -> Value {
    serde_json::json!({"path": name, "size": bytes.len(), "sha256": hex(&Sha256::digest(bytes))})
}

#[tokio::test]
async fn a_pytorch_repository_is_sealed_as_safetensors_with_a_record() {
    let weights = fixture("formats/testdata/pytorch/llama.bin");
    let bench = repository("pytorch_model.bin", &weights).await;
    let facts = run(&bench, &bench.job()).await.unwrap();
    assert_eq!((facts.format.as_str(), facts.architecture.as_str()), ("Safetensors", "llama"));
    let files = files(&bench, &facts);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(names, [RECORD, "config.json", "model.safetensors", "tokenizer.json"]);
    let record: Value = serde_json::from_slice(&files[RECORD]).unwrap();
    assert_eq!(record["source"]["format"], "PyTorch");
    assert_eq!(record["source"]["files"][1], digest("pytorch_model.bin", &weights));
    assert_eq!(record["converted"]["files"][1], digest("model.safetensors", &files["model.safetensors"]));
    let root = bench.volume.path().join(&facts.path);
    assert_eq!(digest_of(&root, &bench.progress).await.unwrap().digest(), facts.digest, "the record is sealed too");
    let lines = |side: &str| {
        let line = |file: &Value| {
            format!("{}  {}  {}\n", file["sha256"].as_str().unwrap(), file["size"], file["path"].as_str().unwrap())
        };
        let text: String = record[side]["files"].as_array().unwrap().iter().map(line).collect();
        format!("sha256:{}", hex(&Sha256::digest(text)))
    };
    for side in ["source", "converted"] {
        assert_eq!(record[side]["digest"], lines(side));
    }
}

#[tokio::test]
async fn the_converted_weights_are_those_of_the_original() {
    let bench = repository("pytorch_model.bin", &fixture("formats/testdata/pytorch/llama.bin")).await;
    let facts = run(&bench, &bench.job()).await.unwrap();
    let converted = open(&bench.volume.path().join(&facts.path)).unwrap();
    let original = open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/testdata/llama")).unwrap();
    assert_eq!(converted.facts().parameter_count, original.facts().parameter_count);
    assert_eq!(converted.facts().tensor_count, original.facts().tensor_count, "the tied output is left out");
    for name in ["model.embed_tokens.weight", "model.norm.weight", "model.layers.1.mlp.down_proj.weight"] {
        use alcazar_core::WeightSource as _;
        assert_eq!(converted.read(name).unwrap().data, original.read(name).unwrap().data, "{name}");
    }
}

#[tokio::test]
async fn a_layer_beside_served_weights_is_converted_too() {
    let [config, tokenizer, weights] = ["config.json", "tokenizer.json", "model.safetensors"]
        .map(|name| fixture(&format!("models/testdata/llama/{name}")));
    let layer = fixture("formats/testdata/pytorch/module.pt");
    let bench = Bench::with(&[
        ("config.json", &config),
        ("tokenizer.json", &tokenizer),
        ("model.safetensors", &weights),
        ("2_Dense/config.json", b"{}"),
        ("2_Dense/pytorch_model.bin", &layer),
    ])
    .await;
    let facts = run(&bench, &bench.job()).await.unwrap();
    let root = bench.volume.path().join(&facts.path);
    let dense = std::fs::read(root.join("2_Dense/model.safetensors")).unwrap();
    assert!(dense.windows(11).any(|window| window == b"\"0.weight\":"), "the layer's tensors");
    assert!(!root.join("2_Dense/pytorch_model.bin").exists());
    assert_eq!(std::fs::read(root.join("model.safetensors")).unwrap(), weights);
}

/// Accepts what safetensors or TensorFlow files lie in.
struct Anything;

impl Inspect for Anything {
    fn inspect(&self, _: &dyn alcazar_formats::Access, _: &Path) -> Result<Inspected, FetchError> {
        Ok(Inspected { architecture: "bert".to_owned(), ..Inspected::default() })
    }
}

#[tokio::test]
async fn a_checkpoint_of_tensorflow_and_a_saved_model_are_converted() {
    let read = |name: &str| (name.to_owned(), fixture(&format!("formats/testdata/tensorflow/{name}")));
    let checkpoint =
        ["bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00002", "bert_model.ckpt.data-00001-of-00002"];
    let saved = ["variables/variables.index", "variables/variables.data-00000-of-00001"];
    let saved = saved.map(|name| (name.to_owned(), read(&format!("saved/{name}")).1)).into_iter();
    let saved = saved.chain([("saved_model.pb".to_owned(), b"program".to_vec())]);
    for files in [checkpoint.map(read).to_vec(), vec![("tf_model.h5".to_owned(), read("bert.h5").1)], saved.collect()] {
        let mut listed: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        listed.push(("config.json", b"{}"));
        let bench = Bench::with(&listed).await;
        let facts = fetch(&bench.job(), Arc::new(Anything), &bench.progress).await.unwrap();
        let root = bench.volume.path().join(&facts.path);
        let mut names: Vec<_> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [RECORD, "config.json", "model.safetensors"]);
        let record: Value = serde_json::from_slice(&std::fs::read(root.join(RECORD)).unwrap()).unwrap();
        assert_eq!(record["source"]["format"], "TensorFlow");
        assert_eq!(record["source"]["files"].as_array().unwrap().len(), listed.len());
    }
}

#[tokio::test]
async fn a_volume_with_pytorch_files_is_not_verified_as_a_model() {
    let bench = repository("pytorch_model.bin", &fixture("formats/testdata/pytorch/llama.bin")).await;
    let files = bench.hub.files.lock().unwrap().clone();
    for (name, bytes) in files {
        std::fs::write(bench.volume.path().join(name), bytes).unwrap();
    }
    let error = verify(
        bench.volume.path(),
        None,
        &alcazar_store::Protection::default(),
        Arc::new(FormatsInspector),
        &bench.progress,
    )
    .await
    .unwrap_err();
    assert_eq!(error.reason().as_str(), "UnsupportedModel");
    assert!(error.to_string().contains("only a fetch converts"), "{error}");
}

#[tokio::test]
async fn the_digest_can_be_pinned_and_found_again() {
    let weights = fixture("formats/testdata/pytorch/llama.bin");
    let (first, second) =
        (repository("pytorch_model.bin", &weights).await, repository("pytorch_model.bin", &weights).await);
    let facts = run(&first, &first.job()).await.unwrap();
    let pinned = Fetch { expect_digest: Some(facts.digest.clone()), ..second.job() };
    assert_eq!(run(&second, &pinned).await.unwrap(), facts, "the same bytes on another volume");
    first.hub.behave();
    assert_eq!(run(&first, &first.job()).await.unwrap(), facts);
    assert!(first.hub.seen.lock().unwrap().is_empty(), "what is sealed is not fetched again");
}

#[tokio::test]
async fn work_that_was_interrupted_during_conversion_is_begun_again() {
    let weights = fixture("formats/testdata/pytorch/llama.bin");
    let bench = repository("pytorch_model.bin", &weights).await;
    bench.hub.misbehave("tokenizer.json", Fault::Status(404, 1));
    run(&bench, &bench.job()).await.unwrap_err();
    let [partial] = bench.on_volume().try_into().unwrap();
    let partial = bench.volume.path().join(partial);
    std::fs::create_dir_all(partial.join("converted")).unwrap();
    std::fs::write(partial.join("converted/model.safetensors"), "half").unwrap();
    std::fs::write(partial.join("tree/model.safetensors"), "half").unwrap();
    let facts = run(&bench, &bench.job()).await.unwrap();
    assert_eq!(files(&bench, &facts).len(), 4);
    assert!(open(&bench.volume.path().join(&facts.path)).is_ok());
}

#[tokio::test]
async fn a_checkpoint_that_would_run_code_is_refused_and_leaves_no_trace() {
    for (weights, reason, word) in [
        ("formats/testdata/pytorch/refused-call.bin", "UnsupportedModel", "posix.getcwd"),
        ("formats/testdata/pytorch/module.pt", "InvalidModel", "embed_tokens.weight"),
        ("models/testdata/llama/tokenizer.json", "InvalidModel", "another kind of file"),
    ] {
        let bench = repository("pytorch_model.bin", &fixture(weights)).await;
        let error = run(&bench, &bench.job()).await.unwrap_err();
        assert_eq!(error.reason().as_str(), reason);
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(bench.on_volume(), Vec::<String>::new());
    }
}
