//! Answers as they come: framing, usage, clients that leave, drain.

use std::{sync::atomic::Ordering, time::Duration};

use super::*;
use crate::test_support::eventually;

#[tokio::test]
async fn a_chat_stream_is_framed_as_clients_expect() {
    let test = TestApp::serving(Setup::default());
    let told = post(&test, CHAT, chat("w", json!({"stream": true}))).await;
    assert_eq!(told.headers["content-type"], "text/event-stream; charset=utf-8");
    let events = told.events();
    assert!(events.iter().all(|event| event["object"] == "chat.completion.chunk" && event["id"] == events[0]["id"]));
    assert!(events.iter().all(|event| event.get("usage").is_none()));
    assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    let pieces: Vec<&str> =
        events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(pieces.concat(), "xyz");
    let last = &events.last().expect("last")["choices"][0];
    assert_eq!((&last["delta"], &last["finish_reason"]), (&json!({}), &json!("stop")));
}

#[tokio::test]
async fn usage_comes_last_when_asked_for() {
    let test = TestApp::serving(Setup::default());
    for (path, body) in [(CHAT, chat("w", json!({}))), (COMPLETIONS, completion("w", json!({})))] {
        let mut body = body;
        merge(&mut body, json!({"stream": true, "stream_options": {"include_usage": true}}));
        let events = post(&test, path, body).await.events();
        let (last, before) = events.split_last().expect("events");
        assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(3)), "{path}");
        assert!(before.iter().all(|event| event["usage"].is_null() && event.get("usage").is_some()));
    }
}

#[tokio::test]
async fn a_completion_stream_gives_text() {
    let test = TestApp::serving(Setup::default());
    let events =
        post(&test, COMPLETIONS, completion("A", json!({"stream": true, "max_tokens": 4, "stop": "D"}))).await.events();
    let pieces: Vec<&str> = events.iter().filter_map(|event| event["choices"][0]["text"].as_str()).collect();
    assert_eq!(pieces.concat(), "BC");
    assert_eq!(events.last().expect("last")["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_sequence_within_a_step() {
    let test = TestApp::serving(Setup { delay: Duration::from_millis(5), ..Setup::default() });
    let body = chat("A", json!({"stream": true})).to_string();
    let request = axum::http::Request::post(CHAT).body(Body::from(body)).unwrap();
    let mut body = router(test.app.clone()).oneshot(request).await.unwrap().into_body();
    for _ in 0..3 {
        body.frame().await.expect("a frame").expect("a good one");
    }
    assert_eq!(test.in_flight(), 1);
    let before = test.n_steps.load(Ordering::SeqCst);
    drop(body);
    eventually("the end of the sequence", || test.in_flight() == 0).await;
    let after = test.n_steps.load(Ordering::SeqCst);
    assert!(after - before <= 2, "{} steps after the client left", after - before);
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(test.n_steps.load(Ordering::SeqCst), after, "the engine is idle");
    assert_eq!(test.metric("vllm:request_success_total", &[r#"finished_reason="abort""#]), 1);
}

#[tokio::test]
async fn a_client_that_leaves_before_an_answer_at_once_ends_it_too() {
    let test = TestApp::serving(Setup { delay: Duration::from_millis(5), ..Setup::default() });
    let waiting = post(&test, CHAT, chat("A", json!({})));
    assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err());
    eventually("the end of the sequence", || test.in_flight() == 0).await;
}

#[tokio::test]
async fn a_drain_finishes_what_runs_and_refuses_what_is_new() {
    let test = TestApp::serving(Setup { delay: Duration::from_millis(2), ..Setup::default() });
    let running = post(&test, CHAT, chat("A", json!({"stream": true, "max_tokens": 60})));
    let drain = async {
        eventually("the start", || test.in_flight() == 1).await;
        test.app.drain();
        let told = post(&test, CHAT, chat("w", json!({}))).await;
        assert_eq!((told.status, told.json()["error"]["code"].as_str()), (503, Some("server_draining")));
        assert_eq!(
            (&told.headers["connection"], &told.headers["retry-after"]),
            (&"close".parse().unwrap(), &"1".parse().unwrap())
        );
    };
    let (told, ()) = tokio::join!(running, drain);
    assert_eq!(told.events().len(), 62, "opening, 60 tokens, end");
}

#[tokio::test]
async fn a_failure_in_the_model_is_told_in_the_stream() {
    let test = TestApp::serving(Setup::default());
    let events = post(&test, CHAT, chat("secret?", json!({"stream": true}))).await.events();
    let error = &events.last().expect("last")["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("server_error"), &json!("generation_failed")));
    let told = post(&test, CHAT, chat("secret?", json!({}))).await;
    assert_eq!(told.status, 500);
    assert!(!told.text.contains("secret"));
    assert_eq!(post(&test, CHAT, chat("w", json!({}))).await.status, 200, "the others go on");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_ends_and_says_so() {
    let (delay, request_timeout) = (Duration::from_millis(5), Duration::from_millis(60));
    let test = TestApp::serving(Setup { delay, request_timeout, ..Setup::default() });
    let told = post(&test, CHAT, chat("A", json!({"n": 2}))).await;
    assert_eq!((told.status, told.json()["error"]["code"].as_str()), (504, Some("deadline_exceeded")));
    let events = post(&test, CHAT, chat("A", json!({"stream": true}))).await.events();
    assert!(events.len() > 2 && events.last().expect("last")["error"]["code"] == "deadline_exceeded");
    eventually("free places", || test.in_flight() == 0).await;
    assert_eq!(test.metric("vllm:request_success_total", &[r#"finished_reason="abort""#]), 3);
    assert_eq!(test.metric("vllm:request_params_n_sum", &[]), 3);
    assert!(test.metric("vllm:iteration_tokens_total_count", &[]) > 5);
}
