//! The letters' tokenizer of tests/fixtures/encoders: [CLS] is 2, [SEP] 3, [MASK] 4, `a` 5, `##a` 31.

use std::path::Path;

use super::Span;
use crate::{Legacy, Tokenizer};

fn tokenizer() -> Tokenizer {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/encoders/bert");
    Tokenizer::open(&alcazar_formats::open(&path).unwrap()).unwrap()
}

#[test]
fn a_text_has_the_models_tokens_around_it() {
    let found = tokenizer().encode_text("ab É", None, None).unwrap();
    assert_eq!((found.tokens, found.types), (vec![2, 5, 32, 9, 3], vec![0; 5]), "É is e without its accent");
    let span = |start, end| Some(Span { text: 0, start, end });
    assert_eq!(found.spans, [None, span(0, 1), span(1, 2), span(3, 4), None], "characters, not bytes");
}

#[test]
fn a_pair_is_told_apart() {
    let found = tokenizer().encode_text("a", Some("bb"), None).unwrap();
    assert_eq!(found.tokens, [2, 5, 3, 6, 32, 3]);
    assert_eq!(found.types, [0, 0, 0, 1, 1, 1]);
    assert_eq!(found.spans[4], Some(Span { text: 1, start: 1, end: 2 }));
}

#[test]
fn the_longer_text_is_cut_first() {
    let cut = |first: &str, second, most| tokenizer().encode_text(first, second, Some(most)).unwrap().tokens;
    assert_eq!(cut("abcd", None, 4), [2, 5, 32, 3]);
    assert_eq!(cut("a", Some("bbbb"), 6), [2, 5, 3, 6, 32, 3]);
    assert_eq!(cut("aaaa", Some("bbbb"), 7), [2, 5, 31, 3, 6, 32, 3]);
    assert_eq!(cut("abcd", None, 100).len(), 6, "what fits stays whole");
    assert_eq!(cut("abcd", None, 1), [2, 3], "the model's own tokens stay");
}

#[test]
fn a_vocabulary_of_lines_gives_the_same_tokens() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/encoders/bert/tokenizer.json");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let vocabulary = json["model"]["vocab"].as_object().unwrap();
    let mut entries: Vec<(&String, u64)> = vocabulary.iter().map(|(entry, id)| (entry, id.as_u64().unwrap())).collect();
    entries.sort_by_key(|(_, id)| *id);
    let lines: Vec<&str> = entries.iter().map(|(entry, _)| entry.as_str()).collect();
    let lines = lines.join("\n");
    let older = Tokenizer::from_legacy(Legacy::WordPiece(&lines), &serde_json::Value::Null, "vocab.txt").unwrap();
    for (first, second) in [("The quick É fox, 3!", None), ("a", Some("bb")), ("", None)] {
        let found = older.encode_text(first, second, None).unwrap();
        assert_eq!(found, tokenizer().encode_text(first, second, None).unwrap());
    }
}

/// Word pieces, byte pairs with two ways around a pair, and unigram pieces, as GGUF has them.
#[test]
fn encoders_from_gguf_have_their_publishers_tokens() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/encoders");
    for name in ["bert-mean", "roberta", "modernbert", "xlm-roberta"] {
        let folder = fixtures.join(name).join("gguf");
        let model = Tokenizer::open(&alcazar_formats::open(&folder).unwrap()).unwrap();
        let texts = std::fs::read(folder.join("texts.json")).unwrap();
        let texts: Vec<(String, Option<String>, Vec<u32>)> = serde_json::from_slice(&texts).unwrap();
        for (first, second, expected) in texts {
            let found = model.encode_text(&first, second.as_deref(), None).unwrap();
            assert_eq!(found.tokens, expected, "{name}: {first:?} {second:?}");
        }
        assert!(model.mask_token().is_some(), "{name}");
    }
}

#[test]
fn the_mask_is_known() {
    assert_eq!(tokenizer().mask_token(), Some((4, "[MASK]".to_owned())));
    let found = tokenizer().encode_text("a [MASK]", None, None).unwrap();
    assert_eq!(found.tokens, [2, 5, 4, 3]);
}
