//! The bytes that each token stands for.

use alcazar_core::TokenId;

/// How a vocabulary spells bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Every byte is one printable character (GPT-2).
    ByteLevel,
    /// `▁` is a space, `<0x0A>` a byte (SentencePiece).
    SentencePiece,
    /// `▁` is a space, and that is all (BERT's in GGUF).
    Marked,
    /// A word begins as it is, and goes on with `##` (BERT).
    WordPiece,
}

/// Bytes of all tokens, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    /// Where each token's bytes end.
    ends: Vec<usize>,
}

/// A token as its vocabulary has it.
pub(super) enum Piece<'a> {
    /// Spelled the vocabulary's way.
    Spelled(&'a str),
    /// Added beside the vocabulary: its text is itself.
    Literal(&'a str),
    /// Special, or a hole: no text.
    Silent,
}

impl Pieces {
    pub(super) fn new<'a>(spelling: Spelling, pieces: impl Iterator<Item = Piece<'a>>) -> Self {
        let mut this = Self { bytes: Vec::new(), ends: Vec::new() };
        for piece in pieces {
            match piece {
                Piece::Spelled(text) => spell(spelling, text, &mut this.bytes),
                Piece::Literal(text) => this.bytes.extend(text.as_bytes()),
                Piece::Silent => {}
            }
            this.ends.push(this.bytes.len());
        }
        this
    }

    pub(super) fn bytes(&self, token: TokenId) -> &[u8] {
        let start = token.index().checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        let end = self.ends.get(token.index()).copied();
        match (start, end) {
            (Some(start), Some(end)) => self.bytes.get(start..end).unwrap_or_default(),
            _ => &[],
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }
}

fn spell(spelling: Spelling, text: &str, bytes: &mut Vec<u8>) {
    match spelling {
        Spelling::ByteLevel => {
            for character in text.chars() {
                match byte_of(character) {
                    Some(byte) => bytes.push(byte),
                    None => bytes.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            }
        }
        Spelling::Marked => bytes.extend(text.replace('▁', " ").as_bytes()),
        Spelling::SentencePiece => match byte_token(text) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(text.replace('▁', " ").as_bytes()),
        },
        Spelling::WordPiece => match text.strip_prefix("##") {
            Some(rest) => bytes.extend(rest.as_bytes()),
            None => bytes.extend(format!(" {text}").as_bytes()),
        },
    }
}

/// The byte that GPT-2's alphabet writes as this character: printable bytes as themselves, the others from U+0100 on.
fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => u8::try_from(code).ok(),
        0x100..=0x120 => u8::try_from(code - 0x100).ok(),
        0x121..=0x142 => u8::try_from(code - 0x121 + 0x7f).ok(),
        0x143 => Some(0xad),
        _ => None,
    }
}

/// The byte that SentencePiece writes as `<0x0A>`.
pub(super) fn byte_token(text: &str) -> Option<u8> {
    let hex = text.strip_prefix("<0x")?.strip_suffix('>')?;
    if hex.len() == 2 { u8::from_str_radix(hex, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character_in_the_alphabet_of_gpt2() {
        let mut found: Vec<u8> = (0..0x200).filter_map(char::from_u32).filter_map(byte_of).collect();
        found.sort_unstable();
        assert_eq!(found, (0..=255).collect::<Vec<u8>>());
        assert_eq!((byte_of('Ġ'), byte_of('Ċ'), byte_of('ł')), (Some(b' '), Some(b'\n'), Some(0xa0)));
    }

    #[test]
    fn pieces_are_found_by_token() {
        let pieces = [Piece::Spelled("▁a"), Piece::Silent, Piece::Spelled("<0xC3>"), Piece::Literal("<b>")];
        let pieces = Pieces::new(Spelling::SentencePiece, pieces.into_iter());
        assert_eq!(pieces.bytes(TokenId(0)), b" a");
        assert_eq!(pieces.bytes(TokenId(1)), b"");
        assert_eq!(pieces.bytes(TokenId(2)), [0xc3]);
        assert_eq!(pieces.bytes(TokenId(3)), b"<b>");
        assert_eq!(pieces.bytes(TokenId(4)), b"");
    }

    #[test]
    fn words_of_bert_begin_with_a_space() {
        let pieces = Pieces::new(Spelling::WordPiece, [Piece::Spelled("hous"), Piece::Spelled("##es")].into_iter());
        assert_eq!((pieces.bytes(TokenId(0)), pieces.bytes(TokenId(1))), (b" hous".as_slice(), b"es".as_slice()));
    }
}
