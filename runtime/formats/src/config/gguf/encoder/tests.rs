//! What GGUF metadata of an encoder may say.

use std::{collections::HashMap, path::Path};

use alcazar_core::{EncoderConfig, EncoderFamily, Head, WeightType, encoder::Pooling};

use super::{architecture, encoder_config, hugging_face_name};
use crate::{
    Class, Error,
    gguf::{Array, Header, Metadata, TensorEntry, Value},
};

fn header(pairs: &[(&str, Value)], tensors: &[(&str, &[usize])]) -> Header {
    let numbers = [
        ("bert.block_count", 2),
        ("bert.embedding_length", 8),
        ("bert.feed_forward_length", 16),
        ("bert.attention.head_count", 2),
        ("bert.context_length", 10),
    ];
    let mut all: HashMap<String, Value> =
        numbers.map(|(key, number)| (key.to_owned(), Value::Unsigned(number))).into_iter().collect();
    all.insert("general.architecture".to_owned(), Value::String("bert".to_owned()));
    all.insert("bert.attention.layer_norm_epsilon".to_owned(), Value::Float(1e-12));
    all.extend(pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    let tables: [(&str, &[usize]); 3] =
        [("token_embd.weight", &[20, 8]), ("position_embd.weight", &[10, 8]), ("token_types.weight", &[2, 8])];
    let entry = |(name, shape): &(&str, &[usize])| {
        let tensor =
            TensorEntry { weight_type: WeightType::F32, packing: None, shape: shape.to_vec(), offset: 0, n_bytes: 0 };
        ((*name).to_owned(), tensor)
    };
    Header { metadata: Metadata::from_pairs(all), tensors: tables.iter().chain(tensors).map(entry).collect() }
}

fn read(header: &Header) -> Result<EncoderConfig, Error> {
    encoder_config(header, architecture(header).unwrap(), Path::new("model.gguf"))
}

#[test]
fn the_way_of_pooling_is_a_number() {
    for (number, expected) in [(0, Pooling::Mean), (1, Pooling::Mean), (2, Pooling::First), (3, Pooling::Last)] {
        let config = read(&header(&[("bert.pooling_type", Value::Unsigned(number))], &[])).unwrap();
        assert_eq!((&config.family, config.n_types, config.max_tokens()), (&EncoderFamily::Bert, 2, 10));
        assert!(matches!(config.head, Head::Embedding(embedding) if embedding.pooling == expected));
    }
}

#[test]
fn a_classifier_has_labels() {
    let tensors: [(&str, &[usize]); 2] = [("cls.weight", &[8, 8]), ("cls.output.weight", &[2, 8])];
    let config = read(&header(&[], &tensors)).unwrap();
    assert_eq!(config.family, EncoderFamily::Roberta);
    assert!(matches!(config.head, Head::Classification(head) if head.labels == ["LABEL_0", "LABEL_1"]));
    let named = |labels: &[&str]| {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        header(&[("bert.classifier.output_labels", Value::Array(Array::Strings(labels)))], &tensors)
    };
    let config = read(&named(&["bad", "good"])).unwrap();
    assert!(matches!(config.head, Head::Classification(head) if head.labels == ["bad", "good"]));
    assert!(read(&named(&["bad"])).unwrap_err().to_string().contains("1 labels for 2 scores"));
}

#[test]
fn what_is_not_served_is_named() {
    let text = |text: &str| Value::String(text.to_owned());
    for (broken, told) in [
        (header(&[], &[("cls.output.weight", &[2, 8])]), "pooler"),
        (header(&[("bert.pooling_type", Value::Unsigned(4))], &[]), "pooling_type 4"),
        (header(&[("bert.hidden_activation", text("relu"))], &[]), "relu"),
    ] {
        let error = read(&broken).unwrap_err();
        assert_eq!(error.class(), Class::Unsupported, "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
    let error = read(&header(&[("bert.attention.head_count", Value::Unsigned(3))], &[])).unwrap_err();
    assert!(error.to_string().contains("3 heads"), "{error}");
}

#[test]
fn names_are_those_of_the_publisher() {
    let name = |name: &str| hugging_face_name(&EncoderFamily::Roberta, name);
    assert_eq!(name("blk.3.attn_q.bias"), "encoder.layer.3.attention.self.query.bias");
    assert_eq!(name("cls.output.weight"), "classifier.out_proj.weight");
    assert_eq!(name("rope_freqs.weight"), "rope_freqs.weight");
    assert_eq!(hugging_face_name(&EncoderFamily::DistilBert, "cls.bias"), "pre_classifier.bias");
}
