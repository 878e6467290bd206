//! A string that stands for what somebody would not want to be read, and the forms in which it could be written down.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// In every text, name, key and header that the tests send. Letters alone: no escaping changes it.
pub(crate) const CANARY: &str = "QZXcanaryXZQ";

/// The canary for one place, so that a leak says whence it came.
pub(crate) fn canary(place: &str) -> String {
    format!("{CANARY}{place}")
}

/// Forms in which the canary is searched for: as it is, in other cases, as tokens of the tiny model (its bytes), in hex
/// and in base64 at each of the three offsets.
fn forms() -> Vec<String> {
    let list = |between: &str| CANARY.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(between);
    let hex: Vec<String> = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![CANARY.to_lowercase(), list(", "), list(","), list(" "), hex.concat()];
    for offset in 0..3 {
        // The first and last characters depend on the neighbours.
        let encoded = STANDARD.encode(format!("{}{CANARY}", "-".repeat(offset)));
        forms.push(encoded[(offset * 8).div_ceil(6)..14].to_lowercase());
    }
    forms
}

/// Where in `text` a canary is, with what stands around it.
pub(crate) fn found_in(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text).to_lowercase();
    let at = forms().iter().find_map(|form| text.find(form.as_str()))?;
    let around = |from: usize| (0..=from).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    Some(text[around(at.saturating_sub(200))..around((at + 200).min(text.len()))].to_owned())
}

#[test]
fn is_found_in_every_form() {
    let bytes: Vec<u8> = canary("x").into_bytes();
    for text in [
        canary("x"),
        canary("x").to_uppercase(),
        format!("{bytes:?}"),
        STANDARD.encode(format!("a {}", canary("x"))),
        STANDARD.encode(format!("ab {}", canary("x"))),
        STANDARD.encode(canary("x")),
    ] {
        assert!(found_in(format!("before {text} after").as_bytes()).is_some(), "{text}");
    }
    assert_eq!(found_in("a line of a log with ünïcode".as_bytes()), None);
}
