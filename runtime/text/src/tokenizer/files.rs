//! A tokenizer out of `tokenizer.json` and the files beside it.

use alcazar_core::TokenId;
use alcazar_formats::{TextFiles, Vocabulary};
use serde_json::Value;
use tokenizers::Tokenizer as Inner;

use super::{
    Legacy, Rules, Tokenizer, TokenizerError,
    pieces::{Piece, Pieces, Spelling},
};

pub(super) fn build(files: &TextFiles, file: &str) -> Result<Tokenizer, TokenizerError> {
    let older = match &files.vocabulary {
        Vocabulary::Whole(whole) => return build_whole(whole, files, file),
        Vocabulary::WordPiece(vocab) => Legacy::WordPiece(vocab),
        Vocabulary::BytePairs { vocab, merges } => Legacy::BytePairs { vocab, merges },
        Vocabulary::SentencePiece(model) => Legacy::SentencePiece(model),
    };
    Tokenizer::from_legacy(older, &files.tokenizer_config, file)
}

fn build_whole(whole: &[u8], files: &TextFiles, file: &str) -> Result<Tokenizer, TokenizerError> {
    let mut inner = Inner::from_bytes(whole).map_err(TokenizerError::library("parse tokenizer.json"))?;
    inner.with_padding(None);
    inner.with_truncation(None).map_err(TokenizerError::library("switch truncation off"))?;
    let json: Value = serde_json::from_slice(whole).unwrap_or_default();
    let decoder = &json["decoder"];
    let is_word_piece = json["model"]["type"] == "WordPiece";
    let spelling = is_word_piece.then_some(Spelling::WordPiece).or_else(|| spelling(decoder)).ok_or_else(|| {
        TokenizerError::Build {
            file: file.to_owned(),
            found: format!("decoder {}", decoder["type"]),
            expected: "one for bytes (ByteLevel) or for SentencePiece (Metaspace, ByteFallback)".to_owned(),
        }
    })?;
    let pieces = pieces(&inner, spelling);
    let rules = rules(files, &inner, decoder)?;
    Ok(Tokenizer::new(inner, pieces, rules))
}

/// What a decoder, or the first of its steps that says so, takes tokens to be.
fn spelling(decoder: &Value) -> Option<Spelling> {
    match decoder["type"].as_str()? {
        "ByteLevel" => Some(Spelling::ByteLevel),
        "Metaspace" | "ByteFallback" => Some(Spelling::SentencePiece),
        "Replace" if decoder["pattern"]["String"] == "▁" => Some(Spelling::SentencePiece),
        "Sequence" => decoder["decoders"].as_array()?.iter().find_map(spelling),
        _ => None,
    }
}

fn pieces(inner: &Inner, spelling: Spelling) -> Pieces {
    let mut tokens: Vec<Option<String>> = vec![None; inner.get_vocab_size(true)];
    for (token, id) in inner.get_vocab(true) {
        let id = id as usize;
        // Numbers may have holes, but not as many as there are tokens.
        if id >= tokens.len() && id < 2 * tokens.len() {
            tokens.resize(id + 1, None);
        }
        if let Some(slot) = tokens.get_mut(id) {
            *slot = Some(token);
        }
    }
    let added = inner.get_added_tokens_decoder();
    let pieces = tokens.iter().zip(0u32..).map(|(token, id)| match (token, added.get(&id)) {
        (_, Some(added)) if added.special => Piece::Silent,
        (_, Some(added)) => Piece::Literal(&added.content),
        (Some(token), None) => Piece::Spelled(token),
        (None, None) => Piece::Silent,
    });
    Pieces::new(spelling, pieces)
}

fn rules(files: &TextFiles, inner: &Inner, decoder: &Value) -> Result<Rules, TokenizerError> {
    let special = |key: &str| {
        let token = &files.tokenizer_config[key];
        let text = token.as_str().or_else(|| token["content"].as_str())?;
        inner.token_to_id(text).map(TokenId)
    };
    let (bos, eos) = (special("bos_token"), special("eos_token"));
    let around = inner.encode_fast("", true).map_err(TokenizerError::library("tokenize an empty text"))?;
    let around = around.get_ids();
    let mut stop_tokens: Vec<TokenId> = eos.into_iter().collect();
    for ends in [&files.generation_config["eos_token_id"], &files.config["eos_token_id"]] {
        let many = ends.as_array().map(Vec::as_slice).unwrap_or_default();
        let ids = many.iter().chain(Some(ends)).filter_map(Value::as_u64);
        stop_tokens.extend(ids.filter_map(|id| u32::try_from(id).ok().map(TokenId)));
    }
    let strips_space = |step: &Value| step["type"] == "Strip" && step["start"] == 1;
    Ok(Rules {
        bos,
        eos,
        stop_tokens,
        add_bos: bos.is_some_and(|bos| around.first() == Some(&bos.0)),
        // One token that is both stands before the text: models that use it so end their answers with it themselves.
        add_eos: eos != bos && eos.is_some_and(|eos| around.last() == Some(&eos.0)),
        // transformers tokenizes a rendered chat as it stands.
        chat_needs_bos: false,
        leading_space: decoder["type"] == "Metaspace"
            || decoder["type"] == "WordPiece"
            || decoder["decoders"].as_array().is_some_and(|steps| steps.iter().any(strips_space)),
    })
}
