//! Metadata that contradicts itself in every way: a tokenizer comes of it or an error, never a panic.

use std::sync::Arc;

use alcazar_core::TokenId;
use alcazar_formats::gguf::{Array, Metadata, Value};
use proptest::{prelude::*, test_runner::RngSeed};

use super::{Special, gguf};
use crate::Detokenizer;

/// Pieces as vocabularies have them, and what none should have.
fn token() -> impl Strategy<Value = String> {
    prop_oneof!["[a-cĠ▁Ã©]{0,4}", "<0x[0-9A-G]{1,3}>", Just("<|end|>".to_owned()), Just("</s>".to_owned()), "\\PC{0,3}",]
}

fn strings(values: Vec<String>) -> Value {
    Value::Array(Array::Strings(values))
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u64>().prop_map(Value::Unsigned),
        (0..12u64).prop_map(Value::Unsigned),
        any::<bool>().prop_map(Value::Bool)
    ]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let kind = prop_oneof![Just("gpt2"), Just("llama"), Just("bert"), Just("t5"), Just("")];
    let cut = prop_oneof![Just("default"), Just("llama-bpe"), Just("qwen2"), Just("no such")];
    let lists = (
        prop::collection::vec(token(), 0..12),
        prop::collection::vec(-2..8i64, 0..14),
        prop::collection::vec(any::<f32>(), 0..14),
        prop::collection::vec(prop_oneof!["[a-c]{0,2} [a-c]{0,2}", "\\PC{0,5}"], 0..8),
    );
    let numbers =
        ["bos_token_id", "eos_token_id", "add_bos_token", "add_eos_token", "add_space_prefix", "unknown_token_id"];
    let numbers =
        prop::collection::vec(number(), numbers.len()).prop_map(move |values| numbers.into_iter().zip(values));
    (kind, cut, lists, numbers).prop_map(|(kind, cut, (tokens, types, scores, merges), numbers)| {
        let mut pairs = vec![
            ("model", Value::String(kind.to_owned())),
            ("pre", Value::String(cut.to_owned())),
            ("tokens", strings(tokens)),
            ("token_type", Value::Array(Array::Integers(types))),
            ("scores", Value::Array(Array::Floats(scores))),
            ("merges", strings(merges)),
        ];
        pairs.extend(numbers);
        Metadata::from_pairs(pairs.into_iter().map(|(key, value)| (format!("tokenizer.ggml.{key}"), value)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: RngSeed::Fixed(2026), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_metadata_makes_a_tokenizer_panic(metadata in metadata(), text in "[a-c ▁é]{0,8}", ids in prop::collection::vec(0..20u32, 0..8)) {
        if let Ok(tokenizer) = gguf::build(&metadata, "hostile.gguf") {
            for special in [Special::Recognise, Special::Ignore] {
                drop(tokenizer.encode(&text, special));
            }
            drop(tokenizer.encode_prompt(&text));
            let ids: Vec<TokenId> = ids.into_iter().map(TokenId).collect();
            drop(tokenizer.decode(&ids));
            let mut stream = Detokenizer::new(Arc::new(tokenizer));
            for id in ids {
                drop(stream.push(id));
            }
            drop(stream.finish());
        }
    }
}
