//! Small vocabularies of each kind, and text cut as the publishers' own tokenizers cut it.

use std::sync::Arc;

use alcazar_core::TokenId;
use alcazar_formats::{
    TextFiles, Vocabulary,
    gguf::{Array, Metadata, Value},
};
use serde_json::json;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::{Legacy, Special, Tokenizer, files, gguf, pre_tokenizer};
use crate::Detokenizer;

fn strings(values: &[&str]) -> Value {
    Value::Array(Array::Strings(values.iter().map(ToString::to_string).collect()))
}

/// `<|end|>` is special, `<tool>` the user's own, bytes of "é" are apart.
pub(crate) fn byte_level() -> Tokenizer {
    let tokens = ["<|end|>", "h", "e", "l", "o", "Ġ", "w", "he", "ll", "hell", "Ã", "©", "<tool>", "hello", "1"];
    let metadata = Metadata::from_pairs([
        ("tokenizer.ggml.model".to_owned(), Value::String("gpt2".to_owned())),
        ("tokenizer.ggml.pre".to_owned(), Value::String("smollm".to_owned())),
        ("tokenizer.ggml.tokens".to_owned(), strings(&tokens)),
        (
            "tokenizer.ggml.token_type".to_owned(),
            Value::Array(Array::Integers(vec![3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 1, 1])),
        ),
        ("tokenizer.ggml.merges".to_owned(), strings(&["h e", "l l", "he ll", "hell o", "no such"])),
        ("tokenizer.ggml.bos_token_id".to_owned(), Value::Unsigned(0)),
        ("tokenizer.ggml.eos_token_id".to_owned(), Value::Unsigned(0)),
    ]);
    gguf::build(&metadata, "tiny.gguf").unwrap()
}

/// Every byte, some pieces of JSON, and an end: whatever a grammar may ask for.
pub(crate) fn bytes_and_pairs() -> Tokenizer {
    let is_visible = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let hidden = (0..256).filter(|byte| !is_visible(*byte)).zip(256u32..);
    let hidden: std::collections::HashMap<u32, u32> = hidden.collect();
    let letter = |byte: u32| char::from_u32(hidden.get(&byte).copied().unwrap_or(byte)).unwrap().to_string();
    let mut tokens: Vec<String> = (0..256).map(letter).collect();
    tokens.extend(["ab", "ba", "{\"", "\"}", "\":Ġ", ",Ġ\"", "true", "null", "12", "(("].map(ToOwned::to_owned));
    tokens.push("<|end|>".to_owned());
    let types = tokens.iter().map(|token| if token == "<|end|>" { 3 } else { 1 }).collect();
    let texts: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let metadata = Metadata::from_pairs([
        ("tokenizer.ggml.model".to_owned(), Value::String("gpt2".to_owned())),
        ("tokenizer.ggml.pre".to_owned(), Value::String("gpt-2".to_owned())),
        ("tokenizer.ggml.tokens".to_owned(), strings(&texts)),
        ("tokenizer.ggml.token_type".to_owned(), Value::Array(Array::Integers(types))),
        ("tokenizer.ggml.eos_token_id".to_owned(), Value::Unsigned(266)),
    ]);
    gguf::build(&metadata, "tiny.gguf").unwrap()
}

fn ids(tokens: &[TokenId]) -> Vec<u32> {
    tokens.iter().map(|token| token.0).collect()
}

#[test]
fn byte_level_merges_specials_and_bytes() {
    let tokenizer = byte_level();
    let encode = |text: &str| ids(&tokenizer.encode(text, Special::Recognise).unwrap());
    assert_eq!(encode("hello"), [13]);
    assert_eq!(encode("hell he"), [9, 5, 7]);
    assert_eq!(encode("11"), [14, 14]);
    assert_eq!(encode("é<|end|><tool>"), [10, 11, 0, 12]);
    assert_eq!(ids(&tokenizer.encode("h<|end|>", Special::Ignore).unwrap())[0], 1);
    assert!(!tokenizer.encode("h<|end|>", Special::Ignore).unwrap().contains(&TokenId(0)));
    let tokens: Vec<TokenId> = [0, 13, 5, 10, 11, 12, 0].map(TokenId).to_vec();
    assert_eq!(tokenizer.decode(&tokens), "hello é<tool>");
    assert_eq!(tokenizer.stop_tokens(), [TokenId(0)]);
    assert_eq!(tokenizer.encode_prompt("h").unwrap(), [TokenId(1)]);
    assert_eq!((tokenizer.vocabulary(), tokenizer.token_text(TokenId(0))), (15, Some("<|end|>".to_owned())));
}

