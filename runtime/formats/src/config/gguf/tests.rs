//! Options of families in GGUF metadata, and that none of them panics.

use alcazar_core::config::{FeedForward, Residual, Rotation};
use proptest::prelude::*;

use super::*;
use crate::{file::SourceFile, gguf::write::GgufWriter};

fn read(file: &GgufWriter) -> Result<DecoderConfig, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    std::fs::write(&path, file.finish()).unwrap();
    let file = SourceFile::open(&path).map_err(|error| error.to_string())?;
    let header = crate::gguf::read_header(&file).map_err(|error| error.to_string())?;
    decoder_config(&header, &path).map_err(|error| error.to_string())
}

/// Everything that every family needs.
fn file(architecture: &str) -> GgufWriter {
    let key = |key: &str| format!("{architecture}.{key}");
    GgufWriter::default()
        .text("general.architecture", architecture)
        .number(&key("block_count"), 8)
        .number(&key("context_length"), 64)
        .number(&key("embedding_length"), 8)
        .number(&key("feed_forward_length"), 16)
        .number(&key("expert_feed_forward_length"), 16)
        .number(&key("attention.head_count"), 2)
        .pair(&key("attention.layer_norm_rms_epsilon"), Value::Float(1e-5))
        .floats("token_embd.weight", &[10, 8], &[0.5; 80])
}

fn with_experts(architecture: &str) -> GgufWriter {
    let key = |key: &str| format!("{architecture}.{key}");
    file(architecture).number(&key("expert_count"), 4).number(&key("expert_used_count"), 2)
}

fn windows(config: &DecoderConfig) -> Vec<bool> {
    config.layers.iter().map(|layer| layer.window.is_some()).collect()
}

#[test]
fn windows_are_by_list_by_period_or_as_the_family_has_them() {
    let gemma3 = || file("gemma3").number("gemma3.attention.sliding_window", 4);
    let every_sixth_is_full = [true, true, true, true, true, false, true, true];
    let config = read(&gemma3()).unwrap();
    assert_eq!(windows(&config), every_sixth_is_full);
    assert_eq!((config.layers[0].rotation, config.layers[5].rotation), (Rotation::Local, Rotation::Global));
    let period = gemma3().number("gemma3.attention.sliding_window_pattern", 2);
    assert_eq!(windows(&read(&period).unwrap()), [true, false, true, false, true, false, true, false]);
    let list = Value::Array(Array::Integers(vec![0, 1, 1, 0, 0, 0, 0, 1]));
    let listed = gemma3().pair("gemma3.attention.sliding_window_pattern", list);
    assert_eq!(windows(&read(&listed).unwrap()), [false, true, true, false, false, false, false, true]);
    assert!(windows(&read(&file("phi3").number("phi3.attention.sliding_window", 0)).unwrap()).iter().all(|has| !has));
}

#[test]
fn the_largest_gemma_is_known_by_its_layers() {
    let scale = |n: u32| {
        let file = GgufWriter::default()
            .text("general.architecture", "gemma2")
            .number("gemma2.block_count", n)
            .number("gemma2.context_length", 64)
            .number("gemma2.embedding_length", 8)
            .number("gemma2.feed_forward_length", 16)
            .number("gemma2.attention.head_count", 2)
            .number("gemma2.attention.key_length", 16)
            .number("gemma2.attention.value_length", 16)
            .pair("gemma2.attention.layer_norm_rms_epsilon", Value::Float(1e-5))
            .floats("token_embd.weight", &[10, 8], &[0.5; 80]);
        read(&file).unwrap().attention.scale
    };
    assert!((scale(42) - 0.25).abs() < 1e-6, "1 / sqrt(the head's elements)");
    assert!((scale(46) - 0.5).abs() < 1e-6, "1 / sqrt(the width over the heads)");
}

