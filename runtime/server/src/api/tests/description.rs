//! `/openapi.json` says what the routes do.

use super::*;
use crate::api::{chat, completions, fields::Fields, responses, routes::description, tokens};

/// A property that the parser leaves behind is one that only the description knows.
fn left(request: &str, required: &Value, parse: impl Fn(&mut Fields) -> bool) -> Vec<String> {
    let described = description(&["bytes"]);
    let properties = &described["components"]["schemas"][request]["properties"];
    let mut body: serde_json::Map<String, Value> = properties
        .as_object()
        .unwrap_or_else(|| panic!("{request}"))
        .keys()
        .map(|name| (name.clone(), Value::Null))
        .collect();
    assert!(body.len() > 1);
    body.extend(required.as_object().unwrap().clone());
    let mut fields = Fields::new(body);
    assert!(parse(&mut fields), "{request}");
    fields.into_map().into_iter().map(|(name, _)| name).filter(|name| name != "model").collect()
}

#[test]
fn every_field_that_is_described_is_read() {
    let message = json!([{"role": "user", "content": "x"}]);
    assert_eq!(left("ChatRequest", &json!({"messages": message}), |fields| chat::parse(fields, 0).is_ok()), [""; 0]);
    assert_eq!(
        left("CompletionRequest", &json!({"prompt": "x"}), |fields| completions::parse(fields, 0).is_ok()),
        [""; 0]
    );
    assert_eq!(left("ResponseRequest", &json!({"input": "x"}), |fields| responses::parse(fields, 0).is_ok()), [""; 0]);
    let unread = left("TokenizeRequest", &json!({"messages": message}), |fields| tokens::input(fields).is_ok());
    assert_eq!(unread, ["return_token_strs"], "read before the input is");
}

#[tokio::test]
async fn every_route_that_is_described_is_there() {
    let test = TestApp::serving(Setup::default());
    let described = send(&test, "GET", "/openapi.json", "").await.json();
    assert_eq!(described["openapi"], "3.1.0");
    let paths = described["paths"].as_object().unwrap();
    for path in [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/tokenize",
        "/detokenize",
        "/v1/models",
        "/v1/embeddings",
        "/v1/rerank",
        "/v1/classify",
        "/health",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let told = send(&test, &method.to_uppercase(), &path.replace("{id}", "bytes"), "{}").await;
            assert!(![404, 405].contains(&told.status) && told.status < 500, "{method} {path}: {}", told.status);
        }
    }
    let written = described.to_string();
    for reference in written.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(described.pointer(reference).is_some(), "{reference} leads nowhere");
    }
}

#[tokio::test]
async fn health_says_why_nothing_is_served() {
    let loading = TestApp::loading();
    let told = send(&loading, "GET", "/health", "").await;
    assert_eq!((told.status, told.json()["error"]["code"].as_str()), (503, Some("model_loading")));
    assert_eq!(send(&loading, "GET", "/health/live", "").await.status, 200);
    let serving = TestApp::serving(Setup::default());
    assert_eq!(send(&serving, "GET", "/health/ready", "").await.status, 200);
}

#[test]
fn every_field_of_encoders_that_is_described_is_read() {
    let described = description(&["bytes"]);
    for (request, read) in [
        ("EmbeddingRequest", ["model", "input", "encoding_format", "dimensions"].as_slice()),
        ("RerankRequest", &["model", "query", "documents", "top_n", "return_documents"]),
        ("ClassifyRequest", &["model", "input"]),
        ("FillMaskRequest", &["model", "input", "top_k"]),
        ("QuestionRequest", &["model", "question", "context", "max_answer_tokens"]),
    ] {
        let properties = described["components"]["schemas"][request]["properties"].as_object().unwrap();
        let cut = ["truncate", "truncate_prompt_tokens"];
        assert!(properties.keys().all(|name| read.iter().chain(&cut).any(|read| read == name)), "{request}");
        assert_eq!(properties.len(), read.len() + cut.len(), "{request}");
    }
}
