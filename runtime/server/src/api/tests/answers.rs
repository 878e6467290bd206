//! What a good request gets.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_chat_is_answered_to_its_end() {
    let test = TestApp::serving(Setup::default());
    let told = post(&test, CHAT, chat("hi w", json!({}))).await;
    let answer = told.json();
    assert_eq!((told.status, answer["object"].as_str()), (200, Some("chat.completion")));
    assert_eq!(answer["choices"][0]["message"], json!({"role": "assistant", "content": "xyz", "refusal": null}));
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!((&answer["usage"]["prompt_tokens"], &answer["usage"]["completion_tokens"]), (&json!(4), &json!(3)));
    assert_eq!(answer["usage"]["total_tokens"], 7);
    assert_eq!(answer["model"], "bytes");
    assert!(answer["id"].as_str().is_some_and(|id| id.starts_with("chatcmpl-")));
}

#[tokio::test]
async fn completions_take_text_and_tokens() {
    let test = TestApp::serving(Setup::default());
    for prompt in [json!("A"), json!(["A"]), json!([65]), json!([[65]])] {
        let told = post(&test, COMPLETIONS, completion(prompt, json!({"max_tokens": 3}))).await;
        let answer = told.json();
        assert_eq!((told.status, answer["object"].as_str()), (200, Some("text_completion")), "{answer}");
        assert_eq!(
            (&answer["choices"][0]["text"], &answer["choices"][0]["finish_reason"]),
            (&json!("BCD"), &json!("length"))
        );
    }
    let told = post(&test, COMPLETIONS, completion("A", json!({}))).await;
    assert_eq!(told.json()["usage"]["completion_tokens"], 16, "the default of this route");
}

#[tokio::test]
async fn the_knobs_are_understood() {
    let test = TestApp::serving(Setup::default());
    let check = async |more: Value, text: &str, reason: &str| {
        let answer = post(&test, CHAT, chat("t", more.clone())).await.json();
        let choice = &answer["choices"][0];
        let found = (choice["message"]["content"].as_str(), choice["finish_reason"].as_str());
        assert_eq!(found, (Some(text), Some(reason)), "{more} {answer}");
    };
    check(json!({"max_tokens": 2}), "uv", "length").await;
    check(json!({"max_completion_tokens": 1, "max_tokens": 5}), "u", "length").await;
    check(json!({"stop": "wx"}), "uv", "stop").await;
    check(json!({"stop": ["y", "w"]}), "uv", "stop").await;
    check(json!({"stop": ["zz"]}), "uvwxyz", "stop").await;
    check(json!({"temperature": 0}), "uvwxyz", "stop").await;
    check(
        json!({"seed": -5, "top_p": 0.5, "top_k": -1, "min_p": 0.1, "frequency_penalty": 1, "presence_penalty": -1}),
        "uvwxyz",
        "stop",
    )
    .await;
    check(
        json!({"n": 1, "tools": [], "logprobs": false, "response_format": {"type": "text"}, "logit_bias": {}}),
        "uvwxyz",
        "stop",
    )
    .await;
    check(json!({"user": "me", "store": true, "metadata": {"a": "b"}, "parallel_tool_calls": true, "tool_choice": "auto"}), "uvwxyz", "stop").await;
    check(json!({"temperature": null, "stop": null, "stream": null}), "uvwxyz", "stop").await;
}

#[tokio::test]
async fn messages_may_come_in_parts_and_roles() {
    let test = TestApp::serving(Setup::default());
    let messages = json!([
        {"role": "developer", "content": "x"},
        {"role": "assistant", "content": null},
        {"role": "user", "name": "me", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "x"}]},
    ]);
    let answer = post(&test, CHAT, json!({"model": "bytes", "messages": messages})).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "yz", "{answer}");
    assert_eq!(answer["usage"]["prompt_tokens"], 4, "x, a, a line break, x");
}

#[tokio::test]
async fn models_are_listed() {
    let test = TestApp::serving(Setup::default());
    let list = send(&test, "GET", "/v1/models", "").await.json();
    assert_eq!((&list["object"], &list["data"][0]["id"]), (&json!("list"), &json!("bytes")));
    let one = send(&test, "GET", "/v1/models/bytes", "").await.json();
    assert_eq!((&one["object"], &one["max_model_len"]), (&json!("model"), &json!(2000)));
    assert_eq!(send(&test, "GET", "/v1/models/a/b", "").await.status, 404);
}

#[tokio::test]
async fn several_requests_are_served_together() {
    let setup = Setup { delay: Duration::from_millis(3), ..Setup::default() };
    let test = TestApp::serving(setup);
    let one = async || post(&test, CHAT, chat("A", json!({"max_tokens": 50}))).await;
    let told = tokio::join!(one(), one(), one(), one());
    assert!([told.0, told.1, told.2, told.3].iter().all(|told| told.status == 200));
    let n_steps = test.n_steps.load(std::sync::atomic::Ordering::SeqCst);
    assert!(n_steps < 120, "{n_steps} steps for 4 answers of 50 tokens");
    assert_eq!(test.metric("vllm:generation_tokens_total", &[]), 200);
    assert_eq!(test.metric("vllm:request_success_total", &[r#"finished_reason="length""#]), 4);
}
