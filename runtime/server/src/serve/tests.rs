//! A serving process from start to drain, with real sockets and a model of bytes.

mod order;

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use clap::Parser as _;
use tokio::sync::oneshot;

use super::*;
use crate::test_support::{ByteLanguage, Setup, write_certificate};

/// A port that nobody else gets: below those that the system hands out, and another one each time.
fn free() -> SocketAddr {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    loop {
        let n = std::process::id() as usize * 64 + NEXT.fetch_add(1, Ordering::SeqCst);
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(20_000 + n % 10_000).expect("a port")));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Runs both to their end; a process that ends before its scenario is over fails at once.
async fn play(run: impl Future<Output = Result<(), ServeError>>, scenario: impl Future<Output = ()>) {
    let (mut run, mut scenario) = (std::pin::pin!(run), std::pin::pin!(scenario));
    tokio::select! {
        outcome = &mut run => {
            outcome.expect("a good end");
            let rest = tokio::time::timeout(Duration::from_secs(20), scenario).await;
            rest.expect("the scenario should be over soon after the process");
        }
        () = &mut scenario => run.await.expect("a good end"),
        () = tokio::time::sleep(Duration::from_mins(1)) => panic!("it takes too long"),
    }
}

fn args(line: &str, api: SocketAddr, probe: SocketAddr) -> cli::Serve {
    let line = format!("alcazar-runtime serve --listen {api} --probe-listen {probe} {line}");
    match cli::Cli::try_parse_from(line.split_whitespace()).expect("arguments").command {
        cli::Command::Serve(args) => args,
        _ => panic!("serve"),
    }
}

fn bytes(setup: Setup) -> Load {
    Box::new(move |_, _| {
        Ok(Model::Decoder(Box::new(Bundle {
            language: Arc::new(ByteLanguage),
            engine: setup.engine(&Arc::<AtomicUsize>::default()),
            device: "CPU".to_owned(),
            layers: 1,
            vocabulary: 257,
            adapters: vec![],
        })))
    })
}

async fn get(url: String) -> (u16, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().expect("client");
    match client.get(url).send().await {
        Ok(response) => (response.status().as_u16(), response.text().await.expect("text")),
        Err(_) => (0, String::new()),
    }
}

#[tokio::test]
async fn a_process_proves_loads_serves_and_drains() {
    let model = tempfile::tempdir().expect("tempdir");
    std::fs::write(model.path().join("m.gguf"), "bytes").expect("write");
    let progress = alcazar_store::Progress::default();
    let digest = alcazar_store::digest_of(model.path(), &progress).await.expect("digest").digest();
    let wall = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let (api, probe) = (free(), free());
    let line = format!(
        "--model {} --digest {digest} --name m --isolation Required --isolation-target {}",
        model.path().display(),
        wall.local_addr().expect("address")
    );
    let (stop, stopped) = oneshot::channel::<()>();
    let setup = Setup { delay: Duration::from_millis(5), ..Setup::default() };
    let run = run_until(async { drop(stopped.await) }, args(&line, api, probe), Instant::now(), bytes(setup));
    let scenario = async {
        let ready = async || get(format!("http://{probe}/health/ready")).await;
        while !ready().await.1.contains("IsolationUnproven") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(get(format!("http://{probe}/health/live")).await.0, 200);
        drop(wall);
        while ready().await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let status = loop {
            let text = get(format!("http://{probe}/status")).await.1;
            let status: alcazar_contract::status::ServeStatus = serde_json::from_str(&text).expect("status");
            if status.prefill_tokens_per_second > 0 {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!((status.ready, status.digest.as_str(), status.layers_total), (true, digest.as_str(), 1));
        assert!(status.load_milliseconds > 0 && status.decode_tokens_per_second > 0 && status.isolation.is_some());
        assert!(get(format!("http://{probe}/metrics")).await.1.contains("vllm:num_requests_running"));
        let body = r#"{"model": "m", "prompt": "A", "max_tokens": 100, "stream": true}"#;
        let mut answer = reqwest::Client::new()
            .post(format!("http://{api}/v1/completions"))
            .body(body)
            .send()
            .await
            .expect("answer");
        answer.chunk().await.expect("a chunk").expect("not the end");
        stop.send(()).expect("running");
        while ready().await.0 != 503 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(ready().await.1.contains("Draining"));
        let refused =
            reqwest::Client::new().post(format!("http://{api}/v1/completions")).body(body).send().await.expect("told");
        assert_eq!(refused.status().as_u16(), 503);
        let mut rest = String::new();
        while let Some(chunk) = answer.chunk().await.expect("an uncut stream") {
            rest.push_str(&String::from_utf8_lossy(&chunk));
        }
        assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    };
    play(run, scenario).await;
    assert_eq!(get(format!("http://{api}/v1/models")).await.0, 0, "nobody listens");
}

#[tokio::test]
async fn a_wrong_digest_opens_nothing() {
    let model = tempfile::tempdir().expect("tempdir");
    std::fs::write(model.path().join("m.gguf"), "bytes").expect("write");
    let line = format!("--model {} --digest sha256:{}", model.path().display(), "0".repeat(64));
    let load: Load = Box::new(|_, _| panic!("the model must not be opened"));
    let error =
        run_until(std::future::pending(), args(&line, free(), free()), Instant::now(), load).await.expect_err("digest");
    assert_eq!(error.reason(), "DigestMismatch");
    assert!(error.to_string().contains(&"0".repeat(64)), "{error}");
}

#[tokio::test]
async fn a_drain_that_takes_too_long_is_cut_off() {
    let (api, probe) = (free(), free());
    let (stop, stopped) = oneshot::channel::<()>();
    let setup = Setup { delay: Duration::from_millis(5), context_length: 60_000, ..Setup::default() };
    let args = args("--model /dev/null --name m --drain-seconds 0", api, probe);
    let run = run_until(async { drop(stopped.await) }, args, Instant::now(), bytes(setup));
    let scenario = async {
        while get(format!("http://{probe}/health/ready")).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let body = r#"{"model": "m", "prompt": "A", "max_tokens": 50000, "stream": true}"#;
        let mut answer = reqwest::Client::new()
            .post(format!("http://{api}/v1/completions"))
            .body(body)
            .send()
            .await
            .expect("answer");
        answer.chunk().await.expect("a chunk").expect("not the end");
        stop.send(()).expect("running");
        let mut rest = String::new();
        while let Some(chunk) = answer.chunk().await.expect("an end in order") {
            rest.push_str(&String::from_utf8_lossy(&chunk));
        }
        assert!(rest.contains("\"error\"") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
    };
    play(run, scenario).await;
}

#[tokio::test]
async fn bad_tls_files_and_taken_ports_are_told() {
    let dir = tempfile::tempdir().expect("tempdir");
    let run = async |line: String, api| {
        let load: Load = Box::new(|_, _| panic!("too early"));
        run_until(std::future::pending(), args(&line, api, free()), Instant::now(), load).await.expect_err("refused")
    };
    let error = run(format!("--model x --tls-dir {}", dir.path().display()), free()).await;
    assert!(error.reason() == "TlsFailed" && error.to_string().contains("tls.crt"), "{error}");
    write_certificate(dir.path());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address");
    let error = run(format!("--model x --tls-dir {}", dir.path().display()), address).await;
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}
