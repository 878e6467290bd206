//! Files and directories as people have them.

use std::{collections::BTreeMap, path::Path};

use alcazar_core::{RopeConfig, RopeScaling, RopeStyle, WeightSource, WeightType, config::Position};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{ModelFiles, inspect, open};
use crate::{
    Class, Format,
    gguf::{Value, write::GgufWriter},
};

fn gguf() -> GgufWriter {
    GgufWriter::default()
        .text("general.architecture", "llama")
        .text("general.name", "Tiny")
        .text("tokenizer.ggml.model", "gpt2")
        .number("llama.block_count", 1)
        .number("llama.context_length", 64)
        .number("llama.embedding_length", 8)
        .number("llama.feed_forward_length", 16)
        .number("llama.attention.head_count", 2)
        .number("llama.attention.head_count_kv", 1)
        .pair("llama.attention.layer_norm_rms_epsilon", Value::Float(1e-5))
        .floats("token_embd.weight", &[10, 8], &[0.5; 80])
}

fn write(dir: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(dir.join(name), bytes).unwrap();
}

fn safetensors(tensors: &BTreeMap<&str, (&[usize], Vec<f32>)>) -> Vec<u8> {
    let (mut table, mut data) = (serde_json::Map::new(), Vec::new());
    table.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    for (name, (shape, values)) in tensors {
        let begin = data.len();
        data.extend(values.iter().flat_map(|x| x.to_le_bytes()));
        table.insert((*name).to_owned(), json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]}));
    }
    let table = serde_json::to_vec(&table).unwrap();
    [(table.len() as u64).to_le_bytes().to_vec(), table, data].concat()
}

fn hugging_face() -> Json {
    json!({
        "model_type": "llama", "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 10, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    })
}

fn hugging_face_dir(config: &Json) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "config.json", &serde_json::to_vec(config).unwrap());
    write(dir.path(), "tokenizer.json", b"{}");
    let embedding = [("model.embed_tokens.weight", ([10, 8].as_slice(), vec![0.25; 80]))];
    write(dir.path(), "model-00001-of-00002.safetensors", &safetensors(&embedding.into()));
    let norm = [("model.norm.weight", ([8].as_slice(), vec![1.0; 8]))];
    write(dir.path(), "model-00002-of-00002.safetensors", &safetensors(&norm.into()));
    dir
}

#[test]
fn a_gguf_file_and_a_directory_with_one_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tiny.gguf", &gguf().finish());
    write(dir.path(), "README.md", b"# Tiny");
    let facts = inspect(dir.path()).unwrap();
    assert_eq!(facts, inspect(&dir.path().join("tiny.gguf")).unwrap());
    assert_eq!((facts.format, facts.architecture.as_str(), facts.name.as_str()), (Format::Gguf, "llama", "Tiny"));
    assert_eq!((facts.parameter_count, facts.context_length, facts.layers, facts.vocabulary), (80, 64, 1, 10));
    assert_eq!(facts.weight_types, [("F32".to_owned(), 1)]);
    assert_eq!(facts.refused.len(), 1, "no template: {:?}", facts.refused);
    let files = open(dir.path()).unwrap();
    assert_eq!(rope(&files).style, RopeStyle::Interleaved);
    let embedding = files.read("token_embd.weight").unwrap();
    assert_eq!(
        (embedding.weight_type, embedding.shape.as_slice(), embedding.data.len()),
        (WeightType::F32, [10, 8].as_slice(), 320)
    );
    assert!(files.read("output.weight").unwrap_err().to_string().contains("no tensor of that name"));
}

fn rope(files: &ModelFiles) -> RopeConfig {
    match &files.config().decoder().unwrap().position {
        Position::Rotary { global, .. } => global.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sharded_hugging_face_directory_is_read() {
    let mut config = hugging_face();
    config["rope_scaling"] = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 32});
    let dir = hugging_face_dir(&config);
    let files = open(dir.path()).unwrap();
    assert_eq!((files.facts().format, files.facts().parameter_count), (Format::Safetensors, 88));
    assert_eq!(rope(&files).style, RopeStyle::Halves);
    assert!(matches!(rope(&files).scaling, RopeScaling::Llama3 { .. }));
    assert_eq!(files.read("model.norm.weight").unwrap().data.len(), 32);
}

#[test]
fn names_of_the_first_berts_are_todays() {
    let dir = hugging_face_dir(&hugging_face());
    let norm = [
        ("x.LayerNorm.gamma", ([1].as_slice(), vec![0.5])),
        ("x.LayerNorm.beta", ([1].as_slice(), vec![2.0])),
        ("x.gamma", ([1].as_slice(), vec![4.0])),
    ];
    write(dir.path(), "model-00002-of-00002.safetensors", &safetensors(&norm.into()));
    let files = open(dir.path()).unwrap();
    for (name, value) in [("x.LayerNorm.weight", 0.5f32), ("x.LayerNorm.bias", 2.0), ("x.gamma", 4.0)] {
        assert_eq!(*files.read(name).unwrap().data, value.to_le_bytes(), "{name}");
    }
}

#[test]
fn a_sliding_window_is_kept_and_bounds_no_context() {
    let mut config = hugging_face();
    config["model_type"] = json!("mistral");
    config["sliding_window"] = json!(16);
    let files = open(hugging_face_dir(&config).path()).unwrap();
    assert_eq!(
        (files.config().decoder().unwrap().layers[0].window, files.config().decoder().unwrap().context_length),
        (Some(16), 64)
    );
}

