//! Which pod answers: retries, waiting, and pods that are not what they say.

use std::{net::SocketAddr, time::Duration};

use super::rig::{Authority, Mode, Options, Pod, Running, chat, key, model, send, until};
use crate::{
    settings::{Hold, Protocol, Upstream},
    world::{Demand, Model},
};

async fn gateway(authority: &Authority) -> Running {
    Running::start(authority, Options::default()).await
}

/// A port at which nobody listens.
async fn nobody() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

#[tokio::test]
async fn what_was_not_begun_goes_to_another_pod() {
    for (status, code) in
        [(503, "server_draining"), (503, "model_loading"), (503, "isolation_not_proven"), (429, "queue_full")]
    {
        let authority = Authority::new();
        let (refusing, good) = (Pod::start(&authority, "pod").await, Pod::start(&authority, "pod").await);
        refusing.does(Mode::Refuse(status, code));
        let running = gateway(&authority).await;
        running.knows(vec![key()], vec![model(&[&refusing, &good])], Vec::new());
        for _ in 0..6 {
            let got = send(&authority, running.address, chat()).await;
            assert_eq!(got.status, 200, "{code}: {got:?}");
        }
        assert_eq!(good.requests(), 6);
    }
}

#[tokio::test]
async fn a_full_queue_is_told_and_a_pod_that_loads_is_waited_for() {
    let authority = Authority::new();
    let pod = Pod::start(&authority, "pod").await;
    let running = gateway(&authority).await;
    running.knows(vec![key()], vec![model(&[&pod])], Vec::new());
    pod.does(Mode::Refuse(429, "queue_full"));
    let got = send(&authority, running.address, chat()).await;
    assert_eq!((got.status, got.code().as_str(), pod.requests()), (429, "queue_full", 1));
    pod.does(Mode::Refuse(503, "model_loading"));
    let wakes = async {
        until(|| running.gateway.metrics.held.get() == 1).await;
        pod.does(Mode::Answer);
    };
    let (got, ()) = tokio::join!(send(&authority, running.address, chat()), wakes);
    assert_eq!(got.status, 200, "{got:?}");
}

#[tokio::test]
async fn what_may_have_begun_does_not() {
    let authority = Authority::new();
    let (failing, other) = (Pod::start(&authority, "pod").await, Pod::start(&authority, "pod").await);
    failing.does(Mode::Refuse(500, "generation_failed"));
    other.does(Mode::Refuse(500, "generation_failed"));
    let running = gateway(&authority).await;
    running.knows(vec![key()], vec![model(&[&failing, &other])], Vec::new());
    let got = send(&authority, running.address, chat()).await;
    assert_eq!((got.status, failing.requests() + other.requests()), (500, 1));
}

#[tokio::test]
async fn a_pod_that_is_gone_costs_no_request() {
    let authority = Authority::new();
    let good = Pod::start(&authority, "pod").await;
    let running = gateway(&authority).await;
    let mut served = model(&[&good]);
    served.endpoints.push(nobody().await);
    served.endpoints.push(nobody().await);
    running.knows(vec![key()], vec![served], Vec::new());
    for _ in 0..10 {
        assert_eq!(send(&authority, running.address, chat()).await.status, 200);
    }
}

#[tokio::test]
async fn a_killed_pod_ends_its_own_streams_only() {
    let authority = Authority::new();
    let (mut first, second) = (Pod::start(&authority, "pod").await, Pod::start(&authority, "pod").await);
    let running = gateway(&authority).await;
    running.knows(vec![key()], vec![model(&[&first])], Vec::new());
    assert_eq!(send(&authority, running.address, chat()).await.status, 200);
    first.kill().await;
    running.knows(vec![key()], vec![model(&[&first, &second])], Vec::new());
    for _ in 0..5 {
        assert_eq!(send(&authority, running.address, chat()).await.status, 200);
    }
}

