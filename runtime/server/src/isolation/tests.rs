//! Rounds over real sockets.

use alcazar_contract::isolation::{Protocol, TargetKind};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::*;
use crate::test_support::TestApp;

const QUICK: Pace = Pace {
    proving: Duration::from_millis(20),
    proving_wait: Duration::from_millis(200),
    watching: Duration::from_millis(20),
    watching_wait: Duration::from_millis(200),
};

fn probe(targets: &[&str]) -> Probe {
    let targets = targets.iter().map(|text| text.parse().expect("target")).collect();
    Probe::new(Given { targets, ..Given::default() }, QUICK).expect("targets")
}

#[tokio::test]
async fn an_answering_target_withholds_the_proof_until_it_is_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let target = Target::tcp(TargetKind::Canary, listener.local_addr().expect("address").to_string());
    let test = TestApp::loading();
    let mut probe = probe(&[&target.to_string(), "no-such-host.invalid:443", "127.0.0.1:1"]);
    let proof = tokio::time::timeout(Duration::from_millis(900), probe.prove(&test.app)).await;
    assert!(proof.is_err(), "it answers, so there is no proof");
    let status = test.app.status();
    assert_eq!(
        (status.reason.as_str(), status.message.contains(&target.told())),
        ("IsolationUnproven", true),
        "{}",
        status.message
    );
    assert_eq!(status.isolation.expect("told").reached, [target]);
    drop(listener);
    probe.prove(&test.app).await;
    let finding = test.app.status().isolation.expect("told");
    assert_eq!((finding.blocked_rounds, finding.reached.len(), finding.tried.len()), (3, 0, 3));
}

#[tokio::test]
async fn any_answer_to_a_query_counts_as_reached() {
    let resolver = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
    let target = Target {
        protocol: Protocol::Udp,
        ..Target::tcp(TargetKind::Dns, resolver.local_addr().expect("address").to_string())
    };
    let targets: Arc<[Target]> = vec![target.clone()].into();
    let answer = async {
        let mut query = [0; 512];
        let (length, from) = resolver.recv_from(&mut query).await.expect("a query");
        assert_eq!((length, &query[4..6]), (17, &[0, 1][..]), "one question");
        resolver.send_to(b"refused", from).await.expect("sent");
    };
    let (found, ()) = tokio::join!(reached(&targets, Duration::from_secs(5)), answer);
    assert_eq!(found, [target]);
    assert_eq!(reached(&targets, Duration::from_millis(50)).await, [], "it does not answer twice");
    drop(resolver);
    assert_eq!(reached(&targets, Duration::from_millis(50)).await, [], "nobody there");
}

#[tokio::test]
async fn silence_counts_as_blocked_and_takes_no_longer_than_its_wait() {
    // A full backlog neither answers nor refuses.
    let socket = tokio::net::TcpSocket::new_v4().expect("socket");
    socket.bind("127.0.0.1:0".parse().expect("address")).expect("bind");
    let listener = socket.listen(1).expect("listen");
    let address = listener.local_addr().expect("address");
    let mut fill = Vec::new();
    for _ in 0..8 {
        if let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(50), TcpStream::connect(address)).await {
            fill.push(stream);
        }
    }
    let started = std::time::Instant::now();
    let targets = vec![Target::tcp(TargetKind::Extra, address.to_string())];
    let found = reached(&targets.into(), Duration::from_millis(100)).await;
    assert!(found.is_empty() && started.elapsed() < Duration::from_millis(400), "{found:?} {:?}", started.elapsed());
}

#[test]
fn without_a_target_there_is_no_probe() {
    assert!(Probe::new(Given { resolvers: true, ..Given::default() }, QUICK).is_none());
}
