//! Text to tokens and back, the way the model was trained.

use std::sync::OnceLock;

use alcazar_core::TokenId;
use alcazar_formats::{ModelFiles, TextSource};
use tokenizers::Tokenizer as Inner;

mod files;
mod gguf;
mod gguf_kinds;
mod legacy;
mod pieces;
mod pre_tokenizer;

#[cfg(test)]
mod hostile;
#[cfg(test)]
pub(crate) mod tests;

pub use legacy::Legacy;
use pieces::Pieces;

/// A model's tokenizer. Cheap to share, not to clone: keep it in an `Arc`.
pub struct Tokenizer {
    inner: Inner,
    /// The same with special tokens taken as plain text; made when first asked for.
    literal: OnceLock<Inner>,
    pieces: Pieces,
    rules: Rules,
}

/// What a model wants around its text.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the file, and they do not depend on each other")]
pub(crate) struct Rules {
    bos: Option<TokenId>,
    eos: Option<TokenId>,
    /// Ascending.
    stop_tokens: Vec<TokenId>,
    add_bos: bool,
    add_eos: bool,
    /// Whether a rendered chat without a beginning-of-text token gets one.
    chat_needs_bos: bool,
    /// Whether a text's first word is marked by a space that is not in the text.
    leading_space: bool,
}

/// What happens to text that spells a special token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// It becomes the token: rendered templates.
    Recognise,
    /// It stays text.
    Ignore,
}

/// Why there is no tokenizer, or no tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The model's description contradicts itself.
    #[error("failed to build the tokenizer of {file}: found {found}, expected {expected}")]
    Build {
        /// Which file.
        file: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// The library refused.
    #[error("failed to {action}: {message}")]
    Library {
        /// What was tried.
        action: &'static str,
        /// What it said.
        message: String,
    },
}

impl TokenizerError {
    pub(crate) fn library(action: &'static str) -> impl Fn(tokenizers::Error) -> Self {
        move |error| Self::Library { action, message: error.to_string() }
    }
}

impl Tokenizer {
    /// Builds the tokenizer that a model's files describe.
    pub fn open(model: &ModelFiles) -> Result<Self, TokenizerError> {
        let file = model.path().display().to_string();
        match model.text() {
            TextSource::Gguf(metadata) => gguf::build(metadata, &file),
            TextSource::Files(text) => files::build(text, &file),
        }
    }

    fn new(inner: Inner, pieces: Pieces, mut rules: Rules) -> Self {
        rules.stop_tokens.sort_unstable();
        rules.stop_tokens.dedup();
        Self { inner, literal: OnceLock::new(), pieces, rules }
    }

    pub(crate) const fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Tokens of a text; nothing is put before or after it.
    pub fn encode(&self, text: &str, special: Special) -> Result<Vec<TokenId>, TokenizerError> {
        let inner = match special {
            Special::Recognise => &self.inner,
            Special::Ignore => self.literal.get_or_init(|| {
                let mut literal = self.inner.clone();
                literal.set_encode_special_tokens(true);
                literal
            }),
        };
        let encoding = inner.encode_fast(text, false).map_err(TokenizerError::library("tokenize the text"))?;
        Ok(encoding.get_ids().iter().copied().map(TokenId).collect())
    }

    /// Tokens of a plain prompt, with what the model wants before and after it.
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<TokenId>, TokenizerError> {
        let mut tokens = self.encode(text, Special::Recognise)?;
        if self.rules.add_bos {
            self.put_bos(&mut tokens);
        }
        if self.rules.add_eos {
            tokens.extend(self.rules.eos);
        }
        Ok(tokens)
    }

    /// Tokens of a rendered chat; the template has usually written the beginning itself.
    pub fn encode_chat(&self, rendered: &str) -> Result<Vec<TokenId>, TokenizerError> {
        let mut tokens = self.encode(rendered, Special::Recognise)?;
        if self.rules.chat_needs_bos {
            self.put_bos(&mut tokens);
        }
        Ok(tokens)
    }

    fn put_bos(&self, tokens: &mut Vec<TokenId>) {
        if let Some(bos) = self.rules.bos.filter(|bos| tokens.first() != Some(bos)) {
            tokens.insert(0, bos);
        }
    }

    /// Text of tokens; special ones are left out, bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, tokens: &[TokenId]) -> String {
        let bytes: Vec<u8> = tokens.iter().flat_map(|token| self.bytes(*token)).copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let text = if self.rules.leading_space { text.strip_prefix(' ').unwrap_or(&text) } else { &text };
        text.to_owned()
    }

    /// What a token adds to a text: nothing for special tokens, maybe a part of a character.
    pub fn bytes(&self, token: TokenId) -> &[u8] {
        self.pieces.bytes(token)
    }

    /// Text of one token, special or not; `None` when there is no such token.
    pub fn token_text(&self, token: TokenId) -> Option<String> {
        let text = self.bytes(token);
        if text.is_empty() { self.inner.id_to_token(token.0) } else { Some(String::from_utf8_lossy(text).into_owned()) }
    }

    /// The token with this text, if it is one that has no text of its own in an answer.
    pub fn special_token(&self, text: &str) -> Option<TokenId> {
        self.inner.token_to_id(text).map(TokenId).filter(|token| self.bytes(*token).is_empty())
    }

    /// Tokens that end an answer.
    pub fn stop_tokens(&self) -> &[TokenId] {
        &self.rules.stop_tokens
    }

    /// Entries of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.pieces.len()
    }

    /// Token of the beginning of a text.
    pub const fn bos(&self) -> Option<TokenId> {
        self.rules.bos
    }

    /// Token of the end of a text.
    pub const fn eos(&self) -> Option<TokenId> {
        self.rules.eos
    }

    /// A special token as templates write it; empty when the model has none.
    pub(crate) fn special_text(&self, token: Option<TokenId>) -> String {
        token.and_then(|token| self.inner.id_to_token(token.0)).unwrap_or_default()
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocabulary", &self.vocabulary())
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
