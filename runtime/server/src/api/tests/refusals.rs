//! What a bad request gets: the right status, OpenAI's shape, the field's name, and nothing of the prompt.

use std::time::Duration;

use super::*;
use crate::{app::Unready, test_support::eventually};

/// Posts and expects a refusal.
async fn check(test: &TestApp, path: &str, body: Value, expected: (u16, &str, Option<&str>)) {
    let told = post(test, path, body.clone()).await;
    let json = told.json();
    let error = &json["error"];
    let found = (told.status, error["code"].as_str().unwrap_or_default(), error["param"].as_str());
    assert_eq!(found, expected, "{body} {error}");
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10));
    assert_eq!(error["type"], if told.status >= 500 { "server_error" } else { "invalid_request_error" });
    assert!(!told.text.contains("secret"), "{}", told.text);
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let test = TestApp::serving(Setup::default());
    for (more, code, param) in [
        (json!({"temperature": -1}), "invalid_value", "temperature"),
        (json!({"temperature": "secret"}), "invalid_type", "temperature"),
        (json!({"top_p": 0}), "invalid_value", "top_p"),
        (json!({"top_p": 1.1}), "invalid_value", "top_p"),
        (json!({"top_k": -2}), "invalid_value", "top_k"),
        (json!({"top_k": 1.5}), "invalid_type", "top_k"),
        (json!({"seed": "secret"}), "invalid_type", "seed"),
        (json!({"frequency_penalty": 3}), "invalid_value", "frequency_penalty"),
        (json!({"presence_penalty": -3}), "invalid_value", "presence_penalty"),
        (json!({"max_tokens": 0}), "invalid_value", "max_tokens"),
        (json!({"max_completion_tokens": -1}), "invalid_value", "max_completion_tokens"),
        (json!({"max_tokens": 5000}), "context_length_exceeded", "max_tokens"),
        (json!({"stop": 5}), "invalid_type", "stop"),
        (json!({"stop": ["a", ""]}), "invalid_value", "stop[1]"),
        (json!({"stop": vec!["a"; 17]}), "invalid_value", "stop"),
        (json!({"stream": "secret"}), "invalid_type", "stream"),
        (json!({"stream_options": {"include_usage": true}}), "invalid_value", "stream_options"),
        (json!({"n": 0}), "invalid_value", "n"),
        (json!({"n": 9}), "invalid_value", "n"),
        (json!({"best_of": 2}), "unsupported_parameter", "best_of"),
        (json!({"typical_p": 0}), "invalid_value", "typical_p"),
        (json!({"min_tokens": -1}), "invalid_value", "min_tokens"),
        (json!({"min_tokens": 9, "max_tokens": 5}), "invalid_value", "min_tokens"),
        (json!({"stop_token_ids": ["secret"]}), "invalid_type", "stop_token_ids[0]"),
        (json!({"logit_bias": {"secret": 1}}), "invalid_value", "logit_bias"),
        (json!({"logit_bias": {"5": 101}}), "invalid_value", "logit_bias"),
        (json!({"logit_bias": {"5000": 1}}), "invalid_value", "logit_bias"),
        (json!({"cache_salt": 5}), "invalid_type", "cache_salt"),
        (json!({"user": 5}), "invalid_type", "user"),
        (json!({"metadata": "secret"}), "invalid_type", "metadata"),
        (json!({"use_beam_search": true}), "unsupported_parameter", "use_beam_search"),
        (json!({"tools": [{"type": "function"}]}), "missing_required_parameter", "tools[0].name"),
        (json!({"tools": [{"type": "secret"}]}), "unsupported_value", "tools[0].type"),
        (
            json!({"tools": [{"type": "function", "function": {"name": "a secret"}}]}),
            "invalid_value",
            "tools[0].function.name",
        ),
        (json!({"tool_choice": "required"}), "invalid_value", "tool_choice"),
        (json!({"tool_choice": "secret"}), "invalid_value", "tool_choice"),
        (json!({"tool_choice": {"type": "function", "function": {"name": "secret"}}}), "invalid_value", "tool_choice"),
        (json!({"response_format": {"type": "secret"}}), "invalid_value", "response_format.type"),
        (
            json!({"response_format": {"type": "json_schema"}}),
            "missing_required_parameter",
            "response_format.json_schema",
        ),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "secret"}}}}),
            "invalid_grammar",
            "response_format.json_schema.schema",
        ),
        (json!({"guided_regex": "secret("}), "invalid_grammar", "guided_regex"),
        (json!({"structured_outputs": {"grammar": "start: secret"}}), "invalid_grammar", "structured_outputs.grammar"),
        (json!({"guided_regex": "a", "guided_choice": ["b"]}), "invalid_value", "guided_choice"),
        (json!({"logprobs": 3}), "invalid_type", "logprobs"),
        (json!({"top_logprobs": 3}), "invalid_value", "top_logprobs"),
        (json!({"logprobs": true, "top_logprobs": 21}), "invalid_value", "top_logprobs"),
        (
            json!({"stream": true, "stream_options": {"include_usage": 5}}),
            "invalid_type",
            "stream_options.include_usage",
        ),
        (json!({"modalities": ["text", "audio"]}), "unsupported_parameter", "modalities"),
    ] {
        check(&test, CHAT, chat("secret", more), (400, code, Some(param))).await;
    }
}