#[test]
fn half_characters_wait_for_their_other_half() {
    let mut stream = Detokenizer::new(Arc::new(byte_level()));
    assert_eq!(stream.push(TokenId(10)), "");
    assert_eq!(stream.push(TokenId(11)), "é");
    assert_eq!(stream.push(TokenId(10)), "");
    assert_eq!(stream.push(TokenId(1)), "\u{fffd}h");
    assert_eq!(stream.push(TokenId(10)), "");
    assert_eq!(stream.finish(), "\u{fffd}");
    let mut showing = Detokenizer::showing(Arc::new(byte_level()), &["<|end|>", "<tool>", "no such"]);
    assert_eq!([0, 12, 13].map(|token| showing.push(TokenId(token))).concat(), "<|end|><tool>hello");
}

fn sentence_piece() -> Tokenizer {
    let tokens = ["<unk>", "<s>", "</s>", "<0xC3>", "<0xA9>", "▁", "a", "b", "ab", "▁a", "▁ab", "bb"];
    let scores = vec![0.0, 0.0, 0.0, 0.0, 0.0, -9.0, -9.0, -9.0, -1.0, -3.0, -2.0, -4.0];
    let metadata = Metadata::from_pairs([
        ("tokenizer.ggml.model".to_owned(), Value::String("llama".to_owned())),
        ("tokenizer.ggml.tokens".to_owned(), strings(&tokens)),
        ("tokenizer.ggml.scores".to_owned(), Value::Array(Array::Floats(scores))),
        (
            "tokenizer.ggml.token_type".to_owned(),
            Value::Array(Array::Integers(vec![2, 3, 3, 6, 6, 1, 1, 1, 1, 1, 1, 1])),
        ),
        ("tokenizer.ggml.bos_token_id".to_owned(), Value::Unsigned(1)),
        ("tokenizer.ggml.eos_token_id".to_owned(), Value::Unsigned(2)),
    ]);
    gguf::build(&metadata, "tiny.gguf").unwrap()
}

#[test]
fn sentence_piece_joins_by_score_and_falls_back_to_bytes() {
    let tokenizer = sentence_piece();
    assert_eq!(ids(&tokenizer.encode_prompt("ab abb").unwrap()), [1, 10, 10, 7]);
    assert_eq!(ids(&tokenizer.encode("é</s>", Special::Recognise).unwrap()), [5, 3, 4, 2]);
    let tokens = tokenizer.encode_prompt("ab éa").unwrap();
    assert_eq!(tokenizer.decode(&tokens), "ab éa");
    assert_eq!(tokenizer.encode_chat("<s>ab").unwrap().iter().filter(|token| token.0 == 1).count(), 1);
}

#[test]
fn a_tokenizer_json_is_read_with_its_rules() {
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "added_tokens": [{"id": 4, "content": "<s>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [4], "tokens": ["<s>"]}}},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3}, "merges": [["a", "b"]]},
    });
    let text = TextFiles {
        vocabulary: Vocabulary::Whole(serde_json::to_vec(&tokenizer).unwrap()),
        tokenizer_config: json!({"bos_token": {"content": "<s>"}, "eos_token": "<s>"}),
        generation_config: json!({"eos_token_id": [4, 2]}),
        ..TextFiles::default()
    };
    let tokenizer = files::build(&text, "tokenizer.json").unwrap();
    assert_eq!(ids(&tokenizer.encode_prompt("ab a").unwrap()), [4, 2, 3, 0]);
    assert_eq!(ids(&tokenizer.encode_chat("ab").unwrap()), [2]);
    assert_eq!(tokenizer.decode(&[TokenId(4), TokenId(2), TokenId(3), TokenId(0)]), "ab a");
    assert_eq!(tokenizer.stop_tokens(), [TokenId(2), TokenId(4)]);
    let broken = TextFiles { vocabulary: Vocabulary::Whole(b"{}".to_vec()), ..TextFiles::default() };
    assert!(files::build(&broken, "tokenizer.json").is_err());
}