#[tokio::test]
async fn a_pod_with_another_certificate_gets_nothing() {
    let authority = Authority::new();
    let foreign = Pod::start(&authority, "foreign").await;
    let options = Options { hold: Hold { seconds: 1, requests: 5 }, ..Options::default() };
    let running = Running::start(&authority, options).await;
    running.knows(vec![key()], vec![model(&[&foreign])], Vec::new());
    let got = send(&authority, running.address, chat()).await;
    assert_eq!((got.status, foreign.requests()), (503, 0), "{got:?}");
}

#[tokio::test]
async fn a_request_waits_for_a_model_that_wakes() {
    let authority = Authority::new();
    let pod = Pod::start(&authority, "pod").await;
    let running = gateway(&authority).await;
    running.knows(vec![key()], vec![model(&[])], Vec::new());
    let request = send(&authority, running.address, chat());
    let wakes = async {
        until(|| running.gateway.metrics.held.get() == 1).await;
        running.knows(vec![key()], vec![model(&[&pod])], Vec::new());
    };
    let (got, ()) = tokio::join!(request, wakes);
    assert_eq!((got.status, running.gateway.metrics.held.get()), (200, 0));
}

#[tokio::test]
async fn waiting_is_bounded_in_time_and_number() {
    let authority = Authority::new();
    let options = Options { hold: Hold { seconds: 1, requests: 2 }, ..Options::default() };
    let running = Running::start(&authority, options).await;
    running.knows(vec![key()], vec![model(&[])], Vec::new());
    let ask = || send(&authority, running.address, chat());
    let (first, second, third) = tokio::join!(ask(), ask(), async {
        until(|| running.gateway.metrics.held.get() == 2).await;
        ask().await
    });
    for got in [first, second, third] {
        assert_eq!((got.status, got.code().as_str()), (503, "model_not_ready"), "{got:?}");
        assert!(got.headers.contains_key("retry-after"));
    }
}

#[tokio::test]
async fn what_does_not_wake_is_not_waited_for() {
    let authority = Authority::new();
    let running = gateway(&authority).await;
    for (demand, code) in [(Demand::Suspended, "model_suspended"), (Demand::ScaledToZero, "model_scaled_to_zero")] {
        running.knows(vec![key()], vec![Model { demand, ..model(&[]) }], Vec::new());
        let request = send(&authority, running.address, chat());
        let got = tokio::time::timeout(Duration::from_secs(3), request).await.expect("at once");
        assert_eq!((got.status, got.code().as_str()), (503, code));
    }
}

#[tokio::test]
async fn a_renewed_certificate_costs_no_request() {
    let authority = Authority::new();
    let pod = Pod::start(&authority, "pod").await;
    let running = gateway(&authority).await;
    running.knows(vec![key()], vec![model(&[&pod])], Vec::new());
    assert_eq!(send(&authority, running.address, chat()).await.status, 200);
    let identity = crate::tls::Identity::open(&authority.path("client"), Protocol::Http2).expect("sound files");
    assert!(!identity.reload().expect("sound files"));
    let both = [rcgen::ExtendedKeyUsagePurpose::ClientAuth, rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    authority.leaf("client", "alcazar-gateway", &both);
    assert!(identity.reload().expect("sound files"));
    std::fs::write(authority.path("client").join("tls.key"), "nonsense").expect("it should be written");
    assert!(identity.reload().is_err());
    assert_eq!(identity.client().alpn_protocols.len(), 2);
}

#[tokio::test]
async fn pods_are_called_by_http1_as_well() {
    let authority = Authority::new();
    let pod = Pod::start(&authority, "pod").await;
    let upstream = Upstream { protocol: Protocol::Http1, ..Upstream::default() };
    let running = Running::start(&authority, Options { upstream, ..Options::default() }).await;
    running.knows(vec![key()], vec![model(&[&pod])], Vec::new());
    for _ in 0..5 {
        assert_eq!(send(&authority, running.address, chat()).await.status, 200);
    }
    assert_eq!(pod.requests(), 5);
}
