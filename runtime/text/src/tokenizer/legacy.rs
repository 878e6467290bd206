//! Vocabularies of the kinds that came before `tokenizer.json`: brought into the form that GGUF has for them, so that each
//! kind is built in one place.

use std::collections::BTreeMap;

use alcazar_formats::gguf::{Array, Metadata, Value};
use serde_json::Value as Json;

use super::{Tokenizer, TokenizerError, gguf};

mod proto;

/// The files of one such vocabulary.
#[derive(Clone, Copy, Debug)]
pub enum Legacy<'a> {
    /// `vocab.json` and `merges.txt` (GPT-2, RoBERTa).
    BytePairs {
        /// Tokens and their numbers.
        vocab: &'a [u8],
        /// Pairs in the order in which they are joined.
        merges: &'a str,
    },
    /// `tokenizer.model` or `spiece.model` (SentencePiece, unigram or byte pairs).
    SentencePiece(&'a [u8]),
    /// `vocab.txt` (BERT).
    WordPiece(&'a str),
}

type Pairs = BTreeMap<String, Value>;

impl Tokenizer {
    /// Builds the tokenizer of such files; `config` is `tokenizer_config.json` or null, `file` is for messages.
    pub fn from_legacy(legacy: Legacy<'_>, config: &Json, file: &str) -> Result<Self, TokenizerError> {
        let mut pairs = Pairs::new();
        match legacy {
            Legacy::BytePairs { vocab, merges } => byte_pairs(vocab, merges, &mut pairs, file)?,
            Legacy::SentencePiece(model) => proto::sentence_piece(model, &mut pairs, file)?,
            Legacy::WordPiece(vocab) => word_piece(vocab, config, &mut pairs),
        }
        mark_specials(config, &mut pairs);
        gguf::build(&Metadata::from_pairs(pairs), file)
    }
}

fn put(pairs: &mut Pairs, key: &str, value: Value) {
    pairs.insert(format!("tokenizer.ggml.{key}"), value);
}

fn byte_pairs(vocab: &[u8], merges: &str, pairs: &mut Pairs, file: &str) -> Result<(), TokenizerError> {
    let wrong = |found: &str, expected: &str| TokenizerError::Build {
        file: file.to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
    };
    let vocab: BTreeMap<String, usize> = serde_json::from_slice(vocab)
        .map_err(|_| wrong("a vocabulary that is no JSON object of numbers", "vocab.json"))?;
    let mut tokens: Vec<Option<String>> = vec![None; vocab.len()];
    for (token, id) in vocab {
        let slot =
            tokens.get_mut(id).ok_or_else(|| wrong("a number beyond the vocabulary", "numbers without holes"))?;
        *slot = Some(token);
    }
    let tokens: Option<Vec<String>> = tokens.into_iter().collect();
    let tokens = tokens.ok_or_else(|| wrong("a number that two tokens have", "a number for each"))?;
    let merges = merges.lines().filter(|line| !line.starts_with("#version") && !line.is_empty());
    put(pairs, "model", Value::String("gpt2".to_owned()));
    put(pairs, "pre", Value::String("gpt-2".to_owned()));
    put(pairs, "merges", Value::Array(Array::Strings(merges.map(ToOwned::to_owned).collect())));
    put(pairs, "token_type", Value::Array(Array::Integers(vec![1; tokens.len()])));
    put(pairs, "tokens", Value::Array(Array::Strings(tokens)));
    Ok(())
}

/// A word's first piece is marked and the others are not, which is the other way round than in the file.
fn word_piece(vocab: &str, config: &Json, pairs: &mut Pairs) {
    const SPECIALS: [(&str, i64); 5] = [("[PAD]", 3), ("[UNK]", 2), ("[CLS]", 3), ("[SEP]", 3), ("[MASK]", 3)];
    let (mut tokens, mut types) = (Vec::new(), Vec::new());
    for token in vocab.lines() {
        let special = SPECIALS.iter().find(|(special, _)| *special == token).map(|(_, kind)| *kind);
        types.push(special.unwrap_or(1));
        tokens.push(match token.strip_prefix("##") {
            _ if special.is_some() => token.to_owned(),
            Some(inner) => inner.to_owned(),
            None => format!("▁{token}"),
        });
    }
    for (token, key) in [("[CLS]", "bos_token_id"), ("[SEP]", "eos_token_id")] {
        if let Some(id) = tokens.iter().position(|text| text == token) {
            put(pairs, key, Value::Unsigned(id as u64));
        }
    }
    put(pairs, "model", Value::String("bert".to_owned()));
    let is_lower = config["do_lower_case"].as_bool().unwrap_or(true);
    put(pairs, "lowercase", Value::Bool(is_lower));
    put(pairs, "token_type", Value::Array(Array::Integers(types)));
    put(pairs, "tokens", Value::Array(Array::Strings(tokens)));
}

/// The configuration names the tokens of beginning and end, and others that are no text.
fn mark_specials(config: &Json, pairs: &mut Pairs) {
    let Some(Value::Array(Array::Strings(tokens))) = pairs.get("tokenizer.ggml.tokens").cloned() else { return };
    let find = |value: &Json| {
        let text = value.as_str().or_else(|| value["content"].as_str())?;
        tokens.iter().position(|token| token == text)
    };
    let (bos, eos) = (find(&config["bos_token"]), find(&config["eos_token"]));
    let added = config["added_tokens_decoder"].as_object().into_iter().flat_map(|added| added.values());
    let added = added.filter(|token| token["special"] == true).filter_map(find);
    let specials: Vec<usize> = bos.into_iter().chain(eos).chain(added).collect();
    if let Some(Value::Array(Array::Integers(types))) = pairs.get_mut("tokenizer.ggml.token_type") {
        for id in specials {
            if let Some(kind) = types.get_mut(id) {
                *kind = 3;
            }
        }
    }
    for (key, id) in [("bos_token_id", bos), ("eos_token_id", eos)] {
        if let Some(id) = id {
            put(pairs, key, Value::Unsigned(id as u64));
        }
    }
    for key in ["add_bos_token", "add_eos_token"] {
        if let Some(flag) = config[key].as_bool() {
            put(pairs, key, Value::Bool(flag));
        }
    }
}
