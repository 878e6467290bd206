use proptest::prelude::*;

use super::*;

const STREAM: &str = concat!(
    "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n",
    ": still working\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":{\"}}],\"usage\":null}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n\n",
    "data: [DONE]\n\n",
);
const STRIPPED: &str = concat!(
    "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
    ": still working\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":{\"}}]}\n\n",
    "data: [DONE]\n\n",
);

fn run(form: Form, chunks: &[&str]) -> (String, Tokens) {
    let mut meter = Meter::new(form);
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend(meter.pass(Bytes::copy_from_slice(chunk.as_bytes())));
    }
    out.extend(meter.finish());
    (String::from_utf8(out).expect("it should stay UTF-8"), meter.tokens(99))
}

#[test]
fn finds_the_usage_of_streams() {
    let told = Tokens { prompt: 7, completion: 2 };
    assert_eq!(run(Form::Events { strip: false }, &[STREAM]), (STREAM.to_owned(), told));
    assert_eq!(run(Form::Events { strip: true }, &[STREAM]), (STRIPPED.to_owned(), told));
    let responses =
        "event: response.completed\ndata: {\"response\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\n\n";
    let told = Tokens { prompt: 3, completion: 4 };
    assert_eq!(run(Form::Events { strip: false }, &[responses]), (responses.to_owned(), told));
}

#[test]
fn counts_what_was_sent_of_a_stream_that_ends_early() {
    let (_, tokens) = run(Form::Events { strip: true }, &[&STREAM[..200]]);
    assert_eq!(tokens, Tokens { prompt: 99, completion: 2 });
}

#[test]
fn finds_the_usage_of_objects() {
    let long = "x".repeat(100_000);
    let body = format!(
        r#"{{"choices":[{{"text":"{long}\"usage\":{{"}}],"usage":{{"prompt_tokens":5,"completion_tokens":6,"total_tokens":11}}}}"#
    );
    let (out, tokens) = run(Form::Whole, &[&body[..50_000], &body[50_000..]]);
    assert_eq!((out, tokens), (body, Tokens { prompt: 5, completion: 6 }));
    assert_eq!(run(Form::Whole, &["{}"]).1, Tokens { prompt: 99, completion: 0 });
    assert_eq!(run(Form::Other, &[r#"{"usage":{"prompt_tokens":5}}"#]).1, Tokens::default());
}

#[test]
fn other_line_ends_and_endless_events_pass() {
    let text = "data: {\"a\":1}\r\n\r\ndata: [DONE]\r\n\r\n";
    assert_eq!(run(Form::Events { strip: true }, &[text]).0, text);
    let endless = "x".repeat(3 << 20);
    assert_eq!(run(Form::Events { strip: true }, &[&endless]).0, endless);
}

proptest! {
    #[test]
    fn cuts_do_not_matter(cuts in prop::collection::btree_set(0..STREAM.len(), 0..12), strip: bool) {
        let mut from = 0;
        let mut chunks = Vec::new();
        for cut in cuts {
            chunks.push(&STREAM[from..cut]);
            from = cut;
        }
        chunks.push(&STREAM[from..]);
        let (out, tokens) = run(Form::Events { strip }, &chunks);
        prop_assert_eq!(out, if strip { STRIPPED } else { STREAM });
        prop_assert_eq!(tokens, Tokens { prompt: 7, completion: 2 });
    }

    #[test]
    fn a_whole_event_is_never_held_back(n in 1_usize..5) {
        let mut meter = Meter::new(Form::Events { strip: true });
        let event = "data: {\"choices\":[{}],\"usage\":null}\n\n";
        for _ in 0..n {
            prop_assert!(!meter.pass(Bytes::from_static(event.as_bytes())).is_empty());
        }
    }

    #[test]
    fn any_bytes_pass(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut meter = Meter::new(Form::Events { strip: false });
        prop_assert_eq!(meter.pass(Bytes::from(bytes.clone())), Bytes::from(bytes));
    }
}
