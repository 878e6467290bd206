//! What clients do: steady requests, streams, and connections that only sit there.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, sync::Mutex, task::JoinSet, time::MissedTickBehavior};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{authority::Authority, cluster::KEY};

/// Latencies in microseconds, in order, and how many came before that did not count.
#[derive(Clone, Debug)]
pub(crate) struct Latency(Vec<u64>, u64);

impl Latency {
    pub(crate) fn requests(&self) -> u64 {
        self.0.len() as u64 + self.1
    }

    pub(crate) fn quantile(&self, nth: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank"
        )]
        let at = ((self.0.len() - 1) as f64 * nth) as usize;
        self.0[at]
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Rate {
    pub(crate) events_per_second: u64,
}

/// Clients of one address.
pub(crate) struct Load {
    connector: TlsConnector,
    address: SocketAddr,
}

type Sender = SendRequest<Full<Bytes>>;

impl Load {
    pub(crate) fn new(authority: &Authority, address: SocketAddr) -> Self {
        Self { connector: authority.connector(), address }
    }

    async fn connect(&self, tasks: &mut JoinSet<()>) -> Sender {
        let stream = open(&self.connector, self.address).await;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tasks.spawn(async move { drop(connection.await) });
        sender
    }

    /// So many each second, whatever became of those before.
    pub(crate) async fn requests(&self, per_second: u32, time: Duration) -> Latency {
        let (mut connections, mut under_way) = (JoinSet::new(), JoinSet::new());
        let pool = Arc::new(Mutex::new(Vec::new()));
        for _ in 0..32 {
            let sender = self.connect(&mut connections).await;
            pool.lock().await.push(sender);
        }
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
        // After a stall of the machine a burst would measure the burst.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (began, warm) = (Instant::now(), Duration::from_secs(1));
        let (mut all, mut sent) = (Vec::new(), 0_u64);
        while began.elapsed() < time {
            ticks.tick().await;
            sent += 1;
            let (pool, is_warm) = (Arc::clone(&pool), began.elapsed() > warm);
            under_way.spawn(async move {
                let sender = pool.lock().await.pop();
                let mut sender = sender?;
                let sent = Instant::now();
                let response = sender.send_request(request(false)).await.expect("an answer");
                assert_eq!(response.status(), 200);
                response.into_body().collect().await.expect("a body");
                let took = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
                sender.ready().await.expect("the connection should stay");
                pool.lock().await.push(sender);
                is_warm.then_some(took)
            });
            while let Some(done) = under_way.try_join_next() {
                all.extend(done.expect("a request"));
            }
        }
        while let Some(done) = under_way.join_next().await {
            all.extend(done.expect("a request"));
        }
        all.sort_unstable();
        let uncounted = sent - all.len() as u64;
        Latency(all, uncounted)
    }

    /// So many streams at once, one after another each.
    pub(crate) async fn streams(&self, n: usize, time: Duration) -> Rate {
        let (mut connections, mut streams) = (JoinSet::new(), JoinSet::new());
        let events = Arc::new(AtomicU64::new(0));
        let began = Instant::now();
        for _ in 0..n {
            let mut sender = self.connect(&mut connections).await;
            let events = Arc::clone(&events);
            streams.spawn(async move {
                while began.elapsed() < time {
                    let response = sender.send_request(request(true)).await.expect("an answer");
                    let mut body = response.into_body();
                    while let Some(frame) = body.frame().await {
                        let chunk = frame.expect("a frame").into_data().unwrap_or_default();
                        let n = chunk.windows(2).filter(|pair| *pair == b"\n\n").count() as u64;
                        events.fetch_add(n, Ordering::Relaxed);
                    }
                    sender.ready().await.expect("the connection should stay");
                }
            });
        }
        while streams.join_next().await.is_some() {}
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Rate { events_per_second: events.load(Ordering::Relaxed) * 1000 / millis }
    }
}

fn request(is_stream: bool) -> Request<Full<Bytes>> {
    let text = "Tell me about the sea. ".repeat(20);
    let body =
        format!(r#"{{"model":"assistant","stream":{is_stream},"messages":[{{"role":"user","content":"{text}"}}]}}"#);
    Request::post("/v1/chat/completions")
        .header("host", "gateway.test")
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .expect("a request")
}

async fn open(connector: &TlsConnector, address: SocketAddr) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    let name = ServerName::try_from("gateway.test").expect("a name");
    connector.connect(name, stream).await.expect("a handshake")
}

/// Connections that only sit there.
pub(crate) async fn idle(authority: &Authority, address: SocketAddr, n: usize) -> Vec<TlsStream<TcpStream>> {
    let connector = authority.connector();
    let mut all = Vec::with_capacity(n);
    for _ in 0..n {
        all.push(open(&connector, address).await);
    }
    all
}
