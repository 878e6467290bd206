//! The API over the real engine and a model of bytes.

mod adapters;
mod answers;
mod choices;
mod description;
mod refusals;
mod responses;
mod streams;
mod structured;
mod tokens;
mod tools;

use axum::{body::Body, http::HeaderMap};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    api::router,
    test_support::{Setup, TestApp},
};

/// Status, headers and body of one request.
struct Told {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The values of all `data:` lines, and whether the stream was ended as it must be.
    fn events(&self) -> Vec<Value> {
        let frames: Vec<&str> = self.text.split_terminator("\n\n").collect();
        let (last, values) = frames.split_last().expect("frames");
        assert_eq!(*last, "data: [DONE]");
        let value = |frame: &&str| serde_json::from_str(frame.strip_prefix("data: ").expect("data")).expect("JSON");
        values.iter().map(value).collect()
    }
}

async fn send(test: &TestApp, method: &str, path: &str, body: impl Into<Body>) -> Told {
    let request = axum::http::Request::builder().method(method).uri(path).body(body.into()).unwrap();
    let response = router(test.app.clone()).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Told { status: head.status.as_u16(), headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}

async fn post(test: &TestApp, path: &str, body: Value) -> Told {
    send(test, "POST", path, body.to_string()).await
}

/// A chat request with one user message and more fields.
fn chat(content: &str, more: Value) -> Value {
    let mut body = json!({"model": "bytes", "messages": [{"role": "user", "content": content}]});
    merge(&mut body, more);
    body
}

fn completion(prompt: impl Into<Value>, more: Value) -> Value {
    let mut body = json!({"model": "bytes", "prompt": prompt.into()});
    merge(&mut body, more);
    body
}

fn merge(body: &mut Value, more: Value) {
    let (Value::Object(body), Value::Object(more)) = (body, more) else { panic!("objects") };
    body.extend(more);
}

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";
