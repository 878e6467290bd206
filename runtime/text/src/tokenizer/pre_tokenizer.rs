//! How text is cut into words before byte-pair encoding, by the name that GGUF files give the way.

use tokenizers::{
    PreTokenizerWrapper, SplitDelimiterBehavior,
    pre_tokenizers::{
        byte_level::ByteLevel,
        digits::Digits,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// What llama.cpp does when a file does not say; one after the other.
const DEFAULT: [&str; 4] = [
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    "[0-9][0-9][0-9]",
];

/// A way to cut, and whether whole words of the vocabulary skip the merges.
pub(super) struct Cut {
    pub(super) pre_tokenizer: PreTokenizerWrapper,
    pub(super) ignore_merges: bool,
}

/// `None`: an unknown name.
pub(super) fn by_name(name: &str) -> Option<tokenizers::Result<Cut>> {
    let (patterns, ignore_merges): (&[&str], bool) = match name {
        "gpt-2" | "roberta-bpe" | "modern-bert" => {
            return Some(Ok(Cut { pre_tokenizer: gpt2().into(), ignore_merges: false }));
        }
        "smollm" | "starcoder" | "refact" => {
            let steps = vec![Digits::new(true).into(), gpt2().into()];
            return Some(Ok(Cut { pre_tokenizer: Sequence::new(steps).into(), ignore_merges: false }));
        }
        "default" => (&DEFAULT, false),
        "llama-bpe" | "llama3" => (&[LLAMA3], true),
        "qwen2" | "deepseek-r1-qwen" => (&[QWEN2], false),
        "tekken" => (&[TEKKEN], true),
        _ => return None,
    };
    Some(split(patterns).map(|pre_tokenizer| Cut { pre_tokenizer, ignore_merges }))
}

fn gpt2() -> ByteLevel {
    ByteLevel::new(false, true, true)
}

fn split(patterns: &[&str]) -> tokenizers::Result<PreTokenizerWrapper> {
    let mut steps = Vec::new();
    for pattern in patterns {
        let pattern = SplitPattern::Regex((*pattern).to_owned());
        steps.push(Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?.into());
    }
    steps.push(ByteLevel::new(false, true, false).into());
    Ok(Sequence::new(steps).into())
}

#[cfg(test)]
mod tests {
    use alcazar_formats::model::PRE_TOKENIZERS;

    #[test]
    fn every_name_that_fetch_accepts_is_known_here() {
        for name in PRE_TOKENIZERS {
            super::by_name(name).expect(name).unwrap();
        }
        assert!(super::by_name("something-else").is_none());
    }
}
