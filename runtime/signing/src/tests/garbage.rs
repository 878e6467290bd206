//! Bytes that are no signature, or no longer one.

use std::time::SystemTime;

use super::{key, model};
use crate::{SignatureError, Trust, directory, open, sign};

fn sound() -> String {
    sign("m", &directory::hash(model().path()).unwrap(), &key(1), None).unwrap()
}

fn open_with_key(text: &[u8]) -> Result<(), SignatureError> {
    open(text, &Trust::Key(key(1).public()), SystemTime::now()).map(|_| ())
}

#[test]
fn a_signature_that_is_cut_off_is_none() {
    let text = sound();
    open_with_key(text.as_bytes()).unwrap();
    for end in 0..text.len() {
        assert!(open_with_key(&text.as_bytes()[..end]).is_err(), "{end}");
    }
}

#[test]
fn no_changed_byte_of_payload_or_signature_is_taken() {
    let text = sound();
    let mut random = fastrand::Rng::with_seed(7);
    let sound = crate::bundle::open(text.as_bytes()).unwrap();
    for _ in 0..500 {
        let mut bytes = text.clone().into_bytes();
        let at = random.usize(..bytes.len());
        bytes[at] = random.u8(..);
        // What is taken all the same must be the same in all that counts: spaces, log entries, an unread name.
        if open_with_key(&bytes).is_ok() {
            let opened = crate::bundle::open(&bytes).unwrap();
            assert_eq!(opened.payload, sound.payload);
        }
    }
}

#[test]
fn noise_is_refused_and_nothing_panics() {
    let mut random = fastrand::Rng::with_seed(8);
    for n in 0..500 {
        let noise: Vec<u8> = (0..n).map(|_| random.u8(..)).collect();
        assert!(open_with_key(&noise).is_err());
    }
    for text in ["", "{}", "[]", "null", "{\"mediaType\":3}", &"[".repeat(100_000)] {
        assert!(open_with_key(text.as_bytes()).is_err(), "{}", &text[..text.len().min(20)]);
    }
}

#[test]
fn another_kind_of_bundle_says_what_was_expected() {
    for (old, new, expected) in [
        ("bundle.v0.3+json", "bundle.v0.9+json", "v0.3"),
        ("application/vnd.in-toto+json", "text/plain", "vnd.in-toto"),
    ] {
        let error = open_with_key(sound().replace(old, new).as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_signed_statement_of_another_kind_is_none() {
    let sound = crate::statement::render("m", &directory::hash(model().path()).unwrap()).unwrap();
    let sound = String::from_utf8(sound).unwrap();
    for (old, new) in [
        ("\"files\"", "\"shards\""),
        ("\"sha256\",\"digest\"", "\"blake3\",\"digest\""),
        ("signature/v1.0", "signature/v9"),
        ("Statement/v1", "Statement/v0.1"),
        ("\"name\":\"config.json\"", "\"name\":\"1_Pooling/config.json\""),
    ] {
        let changed = sound.replace(old, new);
        assert_ne!(changed, sound, "{old}");
        assert!(crate::statement::parse(changed.as_bytes()).is_err(), "{new}");
    }
    crate::statement::parse(sound.as_bytes()).unwrap();
}
