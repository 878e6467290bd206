//! A tokenizer out of GGUF metadata.

use std::collections::HashMap;

use alcazar_core::TokenId;
use alcazar_formats::gguf::Metadata;
use tokenizers::{
    AddedToken, NormalizerWrapper, Tokenizer as Inner,
    models::bpe::BPE,
    normalizers::{Prepend, Replace, Sequence},
};

use super::{
    Rules, Tokenizer, TokenizerError, gguf_kinds,
    pieces::{Piece, Pieces, Spelling, byte_token},
    pre_tokenizer,
};

/// `tokenizer.ggml.token_type`.
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// Control tokens that end an answer whatever the file calls its end-of-text token (llama.cpp knows the same).
const ENDS: [&str; 8] =
    ["<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<EOT>", "</s>"];

struct Vocabulary<'a> {
    tokens: &'a [String],
    types: &'a [i64],
}

impl Vocabulary<'_> {
    fn kind(&self, index: usize) -> i64 {
        self.types.get(index).copied().unwrap_or(1)
    }

    fn of_kind(&self, kind: i64) -> impl Iterator<Item = &String> {
        self.tokens.iter().enumerate().filter(move |(index, _)| self.kind(*index) == kind).map(|(_, token)| token)
    }
}

pub(super) fn build(metadata: &Metadata, file: &str) -> Result<Tokenizer, TokenizerError> {
    let wrong = |found: String, expected: &str| TokenizerError::Build {
        file: file.to_owned(),
        found,
        expected: expected.to_owned(),
    };
    let Some(tokens) = metadata.strings("tokenizer.ggml.tokens").filter(|tokens| !tokens.is_empty()) else {
        return Err(wrong("no tokenizer.ggml.tokens".to_owned(), "a vocabulary"));
    };
    let types = metadata.integers("tokenizer.ggml.token_type").unwrap_or_default();
    let vocabulary = Vocabulary { tokens, types };
    let ids = ids(tokens).ok_or_else(|| wrong(format!("{} tokens", tokens.len()), "fewer than 2^32"))?;
    let kind = metadata.str("tokenizer.ggml.model").unwrap_or_default();
    let (mut inner, spelling) = match kind {
        "gpt2" => (byte_level(metadata, ids, file)?, Spelling::ByteLevel),
        "llama" => (sentence_piece(metadata, &vocabulary, ids)?, Spelling::SentencePiece),
        "bert" => {
            let is_special = |index| vocabulary.kind(index) != 1;
            let unknown = vocabulary.of_kind(UNKNOWN).next();
            (gguf_kinds::word_piece(metadata, tokens, is_special, unknown)?, Spelling::Marked)
        }
        "t5" => {
            let unknown = (0..tokens.len()).find(|index| vocabulary.kind(*index) == UNKNOWN);
            (gguf_kinds::unigram(metadata, tokens, unknown)?, Spelling::SentencePiece)
        }
        other => return Err(wrong(format!("tokenizer {other:?}"), "gpt2, llama, bert or t5")),
    };
    let added = |token: &String, special| AddedToken::from(token.clone(), special).normalized(false);
    let add = TokenizerError::library("add the special tokens");
    inner.add_special_tokens(vocabulary.of_kind(CONTROL).map(|token| added(token, true))).map_err(&add)?;
    inner.add_tokens(vocabulary.of_kind(USER_DEFINED).map(|token| added(token, false))).map_err(&add)?;
    let pieces = Pieces::new(
        spelling,
        tokens.iter().enumerate().map(|(index, token)| match vocabulary.kind(index) {
            CONTROL | UNKNOWN => Piece::Silent,
            USER_DEFINED => Piece::Literal(token),
            _ => Piece::Spelled(token),
        }),
    );
    let rules = rules(metadata, &vocabulary, kind);
    if let ("gpt2" | "t5", Some(architecture @ ("bert" | "modern-bert"))) = (kind, metadata.str("general.architecture"))
    {
        gguf_kinds::put_around(&mut inner, [rules.bos, rules.eos], architecture == "bert")?;
    }
    Ok(Tokenizer::new(inner, pieces, rules))
}

fn ids(tokens: &[String]) -> Option<HashMap<String, u32>> {
    // The first of equal tokens keeps its number.
    let mut ids = HashMap::with_capacity(tokens.len());
    for (index, token) in tokens.iter().enumerate() {
        ids.entry(token.clone()).or_insert(u32::try_from(index).ok()?);
    }
    Some(ids)
}

