//! Texts as encoders take them: alone or in pairs, with the model's own tokens around them.

use tokenizers::Encoding;

use crate::tokenizer::{Tokenizer, TokenizerError};

/// A text, or a pair of them, as tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedText {
    /// With the model's own tokens.
    pub tokens: Vec<u32>,
    /// Of each token, 1 in the second text of a pair where the model tells them apart, else 0.
    pub types: Vec<u32>,
    /// Of each token, which text it stands for and from which character to which; `None`: one of the model's own.
    pub spans: Vec<Option<Span>>,
}

/// A stretch of a text, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// 0, or 1 for the second text of a pair.
    pub text: usize,
    /// First character.
    pub start: usize,
    /// One behind the last character.
    pub end: usize,
}

impl Tokenizer {
    /// Tokens of a text or a pair. `most`: cut to so many tokens, from the longer text of a pair first.
    pub fn encode_text(
        &self,
        first: &str,
        second: Option<&str>,
        most: Option<usize>,
    ) -> Result<EncodedText, TokenizerError> {
        let library = TokenizerError::library("tokenize the text");
        let encode = |text: &str| self.inner().encode_char_offsets(text, false).map_err(&library);
        let (mut first, mut second) = (encode(first)?, second.map(encode).transpose()?);
        if let Some(most) = most {
            let own = self
                .inner()
                .get_post_processor()
                .map_or(0, |post| tokenizers::PostProcessor::added_tokens(post, second.is_some()));
            cut(&mut first, second.as_mut(), most.saturating_sub(own));
        }
        let whole = self.inner().post_process(first, second, true).map_err(&library)?;
        let marks = whole.get_special_tokens_mask().iter().zip(whole.get_sequence_ids());
        let spans = marks.zip(whole.get_offsets()).map(|((mark, text), (start, end))| {
            text.filter(|_| *mark == 0).map(|text| Span { text, start: *start, end: *end })
        });
        Ok(EncodedText {
            tokens: whole.get_ids().to_vec(),
            types: whole.get_type_ids().to_vec(),
            spans: spans.collect(),
        })
    }

    /// The token that stands for a word to be guessed, by its names in published models.
    pub fn mask_token(&self) -> Option<(u32, String)> {
        let names = ["[MASK]", "<mask>"];
        names.iter().find_map(|name| self.inner().token_to_id(name).map(|id| (id, (*name).to_owned())))
    }
}

/// Takes tokens from the end of the longer one until both fit.
fn cut(first: &mut Encoding, second: Option<&mut Encoding>, most: usize) {
    let keep = |encoding: &mut Encoding, length: usize| {
        if length < encoding.len() {
            encoding.truncate(length, 0, tokenizers::TruncationDirection::Right);
        }
    };
    let Some(second) = second else { return keep(first, most) };
    let (long, short) = if first.len() >= second.len() { (first, second) } else { (second, first) };
    let n_short = short.len().min(most / 2);
    keep(long, most - n_short);
    keep(short, n_short);
}

#[cfg(test)]
mod tests;