#[test]
fn text_is_cut_as_the_publishers_cut_it() {
    let cases: serde_json::Value = serde_json::from_str(include_str!("../../testdata/cuts.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let (way, text) = (case["way"].as_str().unwrap(), case["text"].as_str().unwrap());
        let cut = pre_tokenizer::by_name(way).unwrap().unwrap();
        let mut pre_tokenized = PreTokenizedString::from(text);
        cut.pre_tokenizer.pre_tokenize(&mut pre_tokenized).unwrap();
        let splits = pre_tokenized.get_splits(OffsetReferential::Original, OffsetType::Byte);
        let pieces: Vec<&str> = splits.iter().map(|(_, (start, end), _)| &text[*start..*end]).collect();
        let expected: Vec<&str> = case["pieces"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
        assert_eq!(pieces, expected, "{way}: {text:?}");
    }
}

#[test]
fn a_vocabulary_that_is_not_there_is_an_error() {
    let error = gguf::build(&Metadata::default(), "tiny.gguf").unwrap_err();
    assert!(error.to_string().contains("tiny.gguf") && error.to_string().contains("tokenizer.ggml.tokens"), "{error}");
}

#[test]
fn older_files_are_read_as_their_own_libraries_read_them() {
    let fixture: serde_json::Value = serde_json::from_str(include_str!("../../testdata/vocabularies.json")).unwrap();
    for (name, vocabulary) in fixture.as_object().unwrap() {
        let text = |key: &str| vocabulary[key].as_str().unwrap();
        let model = vocabulary["model"].as_str().map(hex).unwrap_or_default();
        let legacy = match text("kind") {
            "sentencepiece" => Legacy::SentencePiece(&model),
            "wordpiece" => Legacy::WordPiece(text("vocab")),
            _ => Legacy::BytePairs { vocab: text("vocab").as_bytes(), merges: text("merges") },
        };
        let tokenizer = Tokenizer::from_legacy(legacy, &vocabulary["config"], name).unwrap();
        for case in vocabulary["cases"].as_array().unwrap() {
            let (text, expected) = (case[0].as_str().unwrap(), case[1].as_array().unwrap());
            let found = match legacy {
                Legacy::SentencePiece(_) => tokenizer.encode(text, Special::Ignore),
                _ => tokenizer.encode_prompt(text),
            };
            let found: Vec<_> = ids(&found.unwrap()).into_iter().map(serde_json::Value::from).collect();
            assert_eq!(&found, expected, "{name}: {text:?}");
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn older_files_that_are_damaged_are_refused() {
    let fixture: serde_json::Value = serde_json::from_str(include_str!("../../testdata/vocabularies.json")).unwrap();
    let model = hex(fixture["unigram"]["model"].as_str().unwrap());
    let open = |legacy| Tokenizer::from_legacy(legacy, &serde_json::Value::Null, "damaged").map(drop);
    for length in (0..model.len()).step_by(97) {
        // A cut between two fields leaves a shorter vocabulary, which is one; nothing may panic.
        drop(open(Legacy::SentencePiece(&model[..length])));
    }
    assert!(open(Legacy::SentencePiece(&model[..model.len() - 1])).is_err());
    assert!(open(Legacy::SentencePiece(&[0xff; 40])).is_err());
    assert!(open(Legacy::BytePairs { vocab: b"[]", merges: "" }).is_err());
    assert!(open(Legacy::BytePairs { vocab: b"{\"a\": 7}", merges: "" }).is_err());
    assert!(open(Legacy::BytePairs { vocab: b"{\"a\": 0, \"b\": 0}", merges: "" }).is_err());
    assert!(open(Legacy::WordPiece("")).is_err());
}
