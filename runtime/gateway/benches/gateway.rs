//! What the gateway adds: latency at 500 requests/s and streamed tokens/s, against nginx and against no proxy at all.
//!
//! `cargo bench -p alcazar-gateway --bench gateway`, with `-- --nginx /path/to/nginx` for the comparison. The program runs as it
//! ships, with a stand-in for the API server and one for a model pod. All ways are taken in turns, so that whatever else the
//! machine does falls on all of them. Numbers, not a verdict: a shared machine makes no test of this.

#[path = "gateway/authority.rs"]
mod authority;
#[path = "gateway/cluster.rs"]
mod cluster;
#[path = "gateway/load.rs"]
mod load;

use std::{fmt::Write as _, io::Write as _, net::SocketAddr, time::Duration};

use authority::Authority;
use cluster::Proxy;
use load::{Latency, Load};

/// Many and short, the ways in turns: what else the machine does falls on all of them, and the median is not of one stall.
const ROUNDS: usize = 12;
const ROUND: Duration = Duration::from_secs(3);
const REQUESTS_PER_SECOND: u32 = 500;
const STREAMS: usize = 8;
const IDLE_CONNECTIONS: usize = 10_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

/// One way to the pod, and what was measured of it.
struct Way {
    name: &'static str,
    address: SocketAddr,
    proxy: Option<Proxy>,
    load: Load,
    latencies: Vec<Latency>,
    events: Vec<u64>,
    /// For all requests of `latencies`.
    cpu: Duration,
}

impl Way {
    fn new(name: &'static str, authority: &Authority, (address, proxy): (SocketAddr, Option<Proxy>)) -> Self {
        let load = Load::new(authority, address);
        Self { name, address, proxy, load, latencies: Vec::new(), events: Vec::new(), cpu: Duration::ZERO }
    }

    fn cpu_time(&self) -> Duration {
        self.proxy.as_ref().map_or(Duration::ZERO, Proxy::cpu_time)
    }

    async fn ask(&mut self) {
        let before = self.cpu_time();
        self.latencies.push(self.load.requests(REQUESTS_PER_SECOND, ROUND).await);
        self.cpu += self.cpu_time().saturating_sub(before);
    }

    async fn stream(&mut self) {
        self.events.push(self.load.streams(STREAMS, ROUND).await.events_per_second);
    }

    /// Medians over the rounds; what is added is compared with `direct` round by round.
    fn report(&self, direct: &Self, text: &mut String) {
        let both = || self.latencies.iter().zip(&direct.latencies);
        let took = |nth| median(self.latencies.iter().map(|round| round.quantile(nth).cast_signed()));
        let added = |nth| {
            median(both().map(|(with, without)| with.quantile(nth).cast_signed() - without.quantile(nth).cast_signed()))
        };
        let requests: u64 = self.latencies.iter().map(Latency::requests).sum();
        let _ = writeln!(
            text,
            "{}: p50 {} p99 {} us, added {} and {} us; {} us of processor a request; {} events/s; {} KiB",
            self.name,
            took(0.5),
            took(0.99),
            added(0.5),
            added(0.99),
            u64::try_from(self.cpu.as_micros()).unwrap_or(u64::MAX) / requests.max(1),
            median(self.events.iter().map(|events| events.cast_signed())),
            self.proxy.as_ref().map_or(0, Proxy::resident_kib),
        );
    }
}

fn median(values: impl Iterator<Item = i64>) -> i64 {
    let mut all: Vec<i64> = values.collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

async fn run() {
    let authority = Authority::new();
    let pod = cluster::start_pod(&authority).await;
    let api = cluster::start_api(pod.address).await;
    let mut ways = vec![Way::new("direct", &authority, (pod.address, None))];
    for (name, protocol) in [("gateway, HTTP/2 to the pod", "Http2"), ("gateway, HTTP/1.1 to the pod", "Http1")] {
        let (address, proxy) = cluster::start_gateway(&authority, api.address, protocol).await;
        ways.push(Way::new(name, &authority, (address, Some(proxy))));
    }
    if let Some(program) = nginx() {
        let (address, proxy) = cluster::start_nginx(&authority, pod.address, &program).await;
        ways.push(Way::new("nginx", &authority, (address, Some(proxy))));
    }
    for _ in 0..ROUNDS {
        for way in &mut ways {
            way.ask().await;
        }
    }
    for _ in 0..ROUNDS / 3 {
        for way in &mut ways {
            way.stream().await;
        }
    }
    let mut text = String::new();
    for way in &ways {
        way.report(&ways[0], &mut text);
    }
    idle(&authority, &ways[1], &mut text).await;
    std::io::stdout().write_all(text.as_bytes()).expect("stdout should be open");
}

/// Memory with connections that only sit there, and requests beside them.
async fn idle(authority: &Authority, way: &Way, text: &mut String) {
    let memory = || way.proxy.as_ref().map_or(0, Proxy::resident_kib);
    let before = memory();
    let idle = load::idle(authority, way.address, IDLE_CONNECTIONS).await;
    let with = memory();
    let honest = way.load.requests(REQUESTS_PER_SECOND, ROUND).await;
    let _ = writeln!(
        text,
        "{} idle connections: {before} KiB before, {with} KiB with them; honest requests p50 {} p99 {} us",
        idle.len(),
        honest.quantile(0.5),
        honest.quantile(0.99)
    );
}

/// What follows `--nginx`.
fn nginx() -> Option<String> {
    std::env::args().skip_while(|arg| arg != "--nginx").nth(1)
}
