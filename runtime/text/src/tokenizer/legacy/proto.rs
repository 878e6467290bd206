//! SentencePiece's model file, a protocol buffer (`sentencepiece_model.proto`): only the fields that encoding needs.

use alcazar_formats::gguf::{Array, Value};

use super::{Pairs, put};
use crate::TokenizerError;

/// Pieces of a vocabulary; the largest in use have some 260,000.
const MAX_PIECES: usize = 1 << 20;

/// A field's content.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Float(f32),
    Other,
}

#[derive(Default)]
struct Model<'a> {
    pieces: Vec<String>,
    scores: Vec<f32>,
    kinds: Vec<i64>,
    is_pairs: bool,
    charsmap: &'a [u8],
    without_prefix: bool,
    keeps_whitespace: bool,
}

pub(super) fn sentence_piece(bytes: &[u8], pairs: &mut Pairs, file: &str) -> Result<(), TokenizerError> {
    let model = read(bytes).filter(|model| !model.pieces.is_empty()).ok_or_else(|| TokenizerError::Build {
        file: file.to_owned(),
        found: "bytes that end within a field, or no pieces".to_owned(),
        expected: "a SentencePiece model".to_owned(),
    })?;
    for (piece, key) in [("<s>", "bos_token_id"), ("</s>", "eos_token_id")] {
        if let Some(id) = model.pieces.iter().position(|text| text == piece) {
            put(pairs, key, Value::Unsigned(id as u64));
        }
    }
    let kind = if model.is_pairs { "llama" } else { "t5" };
    put(pairs, "model", Value::String(kind.to_owned()));
    put(pairs, "tokens", Value::Array(Array::Strings(model.pieces)));
    put(pairs, "scores", Value::Array(Array::Floats(model.scores)));
    put(pairs, "token_type", Value::Array(Array::Integers(model.kinds)));
    put(pairs, "add_space_prefix", Value::Bool(!model.without_prefix));
    put(pairs, "remove_extra_whitespaces", Value::Bool(!model.keeps_whitespace));
    let charsmap = model.charsmap.iter().map(|byte| i64::from(*byte)).collect();
    put(pairs, "precompiled_charsmap", Value::Array(Array::Integers(charsmap)));
    Ok(())
}

/// `None`: the bytes end within a field, or hold more than a vocabulary can.
fn read(bytes: &[u8]) -> Option<Model<'_>> {
    let mut model = Model::default();
    each(bytes, |number, field| {
        match (number, field) {
            (1, Field::Bytes(piece)) => return model.pieces.len() < MAX_PIECES && model.piece(piece).is_some(),
            (2, Field::Bytes(trainer)) => {
                return each(trainer, |number, field| {
                    if let (3, Field::Number(kind)) = (number, field) {
                        model.is_pairs = kind == 2;
                    }
                    true
                });
            }
            (3, Field::Bytes(normalizer)) => return model.normalizer(normalizer),
            _ => {}
        }
        true
    })
    .then_some(model)
}

impl<'a> Model<'a> {
    fn piece(&mut self, bytes: &[u8]) -> Option<()> {
        let (mut text, mut score, mut kind) = (None, 0.0, 1);
        let is_whole = each(bytes, |number, field| {
            match (number, field) {
                (1, Field::Bytes(bytes)) => text = std::str::from_utf8(bytes).ok().map(ToOwned::to_owned),
                (2, Field::Float(value)) => score = value,
                (3, Field::Number(value)) => kind = i64::try_from(value).unwrap_or(1),
                _ => {}
            }
            true
        });
        self.pieces.push(text.filter(|_| is_whole)?);
        self.scores.push(score);
        self.kinds.push(kind);
        Some(())
    }

    fn normalizer(&mut self, bytes: &'a [u8]) -> bool {
        each(bytes, |number, field| {
            match (number, field) {
                (2, Field::Bytes(charsmap)) => self.charsmap = charsmap,
                (3, Field::Number(yes)) => self.without_prefix = yes == 0,
                (4, Field::Number(yes)) => self.keeps_whitespace = yes == 0,
                _ => {}
            }
            true
        })
    }
}

/// Hands over each field of a message; `false` when the bytes end within one, or as soon as `take` says so.
fn each<'a>(mut bytes: &'a [u8], mut take: impl FnMut(u64, Field<'a>) -> bool) -> bool {
    while !bytes.is_empty() {
        let Some((key, rest)) = varint(bytes) else { return false };
        let Some((field, rest)) = field(key & 7, rest) else { return false };
        bytes = rest;
        if !take(key >> 3, field) {
            return false;
        }
    }
    true
}

fn field(kind: u64, bytes: &[u8]) -> Option<(Field<'_>, &[u8])> {
    match kind {
        0 => varint(bytes).map(|(number, rest)| (Field::Number(number), rest)),
        1 => bytes.split_at_checked(8).map(|(_, rest)| (Field::Other, rest)),
        2 => {
            let (length, rest) = varint(bytes)?;
            let (inner, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            Some((Field::Bytes(inner), rest))
        }
        5 => bytes.split_first_chunk().map(|(float, rest)| (Field::Float(f32::from_le_bytes(*float)), rest)),
        _ => None,
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(u32::try_from(at * 7).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(at + 1..)?));
        }
    }
    None
}
