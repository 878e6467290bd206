//! Streams pass as they come, and end when anybody's part in them ends.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::rig::{
    Authority, KEY, Mode, Options, Pod, Running, begin, chat_stream, connect_for, key, model, post, send, until,
};
use crate::{key::Key, settings::Protocol};

const EVENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n";
const EVENT_FOR_CLIENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n";

async fn rig() -> (Authority, Pod, Running) {
    let authority = Authority::new();
    let pod = Pod::start(&authority, "pod").await;
    pod.does(Mode::Stream);
    let running = Running::start(&authority, Options::default()).await;
    running.knows(vec![key()], vec![model(&[&pod])], Vec::new());
    (authority, pod, running)
}

async fn next(body: &mut Incoming) -> Option<String> {
    let frame = body.frame().await?.ok()?.into_data().ok()?;
    Some(String::from_utf8_lossy(&frame).into_owned())
}

#[tokio::test]
async fn each_event_passes_at_once_and_without_what_the_client_did_not_ask_for() {
    let (authority, pod, running) = rig().await;
    let (response, _connection) = begin(&authority, running.address, chat_stream()).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let mut body = response.into_body();
    for _ in 0..3 {
        // The next is only sent when this one has arrived.
        pod.say(EVENT).await;
        assert_eq!(next(&mut body).await.as_deref(), Some(EVENT_FOR_CLIENT));
    }
    pod.say(USAGE).await;
    pod.say("data: [DONE]\n\n").await;
    assert_eq!(next(&mut body).await.as_deref(), Some("data: [DONE]\n\n"));
    pod.finish();
    assert_eq!(next(&mut body).await, None);
    let seen = pod.seen.lock().expect("not poisoned")[0].clone();
    let sent: serde_json::Value = serde_json::from_slice(&seen.body).expect("JSON");
    assert_eq!(sent["stream_options"]["include_usage"], true);
    running.gateway.metrics.render().expect("metrics");
}

#[tokio::test]
async fn usage_that_the_client_asked_for_stays() {
    let (authority, pod, running) = rig().await;
    let asked = r#"{"model":"assistant","stream":true,"stream_options":{"include_usage":true},"prompt":"x"}"#;
    let (response, _connection) = begin(&authority, running.address, post("/v1/completions", KEY, asked)).await;
    let mut body = response.into_body();
    pod.say(EVENT).await;
    assert_eq!(next(&mut body).await.as_deref(), Some(EVENT));
    pod.say(USAGE).await;
    assert_eq!(next(&mut body).await.as_deref(), Some(USAGE));
    assert_eq!(&pod.seen.lock().expect("not poisoned")[0].body[..], asked.as_bytes());
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_work_of_the_pod() {
    let (authority, pod, running) = rig().await;
    let (response, mut connection) = begin(&authority, running.address, chat_stream()).await;
    let mut body = response.into_body();
    pod.say(EVENT).await;
    assert!(next(&mut body).await.is_some());
    assert!(!pod.is_left());
    drop(body);
    connection.shutdown().await;
    until(|| pod.is_left()).await;
    until(|| running.gateway.metrics.in_flight.get() == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_ends_it_too() {
    let (authority, pod, running) = rig().await;
    pod.does(Mode::Hang);
    let request = begin(&authority, running.address, chat_stream());
    let left = tokio::time::timeout(std::time::Duration::from_millis(300), request).await;
    assert!(left.is_err(), "the pod should not have answered");
    assert_eq!(pod.requests(), 1);
    until(|| running.gateway.metrics.in_flight.get() == 0).await;
    // Its prompt counts all the same, by its size.
    assert!(running.desk.due(std::time::Duration::ZERO)[0].spent.prompt_tokens > 5);
    let log = || std::fs::read_to_string(authority.path("audit.log")).unwrap_or_default();
    until(|| log().contains(r#""status":499"#)).await;
}

async fn ends_with(change: impl FnOnce(&mut Key)) {
    let (authority, pod, running) = rig().await;
    let (response, _connection) = begin(&authority, running.address, chat_stream()).await;
    let mut body = response.into_body();
    pod.say(EVENT).await;
    assert!(next(&mut body).await.is_some());
    let mut changed = key();
    change(&mut changed);
    running.knows(vec![changed], vec![model(&[&pod])], Vec::new());
    pod.say(EVENT).await;
    let last = next(&mut body).await.expect("the end is told");
    assert!(last.contains("invalid_api_key") && last.ends_with("data: [DONE]\n\n"), "{last}");
    assert_eq!(next(&mut body).await, None);
    until(|| pod.is_left()).await;
    let refused = send(&authority, running.address, chat_stream()).await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_revoked() {
    ends_with(|key| key.is_revoked = true).await;
}

#[tokio::test]
async fn a_stream_ends_when_its_key_expires_or_is_another() {
    ends_with(|key| key.expires_at = Some(jiff::Timestamp::UNIX_EPOCH)).await;
    ends_with(|key| key.hash = crate::key::Hash::of("another")).await;
}

#[tokio::test]
async fn answers_that_run_are_finished_on_shutdown() {
    let (authority, pod, mut running) = rig().await;
    let (response, _connection) = begin(&authority, running.address, chat_stream()).await;
    let mut body = response.into_body();
    pod.say(EVENT).await;
    assert!(next(&mut body).await.is_some());
    running.gateway.drain();
    running.close.cancel();
    pod.say(EVENT).await;
    assert!(next(&mut body).await.is_some());
    pod.finish();
    assert_eq!(next(&mut body).await, None);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), running.tasks.join_next()).await;
    assert!(ended.is_ok(), "the port should be closed");
}

#[tokio::test]
async fn http2_carries_many_streams_and_one_that_is_reset_ends_alone() {
    let (authority, pod, running) = rig().await;
    let stream = connect_for(Protocol::Http2, authority.dir.path(), running.address).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.expect("HTTP/2");
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    let request = || {
        let mut request = chat_stream();
        *request.uri_mut() = "https://gateway.test/v1/chat/completions".parse().expect("an address");
        request
    };
    let first = sender.send_request(request()).await.expect("an answer");
    pod.say(EVENT).await;
    pod.does(Mode::Answer);
    let second = sender.send_request(request()).await.expect("an answer");
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 200));
    second.into_body().collect().await.expect("a body");
    let mut body = first.into_body();
    assert_eq!(next(&mut body).await.as_deref(), Some(EVENT_FOR_CLIENT));
    drop(body);
    until(|| pod.is_left()).await;
    assert_eq!(sender.send_request(request()).await.expect("an answer").status(), 200);
}
