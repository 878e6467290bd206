//! Nothing is opened, hashed or answered before the isolation is proven.

use std::sync::{Arc, atomic::AtomicBool};

use super::*;

#[tokio::test]
async fn nothing_is_read_or_answered_before_the_proof() {
    let wall = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let (api, probe, is_opened) = (free(), free(), Arc::new(AtomicBool::new(false)));
    let line = format!(
        "--model /no/such/model --digest sha256:{} --name m --isolation Required --isolation-target Canary={}",
        "0".repeat(64),
        wall.local_addr().expect("address")
    );
    let opened = Arc::clone(&is_opened);
    let load: Load = Box::new(move |_, _| {
        opened.store(true, Ordering::SeqCst);
        panic!("a model that is not there is not opened")
    });
    let run = run_until(std::future::pending(), args(&line, api, probe), Instant::now(), load);
    let scenario = async {
        while !get(format!("http://{probe}/health/ready")).await.1.contains("IsolationUnproven") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Longer than a proof would take.
        for _ in 0..10 {
            let body = r#"{"model": "m", "prompt": "A"}"#;
            let asked = reqwest::Client::new().post(format!("http://{api}/v1/completions")).body(body).send();
            let refused = asked.await.expect("an answer");
            let (code, told) = (refused.status().as_u16(), refused.text().await.expect("text"));
            assert!(code == 503 && told.contains("isolation_not_proven"), "{code}: {told}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        drop(wall);
        std::future::pending::<()>().await;
    };
    // Its own end comes only from looking at the files, so it did not look before.
    let ended = tokio::select! {
        ended = run => ended.expect_err("there is no model"),
        () = scenario => unreachable!("it never ends"),
    };
    assert!(matches!(ended, ServeError::Verify { .. }), "{ended}");
    assert!(!is_opened.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_required_proof_of_nothing_is_refused() {
    let load: Load = Box::new(|_, _| panic!("too early"));
    let args = args("--model x --isolation Required --isolation-resolvers", free(), free());
    let error = run_until(std::future::pending(), args, Instant::now(), load).await.expect_err("refused");
    assert!(error.to_string().contains("--isolation-target"), "{error}");
}