#[test]
fn an_index_may_not_name_a_file_elsewhere() {
    let dir = hugging_face_dir(&hugging_face());
    let index = json!({"weight_map": {"model.norm.weight": "../secret.safetensors"}});
    write(dir.path(), "model.safetensors.index.json", &serde_json::to_vec(&index).unwrap());
    assert!(inspect(dir.path()).unwrap_err().to_string().contains("a plain name"));
}

#[test]
fn directories_without_one_model_say_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(inspect(dir.path()).unwrap_err().to_string().contains("0 files, no weights"));
    write(dir.path(), "a.gguf", &gguf().finish());
    write(dir.path(), "b.gguf", &gguf().finish());
    assert!(inspect(dir.path()).unwrap_err().to_string().contains("2 GGUF files"));
    let dir = hugging_face_dir(&hugging_face());
    std::fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
    assert!(inspect(dir.path()).unwrap_err().to_string().contains("no vocabulary"));
    write(dir.path(), "vocab.json", b"{}");
    assert!(inspect(dir.path()).is_err(), "half of a vocabulary");
    write(dir.path(), "merges.txt", b"#version: 0.2\n");
    assert_eq!(inspect(dir.path()).unwrap().tokenizer, "vocab.json");
    let missing = inspect(&dir.path().join("nowhere")).unwrap_err();
    assert_eq!(missing.class(), Class::Unreadable);
}

#[test]
fn a_pytorch_directory_is_described_and_not_opened() {
    let pytorch = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/pytorch");
    let llama = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/testdata/llama");
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json"] {
        std::fs::copy(llama.join(name), dir.path().join(name)).unwrap();
    }
    std::fs::copy(pytorch.join("llama.bin"), dir.path().join("pytorch_model.bin")).unwrap();
    let facts = inspect(dir.path()).unwrap();
    assert_eq!((facts.format, facts.architecture.as_str(), facts.layers), (Format::PyTorch, "llama", 2));
    assert!(facts.refused.iter().any(|text| text.contains("fetch converts it")), "{:?}", facts.refused);
    let error = open(dir.path()).unwrap_err();
    assert!(error.class() == Class::Unsupported && error.to_string().contains("fetch converts"), "{error}");
    std::fs::copy(pytorch.join("refused-call.bin"), dir.path().join("pytorch_model.bin")).unwrap();
    assert!(inspect(dir.path()).unwrap_err().to_string().contains("posix.getcwd"));
}

fn gguf_error(file: &GgufWriter) -> (Class, String) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tiny.gguf", &file.finish());
    let error = inspect(dir.path()).unwrap_err();
    (error.class(), error.to_string())
}

#[test]
fn absurd_dimensions_and_other_architectures_are_refused() {
    let minimal = || GgufWriter::default().floats("token_embd.weight", &[10, 8], &[0.5; 80]);
    let (class, text) = gguf_error(&minimal().text("general.architecture", "mamba"));
    assert_eq!(class, Class::Unsupported);
    assert!(text.contains("mamba") && text.contains("llama, qwen2"), "{text}");
    let (class, text) = gguf_error(&GgufWriter::default().text("general.architecture", "llama"));
    assert!(class == Class::Invalid && text.contains("token_embd.weight"), "{text}");
    let (_, text) =
        gguf_error(&minimal().text("general.architecture", "llama").number("llama.attention.head_count", 0));
    assert!(text.contains("attention.head_count 0"), "{text}");
    let heads = minimal().text("general.architecture", "llama").number("llama.attention.head_count", 1 << 30);
    assert!(gguf_error(&heads).1.contains("attention.head_count 1073741824"));
}

#[test]
fn malformed_hugging_face_dimensions_are_refused() {
    for (key, value, expected) in [
        ("model_type", json!("t5"), "model_type"),
        ("model_type", json!("bert"), "word_embeddings"),
        ("num_hidden_layers", json!(1u64 << 40), "/num_hidden_layers"),
        ("num_key_value_heads", json!(3), "3 key-value heads"),
        ("head_dim", json!(7), "7 rotated elements"),
        ("vocab_size", json!(11), "embed_tokens.weight"),
        ("rms_norm_eps", json!(-1.0), "/rms_norm_eps"),
        ("rope_scaling", json!({"rope_type": "mrope"}), "rope scaling \"mrope\""),
        ("quantization_config", json!({"bits": 4}), "quantization_config"),
        ("hidden_act", json!("softsign"), "hidden_act \"softsign\""),
    ] {
        let mut config = hugging_face();
        config[key] = value;
        let error = inspect(hugging_face_dir(&config).path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} should say {expected}");
    }
}

#[test]
fn malformed_safetensors_are_refused() {
    let table =
        |json: &str| [(json.len() as u64).to_le_bytes().to_vec(), json.as_bytes().to_vec(), vec![0; 8]].concat();
    for (bytes, expected) in [
        (vec![1, 2, 3], "a file of 3 bytes"),
        (u64::MAX.to_le_bytes().to_vec(), "a table of 18446744073709551615 bytes"),
        (table("[]"), "no JSON of tensors"),
        (table(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#), "cut off"),
        (table(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#), "fits the shape"),
        (table(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#), "fits the shape"),
        (table(r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#), "fits the shape"),
        (table(r#"{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}"#), "F8_E4M3"),
        (
            table(
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            ),
            "inside tensor",
        ),
        (
            table(
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
            ),
            "twice",
        ),
    ] {
        let dir = hugging_face_dir(&hugging_face());
        write(dir.path(), "model-00002-of-00002.safetensors", &bytes);
        let error = inspect(dir.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} should say {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_mutation_of_a_model_makes_inspect_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = gguf().finish();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "tiny.gguf", &bytes);
        drop(inspect(dir.path()));
    }
}
