//! What the gateway adds: latency at 500 requests/s and streamed tokens/s, against nginx and against no proxy at all.
//!
//! `cargo bench -p alcazar-gateway --bench gateway`, with `-- --nginx /path/to/nginx` for the comparison. The program runs as it
//! ships, with a stand-in for the API server and one for a model pod. All ways are taken in turns, so that whatever else the
//! machine does falls on all of them. Numbers, not a verdict: a shared machine makes no test of this.

#[path = "gateway/cluster.rs"]
mod cluster;
#[path = "gateway/load.rs"]
mod load;

use std::{fmt::Write as _, io::Write as _, time::Duration};

use cluster::{Authority, Proxy};
use load::{Load, Rate};

const ROUNDS: usize = 3;
const REQUESTS_PER_SECOND: u32 = 500;
const IDLE_CONNECTIONS: usize = 10_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let authority = Authority::new();
    let pod = cluster::start_pod(&authority).await;
    let api = cluster::start_api(pod.address).await;
    let mut ways = vec![("direct", pod.address, None)];
    for (name, protocol) in [("gateway, HTTP/2 to the pod", "Http2"), ("gateway, HTTP/1.1 to the pod", "Http1")] {
        let (address, proxy) = cluster::start_gateway(&authority, api.address, protocol).await;
        ways.push((name, address, Some(proxy)));
    }
    if let Some(program) = nginx() {
        let (address, proxy) = cluster::start_nginx(&authority, pod.address, &program).await;
        ways.push(("nginx", address, Some(proxy)));
    }
    let loads: Vec<_> = ways.iter().map(|(_, address, _)| Load::new(&authority, *address)).collect();
    let mut latencies = vec![Vec::new(); ways.len()];
    let mut rates: Vec<Vec<Rate>> = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        for (at, load) in loads.iter().enumerate() {
            latencies[at].push(load.requests(REQUESTS_PER_SECOND, Duration::from_secs(8)).await);
        }
        for (at, load) in loads.iter().enumerate() {
            rates[at].push(load.streams(8, Duration::from_secs(4)).await);
        }
    }
    let mut text = String::new();
    for (at, (name, _, proxy)) in ways.iter().enumerate() {
        let _ = write!(text, "{name}:");
        for (latency, direct) in latencies[at].iter().zip(&latencies[0]) {
            let micros = |nth: f64| latency.quantile(nth);
            let added = |nth: f64| i128::from(latency.quantile(nth)) - i128::from(direct.quantile(nth));
            let _ =
                write!(text, " [p50 {} p99 {} us, added {} {}]", micros(0.5), micros(0.99), added(0.5), added(0.99));
        }
        for rate in &rates[at] {
            let _ = write!(text, " [{} events/s]", rate.events_per_second);
        }
        let memory = proxy.as_ref().map_or(0, Proxy::resident_kib);
        let _ = writeln!(text, " {memory} KiB");
    }
    if let Some((_, address, Some(proxy))) = ways.get(1) {
        let before = proxy.resident_kib();
        let idle = load::idle(&authority, *address, IDLE_CONNECTIONS).await;
        let with = proxy.resident_kib();
        let honest = Load::new(&authority, *address).requests(REQUESTS_PER_SECOND, Duration::from_secs(4)).await;
        let _ = writeln!(
            text,
            "{} idle connections: {before} KiB before, {with} KiB with them; honest requests p50 {} p99 {} us",
            idle.len(),
            honest.quantile(0.5),
            honest.quantile(0.99)
        );
    }
    std::io::stdout().write_all(text.as_bytes()).expect("stdout should be open");
}

/// What follows `--nginx`.
fn nginx() -> Option<String> {
    std::env::args().skip_while(|arg| arg != "--nginx").nth(1)
}