#[test]
fn experts_and_norms_tell_families_apart() {
    assert_eq!(read(&with_experts("llama")).unwrap().family, Family::Mixtral);
    assert_eq!(read(&file("llama")).unwrap().family, Family::Llama);
    let FeedForward::Experts { n_experts, n_used, .. } = read(&with_experts("gpt-oss")).unwrap().feed_forward_kind
    else {
        panic!()
    };
    assert_eq!((n_experts, n_used), (4, 2));
    assert!(read(&with_experts("qwen2")).unwrap_err().contains("mixture of experts"));
    assert!(read(&file("qwen3moe")).unwrap_err().contains("expert_count nowhere"));
    assert_eq!(read(&file("falcon")).unwrap().block.residual, Residual::ParallelShared);
    let second = file("falcon").floats("blk.0.attn_norm_2.weight", &[8], &[1.0; 8]);
    assert_eq!(read(&second).unwrap().block.residual, Residual::Parallel);
    let third = read(&file("olmo2").number("olmo2.attention.sliding_window", 4)).unwrap();
    let windows: Vec<_> = third.layers.iter().take(4).map(|layer| (layer.window, layer.rotation)).collect();
    let local = (Some(4), Rotation::Local);
    assert_eq!(windows, [local, local, local, (None, Rotation::Global)], "OLMo 3");
}

#[test]
fn a_decoder_that_makes_vectors_is_not_taken_for_one_that_writes() {
    assert!(read(&file("qwen3").number("qwen3.pooling_type", 0)).is_ok());
    assert!(read(&file("qwen3").number("qwen3.pooling_type", 3)).unwrap_err().contains("pooling_type 3"));
}

#[test]
fn layers_of_different_shape_are_refused() {
    let heads = |numbers: Vec<i64>| {
        let list = Value::Array(Array::Integers(numbers));
        read(&file("llama").pair("llama.attention.head_count_kv", list))
    };
    assert_eq!(heads(vec![1; 8]).unwrap().n_kv_heads, 1);
    assert!(heads(vec![1, 2]).unwrap_err().contains("differs by layer"));
    assert!(heads(vec![0; 8]).is_err());
}

const KEYS: [&str; 16] = [
    "block_count",
    "context_length",
    "feed_forward_length",
    "expert_feed_forward_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "expert_count",
    "expert_used_count",
];

fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![Just(0), 1u32..9, Just(64), Just(u32::MAX)].prop_map(|n| Value::Unsigned(n.into()));
    let list = prop::collection::vec(any::<i32>(), 0..4);
    let list = list.prop_map(|all| Value::Array(Array::Integers(all.into_iter().map(i64::from).collect())));
    let word = prop_oneof![Just("yarn"), Just("linear"), Just("none")].prop_map(|word| Value::String(word.to_owned()));
    prop_oneof![number, any::<f32>().prop_map(|x| Value::Float(x.into())), list, word]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_metadata_panics_and_what_is_accepted_has_angles(
        which in 0..registry::ARCHITECTURES.len(),
        scaling in prop_oneof![Just("none"), Just("linear"), Just("yarn")],
        changes in prop::collection::btree_map(0..KEYS.len(), value(), 0..5),
    ) {
        let name = registry::ARCHITECTURES[which].gguf;
        let mut pairs: std::collections::BTreeMap<String, Value> = [("block_count", 2), ("context_length", 64),
            ("embedding_length", 8), ("feed_forward_length", 16), ("expert_feed_forward_length", 16),
            ("attention.head_count", 2), ("expert_count", 4), ("expert_used_count", 2)]
            .into_iter().map(|(key, n)| (key.to_owned(), Value::Unsigned(n))).collect();
        pairs.insert("attention.layer_norm_rms_epsilon".to_owned(), Value::Float(1e-5));
        pairs.insert("rope.scaling.type".to_owned(), Value::String(scaling.to_owned()));
        pairs.extend(changes.into_iter().map(|(key, value)| (KEYS[key].to_owned(), value)));
        let start = GgufWriter::default().text("general.architecture", name).floats("token_embd.weight", &[10, 8], &[0.5; 80]);
        let file = pairs.into_iter().fold(start, |file, (key, value)| file.pair(&format!("{name}.{key}"), value));
        if let Ok(config) = read(&file) {
            prop_assert!(config.head_dim > 0 && config.n_heads.is_multiple_of(config.n_kv_heads));
            if let Position::Rotary { global, .. } = &config.position {
                prop_assert_eq!(global.table(config.context_length).frequencies.len() * 2, global.dims);
            }
        }
    }
}
