//! What a `config.json` of an encoder may say.

use std::path::Path;

use alcazar_core::{EncoderFamily, Head, encoder::Pooling};
use serde_json::{Value, json};

use super::encoder_config;
use crate::{Class, config::hugging_face::Keys};

fn bert() -> Value {
    json!({"model_type": "bert", "architectures": ["BertForSequenceClassification"], "hidden_size": 8, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 20, "max_position_embeddings": 10,
        "id2label": {"1": "bad", "0": "good"}})
}

fn with(change: impl Fn(&mut Value)) -> Value {
    let mut json = bert();
    change(&mut json);
    json
}

fn read(json: &Value) -> Result<alcazar_core::EncoderConfig, crate::Error> {
    encoder_config(&Keys { file: Path::new("config.json"), json }, None)
}

#[test]
fn labels_stand_in_the_order_of_their_numbers() {
    let config = read(&bert()).unwrap();
    let Head::Classification(head) = &config.head else { panic!("{:?}", config.head) };
    assert_eq!(head.labels, ["good", "bad"]);
    assert!(!head.is_multi_label);
    assert_eq!((config.max_tokens(), config.n_types, config.head_dim()), (10, 2, 4));
}

#[test]
fn a_bare_model_makes_vectors() {
    let config = read(&with(|json| json["architectures"] = json!(["BertModel"]))).unwrap();
    assert!(matches!(config.head, Head::Embedding(embedding) if embedding.pooling == Pooling::Mean));
}

#[test]
fn texts_of_roberta_begin_behind_the_padding() {
    let config = read(&with(|json| {
        json["model_type"] = json!("roberta");
        json["pad_token_id"] = json!(1);
    }))
    .unwrap();
    assert_eq!((config.first_position, config.max_tokens()), (2, 8));
}

#[test]
fn layers_of_modern_bert_alternate() {
    let config = read(&with(|json| json["model_type"] = json!("modernbert"))).unwrap();
    let EncoderFamily::ModernBert(own) = config.family else { panic!("{:?}", config.family) };
    assert_eq!((own.is_global, own.reach), (vec![true, false], 64));
}

#[test]
fn what_is_not_served_is_named() {
    let cases = [
        (with(|json| json["architectures"] = json!(["BertForMultipleChoice"])), "MultipleChoice"),
        (with(|json| json["position_embedding_type"] = json!("relative_key")), "relative_key"),
        (with(|json| json["hidden_act"] = json!("mish")), "mish"),
        (with(|json| json["model_type"] = json!("deberta-v2")), "relative_attention"),
    ];
    for (json, told) in cases {
        let error = read(&json).unwrap_err();
        assert_eq!(error.class(), Class::Unsupported, "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let cases = [
        (with(|json| json["num_attention_heads"] = json!(3)), "3 heads"),
        (with(|json| json["id2label"] = json!({"0": "a", "2": "b"})), "gap"),
        (with(|json| json["hidden_size"] = json!(-1)), "hidden_size"),
        (with(|json| json["vocab_size"] = json!(u64::MAX)), "vocab_size"),
    ];
    for (json, told) in &cases {
        let error = read(json).unwrap_err();
        assert_eq!(error.class(), Class::Invalid, "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
}

fn llama(class: &str) -> Value {
    json!({"model_type": "llama", "architectures": [class], "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 16, "vocab_size": 20, "max_position_embeddings": 10, "num_labels": 1})
}

#[test]
fn decoders_are_encoders_by_their_class_or_their_modules() {
    for (class, has_modules, expected) in [
        ("LlamaForCausalLM", false, false),
        ("LlamaForCausalLM", true, true),
        ("LlamaModel", false, true),
        ("LlamaForSequenceClassification", false, true),
        ("LlamaForTokenClassification", false, false),
    ] {
        assert_eq!(super::is_encoder(&llama(class), has_modules), expected, "{class}");
    }
    let config = read(&llama("LlamaForSequenceClassification")).unwrap();
    assert!(matches!(&config.head, Head::Classification(head) if head.labels == ["LABEL_0"]));
    assert_eq!((config.max_tokens(), config.n_types, config.head_dim()), (10, 0, 4));
    let EncoderFamily::Decoder(own) = config.family else { panic!("{:?}", config.family) };
    assert!(own.output.is_tied, "its table of scores is not looked for");
}