#[tokio::test]
async fn wrong_messages_are_named_by_their_place() {
    let test = TestApp::serving(Setup::default());
    for (messages, code, param) in [
        (json!(null), "missing_required_parameter", "messages"),
        (json!([]), "invalid_value", "messages"),
        (json!("secret"), "invalid_type", "messages"),
        (json!(["secret"]), "invalid_type", "messages[0]"),
        (json!([{"content": "secret"}]), "missing_required_parameter", "messages[0].role"),
        (json!([{"role": "secret", "content": "x"}]), "invalid_value", "messages[0].role"),
        (json!([{"role": "user"}]), "missing_required_parameter", "messages[0].content"),
        (
            json!([{"role": "user", "content": "x"}, {"role": "user", "content": {"secret": 1}}]),
            "invalid_type",
            "messages[1].content",
        ),
        (
            json!([{"role": "user", "content": [{"type": "image_url"}]}]),
            "unsupported_value",
            "messages[0].content[0].type",
        ),
        (
            json!([{"role": "user", "content": [{"type": "text", "text": 5}]}]),
            "invalid_type",
            "messages[0].content[0].text",
        ),
        (
            json!([{"role": "assistant", "tool_calls": [{}]}]),
            "missing_required_parameter",
            "messages[0].tool_calls[0].function",
        ),
        (
            json!([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "secret"}}]}]),
            "invalid_value",
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            json!([{"role": "user", "content": "x", "tool_calls": [{"function": {"name": "f"}}]}]),
            "invalid_value",
            "messages[0].tool_calls",
        ),
        (json!([{"role": "user", "content": "refuse me"}]), "invalid_value", "messages"),
        (json!([{"role": "user", "content": ""}]), "invalid_value", "messages"),
    ] {
        check(&test, CHAT, json!({"model": "bytes", "messages": messages}), (400, code, Some(param))).await;
    }
}

#[tokio::test]
async fn wrong_prompts_are_named() {
    let test = TestApp::serving(Setup::default());
    for (prompt, more, code, param) in [
        (json!(null), json!({}), "missing_required_parameter", "prompt"),
        (json!({"secret": 1}), json!({}), "invalid_type", "prompt"),
        (json!(["secret", 5]), json!({}), "invalid_type", "prompt[1]"),
        (json!([[65], [-1]]), json!({}), "invalid_type", "prompt[1][0]"),
        (json!(vec!["secret"; 9]), json!({}), "invalid_value", "prompt"),
        (json!(["a", "b", "c"]), json!({"n": 3}), "invalid_value", "n"),
        (json!([65, "secret"]), json!({}), "invalid_type", "prompt[1]"),
        (json!([65, -1]), json!({}), "invalid_type", "prompt[1]"),
        (json!([100_000]), json!({}), "invalid_value", "prompt"),
        (json!(""), json!({}), "invalid_value", "prompt"),
        (json!([]), json!({}), "invalid_value", "prompt"),
        (json!("a"), json!({"echo": "secret"}), "invalid_type", "echo"),
        (json!("a"), json!({"max_tokens": 0}), "invalid_value", "max_tokens"),
        (json!("a"), json!({"suffix": "secret"}), "unsupported_parameter", "suffix"),
        (json!("a"), json!({"best_of": 2}), "unsupported_parameter", "best_of"),
        (json!("a"), json!({"logprobs": 21}), "invalid_value", "logprobs"),
        (json!("a"), json!({"logprobs": true}), "invalid_type", "logprobs"),
    ] {
        check(&test, COMPLETIONS, completion(prompt, more), (400, code, Some(param))).await;
    }
}

