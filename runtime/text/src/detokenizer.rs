//! Tokens to text as they come, never half a character.

use std::{collections::HashMap, sync::Arc};

use alcazar_core::TokenId;

use crate::Tokenizer;

/// One stream's decoder: keeps the bytes of an incomplete character until the rest comes.
#[derive(Clone, Debug)]
pub struct Detokenizer {
    tokenizer: Arc<Tokenizer>,
    pending: Vec<u8>,
    /// Special tokens that are text here.
    shown: HashMap<TokenId, String>,
}

impl Detokenizer {
    /// At the beginning of an answer.
    pub fn new(tokenizer: Arc<Tokenizer>) -> Self {
        Self::showing(tokenizer, &[])
    }

    /// The same for who needs to see some special tokens, each named by its text.
    pub fn showing(tokenizer: Arc<Tokenizer>, marks: &[&str]) -> Self {
        let find = |mark: &&str| Some((tokenizer.special_token(mark)?, (*mark).to_owned()));
        let shown = marks.iter().filter_map(find).collect();
        Self { tokenizer, pending: Vec::new(), shown }
    }

    /// The text that is now certain; empty while a character is incomplete.
    pub fn push(&mut self, token: TokenId) -> String {
        match self.shown.get(&token) {
            Some(text) => self.pending.extend(text.as_bytes()),
            None => self.pending.extend(self.tokenizer.bytes(token)),
        }
        take_complete(&mut self.pending)
    }

    /// What is left at the end; an incomplete character becomes U+FFFD.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

/// Moves everything but an incomplete last character out; bytes that can never become one turn into U+FFFD.
fn take_complete(pending: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut rest = pending.as_slice();
    loop {
        match std::str::from_utf8(rest) {
            Ok(valid) => {
                text.push_str(valid);
                rest = &[];
                break;
            }
            Err(error) => {
                let (valid, after) = rest.split_at(error.valid_up_to());
                text.push_str(&String::from_utf8_lossy(valid));
                let Some(n_wrong) = error.error_len() else {
                    rest = after;
                    break;
                };
                text.push(char::REPLACEMENT_CHARACTER);
                rest = after.get(n_wrong..).unwrap_or_default();
            }
        }
    }
    *pending = rest.to_vec();
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_stream_is_the_lossy_decoding_whatever_the_cuts(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xe2), Just(0x82), Just(0xac)], 0..60),
            cut in 1usize..5,
        ) {
            let (mut pending, mut text) = (Vec::new(), String::new());
            for part in bytes.chunks(cut) {
                pending.extend(part);
                text.push_str(&take_complete(&mut pending));
                prop_assert!(pending.len() < 4);
            }
            text.push_str(&String::from_utf8_lossy(&pending));
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes).into_owned());
        }

        #[test]
        fn text_is_never_cut_within_a_character(text in "\\PC{0,40}") {
            let mut pending = Vec::new();
            for byte in text.bytes() {
                pending.push(byte);
                prop_assert!(!take_complete(&mut pending).contains(char::REPLACEMENT_CHARACTER) || text.contains(char::REPLACEMENT_CHARACTER));
            }
            prop_assert!(pending.is_empty());
        }
    }
}