fn byte_level(metadata: &Metadata, ids: HashMap<String, u32>, file: &str) -> Result<Inner, TokenizerError> {
    let name = metadata.str("tokenizer.ggml.pre").unwrap_or("default");
    let cut = pre_tokenizer::by_name(name).ok_or_else(|| TokenizerError::Build {
        file: file.to_owned(),
        found: format!("pre-tokenizer {name:?}"),
        expected: alcazar_formats::model::PRE_TOKENIZERS.join(", "),
    })?;
    let cut = cut.map_err(TokenizerError::library("build the pre-tokenizer"))?;
    let merges = metadata.strings("tokenizer.ggml.merges").unwrap_or_default();
    let merges = merges
        .iter()
        .filter_map(|merge| merge.split_once(' '))
        // A merge of something that is not in the vocabulary can never apply; the library would refuse it.
        .filter(|(left, right)| {
            ids.contains_key(*left) && ids.contains_key(*right) && ids.contains_key(&format!("{left}{right}"))
        })
        .map(|(left, right)| (left.to_owned(), right.to_owned()))
        .collect();
    let model = BPE::builder()
        .vocab_and_merges(ids.into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges)
        .ignore_merges(cut.ignore_merges)
        .build()
        .map_err(TokenizerError::library("build the byte-pair encoding"))?;
    let mut inner = Inner::new(model);
    inner.with_pre_tokenizer(Some(cut.pre_tokenizer));
    Ok(inner)
}

/// SentencePiece joins the pair whose result has the best score; as merges: all ways to cut each token in two, by score.
fn sentence_piece(
    metadata: &Metadata,
    vocabulary: &Vocabulary<'_>,
    ids: HashMap<String, u32>,
) -> Result<Inner, TokenizerError> {
    let scores = metadata.floats("tokenizer.ggml.scores").unwrap_or_default();
    let mut merges = Vec::new();
    for (index, token) in vocabulary.tokens.iter().enumerate() {
        if vocabulary.kind(index) != 1 || byte_token(token).is_some() {
            continue;
        }
        let score = scores.get(index).copied().unwrap_or(0.0);
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(l), Some(r)) = (ids.get(left), ids.get(right)) {
                merges.push((score, *l, *r, left.to_owned(), right.to_owned()));
            }
        }
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let merges = merges.into_iter().map(|(_, _, _, left, right)| (left, right)).collect();
    let mut builder = BPE::builder()
        .vocab_and_merges(ids.into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges)
        .byte_fallback(true)
        .fuse_unk(true);
    if let Some(unknown) = vocabulary.of_kind(UNKNOWN).next() {
        builder = builder.unk_token(unknown.clone());
    }
    let mut inner = Inner::new(builder.build().map_err(TokenizerError::library("build the byte-pair encoding"))?);
    let space = Replace::new(" ", "▁").map_err(TokenizerError::library("build the normalizer"))?;
    let mut steps: Vec<NormalizerWrapper> = vec![space.into()];
    if metadata.bool("tokenizer.ggml.add_space_prefix").unwrap_or(true) {
        steps.insert(0, Prepend::new("▁".to_owned()).into());
    }
    inner.with_normalizer(Some(Sequence::new(steps))).map_err(TokenizerError::library("build the normalizer"))?;
    Ok(inner)
}

fn rules(metadata: &Metadata, vocabulary: &Vocabulary<'_>, kind: &str) -> Rules {
    let n_tokens = vocabulary.tokens.len() as u64;
    let token = |key: &str| {
        let id = metadata.u64(&format!("tokenizer.ggml.{key}")).filter(|id| *id < n_tokens)?;
        u32::try_from(id).ok().map(TokenId)
    };
    let flag = |key: &str| metadata.bool(&format!("tokenizer.ggml.{key}"));
    // An encoder's beginning and end have names of their own; one of them is misspelt in the format itself.
    let bos = token("bos_token_id").or_else(|| token("cls_token_id"));
    let eos = token("eos_token_id").or_else(|| token("seperator_token_id"));
    let ends = vocabulary
        .tokens
        .iter()
        .enumerate()
        .filter(|(index, text)| vocabulary.kind(*index) == CONTROL && ENDS.contains(&text.as_str()));
    let ends = ends.filter_map(|(index, _)| u32::try_from(index).ok().map(TokenId));
    let stop_tokens = eos.into_iter().chain(token("eot_token_id")).chain(token("eom_token_id")).chain(ends).collect();
    let llama3 = matches!(metadata.str("tokenizer.ggml.pre"), Some("llama-bpe" | "llama3" | "tekken"));
    let add_bos = flag("add_bos_token").unwrap_or(kind == "llama" || kind == "bert" || llama3);
    Rules {
        bos,
        eos,
        stop_tokens,
        add_bos,
        add_eos: flag("add_eos_token").unwrap_or(kind == "bert" || kind == "t5"),
        chat_needs_bos: add_bos,
        leading_space: match kind {
            "llama" | "t5" => flag("add_space_prefix").unwrap_or(true),
            other => other == "bert",
        },
    }
}