#[tokio::test]
async fn a_prompt_over_the_context_is_told_both_numbers() {
    let test = TestApp::serving(Setup::default());
    let told = post(&test, CHAT, chat(&"x".repeat(3000), json!({}))).await;
    let error = &told.json()["error"];
    assert_eq!(
        (told.status, error["code"].as_str(), error["param"].as_str()),
        (400, Some("context_length_exceeded"), Some("messages"))
    );
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("2000") && message.contains("3000"), "{message}");
    // Above the size that is tokenized on another thread.
    check(
        &test,
        COMPLETIONS,
        completion("x".repeat(50_000), json!({})),
        (400, "context_length_exceeded", Some("prompt")),
    )
    .await;
}

#[tokio::test]
async fn unknown_models_routes_and_methods_are_told() {
    let test = TestApp::serving(Setup::default());
    let body = json!({"model": "secret", "messages": [{"role": "user", "content": "x"}]});
    check(&test, CHAT, body, (404, "model_not_found", Some("model"))).await;
    check(&test, CHAT, json!({"messages": []}), (400, "missing_required_parameter", Some("model"))).await;
    check(&test, CHAT, json!({"model": 5}), (400, "invalid_type", Some("model"))).await;
    check(&test, "/v1/images/generations", json!({}), (404, "not_found", None)).await;
    check(&test, "/v1/models", json!({}), (405, "method_not_allowed", None)).await;
    assert_eq!(send(&test, "GET", CHAT, "").await.status, 405);
}

#[tokio::test]
async fn broken_and_oversized_bodies_are_told() {
    let test = TestApp::serving(Setup::default());
    let told = send(&test, "POST", CHAT, "{\"secret\"").await;
    assert_eq!((told.status, told.json()["error"]["code"].as_str()), (400, Some("invalid_json")));
    let large = "x".repeat(5 << 20);
    let told = send(&test, "POST", CHAT, large.clone()).await;
    assert_eq!((told.status, told.json()["error"]["code"].as_str()), (413, Some("request_too_large")));
    // Without a Content-Length the limit is met while reading.
    let pieces = futures::stream::iter(
        large.into_bytes().chunks(65_536).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>(),
    );
    assert_eq!(send(&test, "POST", CHAT, Body::from_stream(pieces)).await.status, 413);
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let setup = Setup { delay: Duration::from_millis(5), max_sequences: 1, max_queued: 1, ..Setup::default() };
    let test = TestApp::serving(setup);
    let endless = async || drop(post(&test, CHAT, chat("A", json!({}))).await);
    let third = async {
        eventually("a full queue", || test.in_flight() == 2).await;
        let told = post(&test, CHAT, chat("A", json!({}))).await;
        assert_eq!((told.status, told.json()["error"]["type"].as_str()), (429, Some("rate_limit_error")));
        assert_eq!(told.headers["retry-after"], "1");
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(endless(), endless()) } => panic!("endless"),
        () = third => {}
    }
    eventually("an empty queue", || test.in_flight() == 0).await;
    assert_eq!(post(&test, CHAT, chat("w", json!({}))).await.status, 200);
}

#[tokio::test]
async fn nothing_is_served_before_the_model_is_there() {
    let test = TestApp::loading();
    let told = post(&test, CHAT, chat("w", json!({}))).await;
    assert_eq!((told.status, told.json()["error"]["code"].as_str()), (503, Some("model_loading")));
    assert_eq!(told.headers["retry-after"], "2");
    test.app.starting(Unready::isolation_unproven(0, 3, &[]));
    assert_eq!(post(&test, CHAT, chat("w", json!({}))).await.json()["error"]["code"], "isolation_not_proven");
    assert_eq!(send(&test, "GET", "/v1/models", "").await.status, 200, "the name is known from the start");
}
