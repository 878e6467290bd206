//! The kinds of encoders' vocabularies in GGUF: `bert` (WordPiece) and `t5` (SentencePiece's unigram).

use std::collections::HashMap;

use alcazar_core::TokenId;
use alcazar_formats::gguf::{Array, Metadata, Value};
use tokenizers::{
    NormalizerWrapper, Tokenizer as Inner,
    models::{unigram::Unigram, wordpiece::WordPiece},
    normalizers::{BertNormalizer, Precompiled, Prepend, Replace, Sequence, Strip},
    pre_tokenizers::{
        bert::BertPreTokenizer,
        metaspace::{Metaspace, PrependScheme},
    },
    processors::{bert::BertProcessing, template::TemplateProcessing},
};

use super::TokenizerError;

/// Words that are longer are unknown, as BERT has it.
const MAX_WORD: usize = 100;

/// GGUF marks the first piece of a word and WordPiece all others. `specials` are neither.
pub(super) fn word_piece(
    metadata: &Metadata,
    tokens: &[String],
    is_special: impl Fn(usize) -> bool,
    unknown: Option<&String>,
) -> Result<Inner, TokenizerError> {
    let spelled = tokens.iter().enumerate().map(|(index, token)| match token.strip_prefix('▁') {
        _ if is_special(index) => token.clone(),
        Some(word) => word.to_owned(),
        None => format!("##{token}"),
    });
    let mut ids: HashMap<String, u32> = HashMap::new();
    for (token, id) in spelled.zip(0u32..) {
        ids.entry(token).or_insert(id);
    }
    let model = WordPiece::builder()
        .vocab(ids.into_iter().collect::<tokenizers::models::bpe::Vocab>())
        .unk_token(unknown.cloned().unwrap_or_else(|| "[UNK]".to_owned()))
        .continuing_subword_prefix("##".to_owned())
        .max_input_chars_per_word(MAX_WORD)
        .build()
        .map_err(TokenizerError::library("build the word pieces"))?;
    let mut inner = Inner::new(model);
    let flag = |key: &str| metadata.bool(&format!("tokenizer.ggml.{key}"));
    let is_lower = flag("lowercase").or_else(|| flag("normalizer.lowercase")).unwrap_or(true);
    inner
        .with_normalizer(Some(BertNormalizer::new(true, true, flag("normalizer.strip_accents"), is_lower)))
        .map_err(TokenizerError::library("build the normalizer"))?;
    inner.with_pre_tokenizer(Some(BertPreTokenizer));
    let around = ["[CLS]", "[SEP]"].map(|name| inner.token_to_id(name).map(|id| (name.to_owned(), id)));
    if let [Some(cls), Some(sep)] = around {
        inner.with_post_processor(Some(BertProcessing::new(sep, cls)));
    }
    Ok(inner)
}

/// An encoder's tokens around a text, and between the two of a pair: two in RoBERTa's models, else one.
pub(super) fn put_around(
    inner: &mut Inner,
    around: [Option<TokenId>; 2],
    is_doubled: bool,
) -> Result<(), TokenizerError> {
    let [Some(first), Some(last)] = around.map(|id| {
        let id = id?.0;
        Some((inner.id_to_token(id)?, id))
    }) else {
        return Ok(());
    };
    let (begin, end) = (&first.0, &last.0);
    let between = if is_doubled { format!("{end} {end}") } else { end.clone() };
    let failed = |message: String| TokenizerError::Library { action: "put tokens around a text", message };
    let template = TemplateProcessing::builder()
        .try_single(format!("{begin} $A {end}"))
        .and_then(|template| template.try_pair(format!("{begin} $A {between} $B:0 {end}")))
        .map_err(failed)?
        .special_tokens(vec![first.clone(), last.clone()])
        .build()
        .map_err(|error| failed(error.to_string()))?;
    inner.with_post_processor(Some(template));
    Ok(())
}

/// The likeliest way to cut a text, by the pieces' scores.
pub(super) fn unigram(metadata: &Metadata, tokens: &[String], unknown: Option<usize>) -> Result<Inner, TokenizerError> {
    let scores = metadata.floats("tokenizer.ggml.scores").unwrap_or_default();
    let score = |n: usize| f64::from(scores.get(n).copied().unwrap_or(0.0));
    let pieces = tokens.iter().enumerate().map(|(n, token)| (token.clone(), score(n))).collect();
    let has_bytes = tokens.iter().any(|token| token == "<0x00>");
    let model =
        Unigram::from(pieces, unknown, has_bytes).map_err(TokenizerError::library("build the unigram pieces"))?;
    let mut inner = Inner::new(model);
    let failed = TokenizerError::library("build the normalizer");
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if let Some(Value::Array(Array::Integers(map))) = metadata.get("tokenizer.ggml.precompiled_charsmap")
        && !map.is_empty()
    {
        let map: Vec<u8> = map.iter().map(|byte| u8::try_from(*byte & 0xff).unwrap_or_default()).collect();
        let map = Precompiled::from(&map).map_err(|error| TokenizerError::Library {
            action: "read the normalizer's map",
            message: error.to_string(),
        })?;
        steps.push(map.into());
    }
    if metadata.bool("tokenizer.ggml.remove_extra_whitespaces").unwrap_or(true) {
        let spaces = tokenizers::normalizers::replace::ReplacePattern::Regex(" {2,}".to_owned());
        steps.push(Strip::new(true, true).into());
        steps.push(Replace::new(spaces, " ").map_err(&failed)?.into());
    }
    // Not left to the splitter, which adds no prefix to a text that begins with a space.
    if metadata.bool("tokenizer.ggml.add_space_prefix").unwrap_or(true) {
        steps.push(Prepend::new("▁".to_owned()).into());
    }
    steps.push(Replace::new(" ", "▁").map_err(&failed)?.into());
    inner.with_normalizer(Some(Sequence::new(steps))).map_err(&failed)?;
    inner.with_pre_tokenizer(Some(Metaspace::new('▁', PrependScheme::Never, true)));
    Ok(inner)
}
