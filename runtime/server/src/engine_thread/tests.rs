//! The engine's thread and the ends of a request.

use super::*;
use crate::test_support::{Setup, TestApp, eventually};

fn request(text: &str, max_tokens: usize) -> Request {
    Request {
        prompt: text.bytes().map(|byte| TokenId(byte.into())).collect(),
        max_tokens: Some(max_tokens),
        ..Request::default()
    }
}

#[tokio::test]
async fn events_come_in_order_and_end() {
    let test = TestApp::serving(Setup::default());
    let engine = &test.app.served().expect("served").engine;
    let mut generation = engine.submit(request("A", 2), None).await.expect("submitted");
    assert_eq!(generation.next().await, Some(Event::Token { token: TokenId(66), logprobs: None }));
    assert_eq!(generation.next().await, Some(Event::Token { token: TokenId(67), logprobs: None }));
    assert!(matches!(generation.next().await, Some(Event::Finished { reason: FinishReason::Length, .. })));
    assert!(matches!(engine.submit(request("", 2), None).await, Err(SubmitError::Refused(Refused::PromptEmpty))));
}

#[tokio::test]
async fn a_permit_comes_back_whatever_the_end() {
    let test = TestApp::serving(Setup::default());
    let served = test.app.served().expect("served");
    let permit = || Some(served.gate.try_enter(1).expect("a place"));
    drop(served.engine.submit(request("A", 1000), permit()).await.expect("submitted"));
    eventually("the abort", || served.gate.in_flight() == 0).await;
    let mut stopped = served.engine.submit(request("A", 1000), permit()).await.expect("submitted");
    stopped.stop();
    eventually("the stop", || served.gate.in_flight() == 0).await;
    let refused = served.engine.submit(request("", 1000), permit()).await;
    assert!(refused.is_err());
    eventually("the refusal", || served.gate.in_flight() == 0).await;
    let mut cut = served.engine.submit(request("A", 1000), permit()).await.expect("submitted");
    served.engine.cancel_all();
    while cut.next().await.is_some() {}
    eventually("the end of all", || served.gate.in_flight() == 0).await;
    assert_eq!(test.metric("vllm:request_success_total", &[r#"finished_reason="stop""#]), 1);
    assert_eq!(test.metric("vllm:request_success_total", &[r#"finished_reason="abort""#]), 2);
}

#[tokio::test]
async fn a_thread_that_has_quit_takes_nothing() {
    let test = TestApp::serving(Setup::default());
    let thread =
        EngineThread::start(Setup::default().engine(&test.n_steps), Arc::clone(&test.app.metrics)).expect("thread");
    let handle = thread.handle();
    tokio::task::spawn_blocking(move || thread.quit()).await.expect("joined");
    assert!(matches!(handle.submit(request("A", 1), None).await, Err(SubmitError::Gone)));
}
