//! Limits hold for all replicas together, also while one is away.

use super::rig::{Authority, Options, Pod, Running, chat, key, model, send};
use crate::{
    key::Key,
    quota::{Limits, owner},
};

struct Two {
    authority: Authority,
    pod: Pod,
    first: Running,
    second: Running,
}

fn limited(limits: Limits) -> Key {
    Key { limits, ..key() }
}

async fn two(limits: Limits) -> Two {
    let authority = Authority::new();
    let pod = Pod::start(&authority, "pod").await;
    let options = |name| Options { name, ..Options::default() };
    let first = Running::start(&authority, options("gateway-0")).await;
    let second = Running::start(&authority, options("gateway-1")).await;
    let peers = vec![first.peer.clone(), second.peer.clone()];
    for running in [&first, &second] {
        running.knows(vec![limited(limits)], vec![model(&[&pod])], peers.clone());
    }
    // The owner first.
    if owner::of(&key().name, &peers, "gateway-0") == owner::Owner::Me {
        Two { authority, pod, first, second }
    } else {
        Two { authority, pod, first: second, second: first }
    }
}

const FOUR: Limits = Limits { requests_per_minute: Some(4), tokens_per_minute: None, tokens_per_day: None };

#[tokio::test]
async fn requests_are_counted_across_replicas() {
    let Two { authority, pod, first, second } = two(FOUR).await;
    for (running, remaining) in [(&first, "3"), (&second, "2"), (&second, "1"), (&first, "0")] {
        let got = send(&authority, running.address, chat()).await;
        assert_eq!(got.status, 200, "{got:?}");
        assert_eq!(got.headers["x-ratelimit-remaining-requests"], remaining);
        assert_eq!(got.headers["x-ratelimit-limit-requests"], "4");
    }
    for running in [&first, &second] {
        let got = send(&authority, running.address, chat()).await;
        assert_eq!((got.status, got.code().as_str()), (429, "rate_limit_exceeded"));
        let wait: u64 = got.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
        assert!((50..=61).contains(&wait), "{wait}");
        assert_eq!(got.headers["x-ratelimit-remaining-requests"], "0");
    }
    assert_eq!(pod.requests(), 4);
}

#[tokio::test]
async fn while_the_owner_is_away_the_share_holds() {
    let Two { authority, pod, mut first, second } = two(FOUR).await;
    first.kill().await;
    let mut taken = 0;
    for _ in 0..6 {
        let got = send(&authority, second.address, chat()).await;
        assert!(got.status == 200 || got.status == 429, "{got:?}");
        taken += u32::from(got.status == 200);
    }
    // Two of the four: the other half is the owner's.
    assert_eq!((taken, pod.requests()), (2, 2));
    assert!(second.gateway.metrics.owner_failures.get() >= 1);
}

#[tokio::test]
async fn tokens_are_settled_at_the_owner_and_written_by_it() {
    let limits = Limits { requests_per_minute: None, tokens_per_minute: None, tokens_per_day: Some(20) };
    let Two { authority, pod: _pod, first, second } = two(limits).await;
    // Each takes 7, as the pod tells.
    let got = send(&authority, second.address, chat()).await;
    assert_eq!(got.status, 200, "{got:?}");
    second.desk.send_settlements().await;
    assert_eq!(send(&authority, first.address, chat()).await.status, 200);
    let pause = std::time::Duration::from_secs(10);
    super::rig::until(|| first.gateway.metrics.in_flight.get() == 0).await;
    let due = first.desk.due(pause);
    assert_eq!((due[0].spent.requests, due[0].spent.tokens_today), (2, 14));
    assert_eq!((due[0].spent.prompt_tokens, due[0].spent.completion_tokens), (6, 8));
    assert!(second.desk.due(pause).is_empty(), "only the owner writes");
    let got = send(&authority, second.address, chat()).await;
    assert_eq!((got.status, got.headers["x-ratelimit-limit-tokens"].to_str().expect("text")), (429, "20"));
}

#[tokio::test]
async fn accounts_follow_their_owner() {
    let Two { authority, pod, first, second } = two(FOUR).await;
    assert_eq!(send(&authority, first.address, chat()).await.status, 200);
    super::rig::until(|| first.gateway.metrics.in_flight.get() == 0).await;
    // Now the other is the only one in the list.
    for running in [&first, &second] {
        running.knows(vec![limited(FOUR)], vec![model(&[&pod])], vec![second.peer.clone()]);
    }
    first.desk.send_settlements().await;
    assert_eq!(second.desk.due(std::time::Duration::ZERO)[0].spent.requests, 1);
    assert!(first.desk.due(std::time::Duration::ZERO).is_empty());
}
