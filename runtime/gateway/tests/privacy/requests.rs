//! What clients send: every way to be answered, refused or broken off.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    api_server::key,
    canary::{CANARY, canary, found_in},
    pod::WAYS,
    program::Program,
};

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);

fn post(path: &str, key: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let authorization = if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {CANARY}\r\n{authorization}user-agent: {CANARY}\r\ncookie: a={CANARY}\r\n\
         x-forwarded-for: {CANARY}\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn chat(key: &str, model: &str, prompt: &str, is_stream: bool) -> Vec<u8> {
    let messages = json!([{"role": "user", "content": prompt}]);
    let body = json!({"model": model, "stream": is_stream, "user": canary("person"), "messages": messages}).to_string();
    post("/v1/chat/completions", key, "", body.as_bytes())
}

fn without_end(mut request: Vec<u8>) -> Vec<u8> {
    request.truncate(request.len() - 5);
    request
}

/// Of an answer's head.
fn status(answer: &str) -> &str {
    answer.split_whitespace().nth(1).unwrap_or_default()
}

/// Requests that the gateway itself refuses, with the status; its answer repeats nothing of them.
fn refused() -> Vec<(&'static str, Vec<u8>)> {
    let (ana, text) = (key("ana"), canary("refused"));
    let completions = |body: &str| post("/v1/completions", &key("ana"), "", body.as_bytes());
    let get = |target: &str, headers: &str| {
        format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n").into_bytes()
    };
    let basic = STANDARD.encode(format!("{text}:{text}"));
    vec![
        ("400", completions(&format!(r#"{{"model":"assistant","prompt":"{text}"#))),
        ("400", completions(&format!(r#"{{"model":"assistant","prompt":{text}}}"#))),
        ("400", completions(&text)),
        ("400", completions(&format!(r#"{{"prompt":"{text}"}}"#))),
        ("400", completions(&format!(r#"{{"model":"{text}","model":"assistant","prompt":"{text}"}}"#))),
        ("400", completions(&format!(r#"{{"model":["{text}"],"prompt":"{text}"}}"#))),
        ("400", completions(&format!(r#"{{"model":"assistant","prompt":{}"{text}""#, "[".repeat(200)))),
        ("400", post("/v1/completions", &ana, "", &[text.as_bytes(), &[0xff, 0xfe]].concat())),
        ("404", completions(&format!(r#"{{"model":"{text}","prompt":"{text}"}}"#))),
        ("413", completions(&text.repeat(5000))),
        ("408", without_end(post("/v1/completions", &ana, "", text.as_bytes()))),
        ("404", post(&format!("/v1/{text}"), &ana, "", text.as_bytes())),
        ("401", get(&format!("/v1/models?api_key={ana}"), "")),
        ("401", get(&format!("/v1/models?key={ana}"), &format!("authorization: Bearer {ana}\r\n"))),
        ("404", get(&format!("/{text}?q={text}"), &format!("authorization: Bearer {ana}\r\n"))),
        ("401", get("/v1/models", &format!("authorization: Bearer {text}\r\n"))),
        ("401", get("/v1/models", &format!("authorization: Basic {basic}\r\n"))),
        ("401", get("/v1/models", &format!("authorization: {text}\r\n"))),
        ("401", get("/v1/models", &format!("authorization: Bearer {ana}\r\nauthorization: Bearer {ana}\r\n"))),
        ("401", get("/v1/models", &format!("x-api-key: {text}\r\n"))),
        ("401", chat(&key("zoe"), "assistant", &text, false)),
        ("401", chat("", "assistant", &text, false)),
        ("503", chat(&ana, "asleep", &text, false)),
        ("503", chat(&ana, "late", &text, true)),
        ("502", chat(&ana, "broken", &text, false)),
    ]
}

/// What is no request at all.
fn broken() -> Vec<Vec<u8>> {
    let text = canary("raw");
    let post =
        |headers: &str| format!("POST /v1/completions HTTP/1.1\r\nhost: {text}\r\n{headers}\r\n{text}").into_bytes();
    let mut http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // HEADERS whose block is no HPACK, and DATA on a stream that does not exist.
    for (kind, flags, stream) in [(1_u8, 4_u8, 1_u8), (0, 1, 3)] {
        http2.extend([0, 0, u8::try_from(text.len()).unwrap(), kind, flags, 0, 0, 0, stream]);
        http2.extend(text.bytes());
    }
    vec![
        format!("{text}\r\n\r\n").into_bytes(),
        format!("GET /{text} HTTP/9.9\r\n\r\n").into_bytes(),
        format!("GET /v1/models HTTP/1.1\r\n{text}\r\n\r\n").into_bytes(),
        format!("GET /v1/models HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", text.repeat(6000)).into_bytes(),
        post("content-length: 10\r\ncontent-length: 20\r\n"),
        post("content-length: -1\r\n"),
        post("transfer-encoding: chunked\r\n"),
        post("transfer-encoding: chunked, chunked\r\ncontent-length: 5\r\n"),
        [post("x: ").as_slice(), &[0, 255, 13], text.as_bytes()].concat(),
        [&b"\x16\x03\x01\x02\x00\x01"[..], text.as_bytes()].concat(),
        http2,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_request_is_written_down() {
    let program = Program::start().await;
    let prompt = |way: &str| format!("way:{way}. {}", canary("prompt"));
    for way in WAYS {
        for is_stream in [false, true] {
            let answer = program.say(&chat(&key("ana"), "assistant", &prompt(way), is_stream), LONG).await;
            // An answer that breaks off may take its head along.
            let is_heard = way.starts_with("die") || !status(&answer).is_empty();
            assert!(is_heard && status(&answer) != "401", "{way}: {answer}");
        }
    }
    let answer = program.say(&chat(&key("ana"), "assistant", &prompt("answer"), false), LONG).await;
    assert!(status(&answer) == "200" && found_in(answer.as_bytes()).is_some(), "{answer}");
    for (expected, request) in refused() {
        let answer = program.say(&request, LONG).await;
        assert_eq!(status(&answer), expected, "{}: {answer}", String::from_utf8_lossy(&request));
        assert_eq!(found_in(answer.as_bytes()), None, "{answer}");
    }
    let bob = [(); 2].map(|()| chat(&key("bob"), "assistant", &prompt("answer"), false));
    assert_eq!(status(&program.say(&bob[0], LONG).await), "200");
    assert_eq!(status(&program.say(&bob[1], LONG).await), "429");
    // Clients that leave: before the answer, in the middle of it, and in the middle of the request.
    for way in ["hang", "events", "die-in-events"] {
        program.say(&chat(&key("ana"), "assistant", &prompt(way), true), SHORT / 20).await;
        program.say(&chat(&key("ana"), "assistant", &prompt(way), true), SHORT).await;
    }
    program.say(&without_end(chat(&key("ana"), "assistant", &prompt("answer"), true)), SHORT).await;
    for bytes in broken() {
        let answer = program.say(&bytes, SHORT).await;
        assert_eq!(found_in(answer.as_bytes()), None, "{answer}");
        program.say_plainly(&bytes).await;
    }
    program.end().await;
}
