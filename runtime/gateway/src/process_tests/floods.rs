//! Floods that HTTP/2 makes cheap: streams opened and reset at once (CVE-2023-44487), heads that never end (CVE-2024-27316)
//! or unfold to far more than was sent, and control frames without end.

use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::rig::{
    Authority, KEY, Mode, Options, Pod, Running, begin, chat, chat_stream, connect_for, key, model, send, until,
};
use crate::settings::Protocol;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// CANCEL
const CANCEL: [u8; 4] = [0, 0, 0, 8];
/// The word at which the pod hangs.
const WORD: &str = "hang";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it should fit").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A head in HPACK: indexed names, plain values.
fn head(key: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x87];
    let authorization = format!("Bearer {key}");
    for (name, value) in
        [(&[0x04][..], "/v1/chat/completions"), (&[0x01], "gateway.test"), (&[0x0f, 0x08], &authorization)]
    {
        block.extend(name);
        block.push(u8::try_from(value.len()).expect("a short value"));
        block.extend(value.bytes());
    }
    block
}

/// A request for which the pod does some work.
fn request(stream: u32) -> Vec<u8> {
    let body = format!(r#"{{"model":"assistant","messages":[{{"role":"user","content":"{WORD}"}}]}}"#);
    [frame(HEADERS, END_HEADERS, stream, &head(KEY)), frame(DATA, END_STREAM, stream, body.as_bytes())].concat()
}

/// The pod, a gateway before it, and an honest client in the middle of a stream of that pod.
struct Scene {
    authority: Authority,
    pod: Pod,
    running: Running,
    honest: (hyper::body::Incoming, tokio::task::JoinSet<()>),
}

impl Scene {
    async fn new() -> Self {
        let authority = Authority::new();
        let pod = Pod::start(&authority, "pod").await;
        pod.does(Mode::Stream);
        let running = Running::start(&authority, Options::default()).await;
        running.knows(vec![key()], vec![model(&[&pod])], Vec::new());
        let (response, connection) = begin(&authority, running.address, chat_stream()).await;
        pod.does(Mode::HangAt(WORD));
        Self { authority, pod, running, honest: (response.into_body(), connection) }
    }

    async fn attacker(&self) -> TlsStream<TcpStream> {
        let mut stream = connect_for(Protocol::Http2, self.authority.dir.path(), self.running.address).await;
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.expect("it should be sent");
        stream
    }

    /// An honest client is answered, and the stream that runs goes on.
    async fn is_unharmed(&mut self) {
        assert_eq!(send(&self.authority, self.running.address, chat()).await.status, 200);
        self.pod.say("data: {}\n\n").await;
        let event = self.honest.0.frame().await.expect("the stream should go on").expect("a frame");
        assert!(event.is_data());
    }

    /// All that was begun has ended, and nobody is left but the honest client.
    async fn is_quiet(&self) {
        until(|| self.running.gateway.metrics.in_flight.get() == 1).await;
        until(|| self.running.crowd.len() == 1).await;
    }
}

/// Writes until the other side has had enough; whether it closed, in five seconds.
async fn is_closed(mut stream: TlsStream<TcpStream>, frames: impl Fn(usize) -> Vec<u8>, rounds: usize) -> bool {
    let flood = async {
        for round in 0..rounds {
            if stream.write_all(&frames(round)).await.is_err() {
                return;
            }
        }
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    };
    tokio::time::timeout(Duration::from_secs(5), flood).await.is_ok()
}

fn stream_of(nth: usize) -> u32 {
    u32::try_from(2 * nth + 1).expect("a stream")
}

#[tokio::test]
async fn streams_that_are_opened_and_reset_in_one_breath_end_the_connection() {
    let mut scene = Scene::new().await;
    let attacker = scene.attacker().await;
    let frames = |round: usize| {
        let streams = (0..100).map(|nth| stream_of(100 * round + nth));
        streams.flat_map(|stream| [request(stream), frame(RESET, 0, stream, &CANCEL)].concat()).collect()
    };
    assert!(is_closed(attacker, frames, 200).await);
    scene.is_unharmed().await;
    scene.is_quiet().await;
    assert!(scene.pod.requests() < 400, "{}", scene.pod.requests());
}

#[tokio::test]
async fn streams_that_are_reset_once_they_cost_something_end_the_connection() {
    let mut scene = Scene::new().await;
    let mut attacker = scene.attacker().await;
    let mut opened = 0;
    'waves: for wave in 0..20 {
        let streams: Vec<u32> = (0..100).map(|nth| stream_of(100 * wave + nth)).collect();
        let requests: Vec<u8> = streams.iter().flat_map(|stream| request(*stream)).collect();
        if attacker.write_all(&requests).await.is_err() {
            break;
        }
        opened += streams.len();
        let in_flight = || scene.running.gateway.metrics.in_flight.get();
        let begun = async {
            while in_flight() < 101 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(2), begun).await.is_err() {
            break;
        }
        for stream in streams {
            if attacker.write_all(&frame(RESET, 0, stream, &CANCEL)).await.is_err() {
                break 'waves;
            }
        }
        until(|| in_flight() == 1).await;
        scene.is_unharmed().await;
    }
    assert!((200..=400).contains(&opened), "{opened}");
    scene.is_unharmed().await;
    scene.is_quiet().await;
    assert_eq!(scene.running.crowd.flooding.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_editor_that_takes_back_what_was_typed_past_is_no_flood() {
    let mut scene = Scene::new().await;
    let mut attacker = scene.attacker().await;
    for nth in 0..60 {
        let stream = stream_of(nth);
        attacker.write_all(&request(stream)).await.expect("it should be open");
        until(|| scene.running.gateway.metrics.in_flight.get() == 2).await;
        attacker.write_all(&frame(RESET, 0, stream, &CANCEL)).await.expect("it should be open");
        until(|| scene.running.gateway.metrics.in_flight.get() == 1).await;
    }
    assert_eq!(scene.running.crowd.len(), 2);
    scene.is_unharmed().await;
}

#[tokio::test]
async fn heads_without_an_end_end_the_connection() {
    let mut scene = Scene::new().await;
    let piece = [&[0x00, 0x01, b'x', 0x7f, 0x81, 0x7c][..], &[b'y'; 16_000]].concat();
    // 3,000 bytes into the table of the connection, then named again and again.
    let entry = [&[0x40, 0x01, b'x', 0x7f, 0xb9, 0x16][..], &[b'y'; 3000]].concat();
    let floods: [(&str, Vec<u8>, Vec<u8>); 4] = [
        ("whole fields", frame(HEADERS, 0, 1, &head(KEY)), frame(CONTINUATION, 0, 1, &piece)),
        ("a field without an end", frame(HEADERS, 0, 1, &head(KEY)), frame(CONTINUATION, 0, 1, &[0x00; 1])),
        ("nothing", frame(HEADERS, 0, 1, &head(KEY)), frame(CONTINUATION, 0, 1, &[])),
        ("a bomb", frame(HEADERS, 0, 1, &[head(KEY), entry].concat()), frame(CONTINUATION, 0, 1, &[0xbe; 16_000])),
    ];
    for (what, first, next) in floods {
        let mut attacker = scene.attacker().await;
        attacker.write_all(&first).await.expect("it should be sent");
        assert!(is_closed(attacker, |_| next.clone(), 2000).await, "{what}");
        scene.is_unharmed().await;
    }
    scene.is_quiet().await;
}

#[tokio::test]
async fn frames_whose_answers_nobody_reads_hold_up_their_sender_only() {
    let mut scene = Scene::new().await;
    let mut senders = tokio::task::JoinSet::new();
    for flood in [frame(PING, 0, 0, &[0; 8]).repeat(1000), frame(SETTINGS, 0, 0, &[]).repeat(1000)] {
        let mut attacker = scene.attacker().await;
        senders.spawn(async move { while attacker.write_all(&flood).await.is_ok() {} });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..10 {
        scene.is_unharmed().await;
    }
    senders.shutdown().await;
    scene.is_quiet().await;
}
