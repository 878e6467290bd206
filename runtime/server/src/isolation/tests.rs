//! The judgement as a table, and rounds over real sockets.

use std::time::Duration;

use proptest::prelude::*;
use tokio::net::TcpListener;

use super::*;
use crate::test_support::TestApp;

const QUICK: Pace = Pace {
    proving: Duration::from_millis(20),
    proving_wait: Duration::from_millis(200),
    watching: Duration::from_millis(20),
    watching_wait: Duration::from_millis(200),
};

proptest! {
    #[test]
    fn only_three_blocked_rounds_in_a_row_are_a_proof(rounds in proptest::collection::vec(any::<bool>(), 0..40)) {
        let mut judge = Judge::default();
        for (n, reached) in rounds.iter().enumerate() {
            judge.round(if *reached { vec!["a:1".to_owned()] } else { vec![] });
            let last = &rounds[(n + 1).saturating_sub(3)..=n];
            prop_assert_eq!(judge.is_proven(), last.len() == 3 && last.iter().all(|reached| !reached));
        }
    }
}

#[test]
fn a_reached_target_is_told_after_a_moment_and_at_once_after_a_proof() {
    let (target, mut judge) = (vec!["a:1".to_owned()], Judge::default());
    for _ in 1..SETTLING_ROUNDS {
        judge.round(target.clone());
        assert!(judge.told().is_empty() && !judge.is_proven());
    }
    judge.round(target.clone());
    assert_eq!(judge.told(), target);
    let mut proven = Judge::default();
    (0..WANTED_ROUNDS).for_each(|_| proven.round(Vec::new()));
    proven.round(target.clone());
    assert_eq!(proven.told(), target);
}

#[tokio::test]
async fn an_answering_target_withholds_the_proof_until_it_is_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let target = listener.local_addr().expect("address").to_string();
    let test = TestApp::loading();
    let targets = vec![target.clone(), "no-such-host.invalid:443".to_owned(), "127.0.0.1:1".to_owned()];
    let mut probe = Probe::new(targets, QUICK);
    let proof = tokio::time::timeout(Duration::from_millis(900), probe.prove(&test.app)).await;
    assert!(proof.is_err(), "it answers, so there is no proof");
    let status = test.app.status();
    assert_eq!(
        (status.reason.as_str(), status.message.contains(&target)),
        ("IsolationUnproven", true),
        "{}",
        status.message
    );
    assert_eq!(status.isolation.expect("told").reached, [target]);
    drop(listener);
    probe.prove(&test.app).await;
    let finding = test.app.status().isolation.expect("told");
    assert_eq!((finding.blocked_rounds, finding.reached.len()), (WANTED_ROUNDS, 0));
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
    let found = reached(&vec![address.to_string()].into(), Duration::from_millis(100)).await;
    assert!(found.is_empty() && started.elapsed() < Duration::from_millis(400), "{found:?} {:?}", started.elapsed());
}
