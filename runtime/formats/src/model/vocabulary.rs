//! A repository's vocabulary: `tokenizer.json`, or the files of the kinds that came before it.

use std::path::Path;

use super::directory::CONFIG_LIMIT;
use crate::{Access, Error, file::read_small};

const TOKENIZER_LIMIT: u64 = 128 << 20;

/// What a tokenizer is made from.
#[derive(Debug)]
pub enum Vocabulary {
    /// `tokenizer.json`, which has all rules.
    Whole(Vec<u8>),
    /// `vocab.txt` (BERT).
    WordPiece(String),
    /// `vocab.json` and `merges.txt` (GPT-2).
    BytePairs {
        /// Tokens and their numbers.
        vocab: Vec<u8>,
        /// Pairs in the order in which they are joined.
        merges: String,
    },
    /// `tokenizer.model` or `spiece.model` (SentencePiece).
    SentencePiece(Vec<u8>),
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self::Whole(Vec::new())
    }
}

impl Vocabulary {
    /// The first kind that is there, the most telling one first.
    pub(super) fn read(access: &dyn Access, path: &Path) -> Result<Self, Error> {
        let bytes = |name: &str| read_small(access, &path.join(name), TOKENIZER_LIMIT);
        let text = |name: &str| read_text(access, &path.join(name), TOKENIZER_LIMIT);
        if let Some(whole) = bytes("tokenizer.json")? {
            return Ok(Self::Whole(whole));
        }
        if let Some(vocab) = text("vocab.txt")? {
            return Ok(Self::WordPiece(vocab));
        }
        if let (Some(vocab), Some(merges)) = (bytes("vocab.json")?, text("merges.txt")?) {
            return Ok(Self::BytePairs { vocab, merges });
        }
        for name in ["tokenizer.model", "spiece.model"] {
            if let Some(model) = bytes(name)? {
                return Ok(Self::SentencePiece(model));
            }
        }
        Err(Error::NotOneModel {
            path: path.to_owned(),
            found: "no vocabulary".to_owned(),
            expected: "tokenizer.json beside config.json (or vocab.txt, vocab.json with merges.txt, tokenizer.model); \
                       add it to the files to fetch"
                .to_owned(),
        })
    }

    /// What `inspect` calls it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Whole(_) => "tokenizer.json",
            Self::WordPiece(_) => "vocab.txt",
            Self::BytePairs { .. } => "vocab.json",
            Self::SentencePiece(_) => "tokenizer.model",
        }
    }

    /// Encoders' texts have tokens around them, which of the older files only `vocab.txt` tells.
    pub(super) fn check_for_encoder(&self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Whole(_) | Self::WordPiece(_) => Ok(()),
            older => Err(Error::NotOneModel {
                path: path.to_owned(),
                found: format!("an encoder with {} alone", older.name()),
                expected: "tokenizer.json beside config.json; add it to the files to fetch".to_owned(),
            }),
        }
    }
}

/// A small text file, if it is there.
pub(super) fn read_text(access: &dyn Access, path: &Path, limit: u64) -> Result<Option<String>, Error> {
    let limit = limit.max(CONFIG_LIMIT);
    let Some(bytes) = read_small(access, path, limit)? else { return Ok(None) };
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|error| Error::malformed(path, 0, format!("no UTF-8: {error}"), "UTF-8"))
}
