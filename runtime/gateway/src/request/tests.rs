use proptest::prelude::*;

use super::*;

fn asked(route: Route, body: &str) -> Result<Asked, Unreadable> {
    read(route, &Bytes::copy_from_slice(body.as_bytes()))
}

fn chat(body: &str) -> Asked {
    asked(Route::Chat, body).expect("the body should be read")
}

#[test]
fn reads_what_it_routes_by() {
    let found =
        chat(r#"{"messages":[{"role":"user","content":"hello there"}],"mod\u0065l":"assistant","stream":false}"#);
    assert_eq!((found.model.as_str(), found.is_stream, found.with_usage), ("assistant", false, None));
    assert_eq!(found.prompt_tokens, 11);
    assert!(found.prefix.is_some());
}

#[test]
fn refuses_what_it_cannot_be_sure_of() {
    let deep = format!(r#"{{"model":"a","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let long = format!(r#"{{"model":"{}"}}"#, "a".repeat(600));
    for (body, why) in [
        ("", Unreadable::Json),
        ("[]", Unreadable::Json),
        ("null", Unreadable::Json),
        (r#"{"model":"a""#, Unreadable::Json),
        (r#"{"model":"a"} {"model":"b"}"#, Unreadable::Json),
        (r#"{"model":"a"}x"#, Unreadable::Json),
        ("{}", Unreadable::NoModel),
        (r#"{"model":"a","model":"b"}"#, Unreadable::TwoModels),
        (r#"{"model":"a","\u006dodel":"b"}"#, Unreadable::TwoModels),
        (r#"{"model":1}"#, Unreadable::Model),
        (r#"{"model":null}"#, Unreadable::Model),
        (r#"{"model":""}"#, Unreadable::Model),
        (long.as_str(), Unreadable::Model),
        (deep.as_str(), Unreadable::Deep),
    ] {
        assert_eq!(asked(Route::Chat, body), Err(why), "{body}");
    }
    assert_eq!(read(Route::Chat, &Bytes::from_static(b"{\"model\":\"\xff\"}")), Err(Unreadable::Utf8));
}

#[test]
fn brackets_in_texts_are_no_depth() {
    let body = format!(r#"{{"model":"a","prompt":"{}\"{}"}}"#, "[".repeat(500), "{".repeat(500));
    assert_eq!(chat(&body).model, "a");
}

#[test]
fn asks_for_the_usage_of_streams() {
    let with = |options: &str| {
        let body = format!(r#"{{"model":"a","stream":true{options}}}"#);
        chat(&body).with_usage.map(|body| String::from_utf8(body.to_vec()).expect("it should stay UTF-8"))
    };
    for (options, expected) in [
        ("", Some(r#"{"stream_options":{"include_usage":true},"model":"a","stream":true}"#)),
        (r#","stream_options":null"#, Some(r#"{"model":"a","stream":true,"stream_options":{"include_usage":true}}"#)),
        (
            r#","stream_options":{"include_usage":false,"x":1},"n":1"#,
            Some(r#"{"model":"a","stream":true,"stream_options":{"include_usage":true,"x":1},"n":1}"#),
        ),
        (r#","stream_options":{"include_usage":true}"#, None),
        (r#","stream_options":7"#, None),
    ] {
        assert_eq!(with(options).as_deref(), expected, "{options}");
    }
    let responses = asked(Route::Responses, r#"{"model":"a","stream":true}"#).expect("it should be read");
    assert_eq!(responses.with_usage, None);
}

#[test]
fn later_turns_go_where_the_first_went() {
    let turn = |messages: &str| chat(&format!(r#"{{"model":"a","messages":[{messages}]}}"#)).prefix;
    let system = r#"{"role":"system","content":"be brief"}"#;
    let first = turn(&format!(r#"{system},{{"role":"user","content":"hello"}}"#));
    let later = format!(
        r#"{system},{{"role":"user","content":"hello"}},{{"role":"assistant","content":"hi"}},{{"role":"user","content":"and?"}}"#
    );
    assert_eq!(first, turn(&later));
    assert_ne!(first, turn(&format!(r#"{system},{{"role":"user","content":"other"}}"#)));
}

proptest! {
    #[test]
    fn any_bytes_are_answered(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(Route::Chat, &Bytes::from(body));
    }

    #[test]
    fn the_body_that_asks_for_usage_says_the_same(model in "[a-z]{1,8}", n in 0..100, prompt in "\\PC*") {
        let sent = serde_json::json!({"model": model, "n": n, "stream": true, "prompt": prompt});
        let body = Bytes::from(sent.to_string());
        let edited = read(Route::Completions, &body).expect("it should be read").with_usage.expect("it should be edited");
        let mut got: serde_json::Value = serde_json::from_slice(&edited).expect("it should stay JSON");
        let options = got.as_object_mut().expect("an object").remove("stream_options");
        prop_assert_eq!(options, Some(serde_json::json!({"include_usage": true})));
        prop_assert_eq!(got, sent);
    }
}
