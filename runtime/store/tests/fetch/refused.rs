//! What is refused: nothing is sealed, and the message says what was found.

use alcazar_contract::source::{FetchSource, HttpFile};
use alcazar_store::{Fetch, verify};
use sha2::{Digest as _, Sha256};

use crate::{
    bench::{Bench, StartsLikeGguf, model},
    hub::{Fault, hex},
};

/// Fetches from a hub with one fault and expects a reason and words.
async fn check(path: &str, fault: Fault, reason: &str, words: &[&str]) {
    let bench = Bench::with_model().await;
    bench.hub.misbehave(path, fault);
    let error = bench.run(&bench.job()).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.reason().as_str(), reason, "{text}");
    for word in words {
        assert!(text.contains(word), "'{text}' lacks '{word}'");
    }
    bench.assert_nothing_sealed();
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[tokio::test]
async fn answers_of_the_source_become_reasons() {
    check("listing", Fault::Status(401, 1), "SourceUnauthorized", &["401", "Secret"]).await;
    check("listing", Fault::Status(403, 1), "SourceForbidden", &["403"]).await;
    check("listing", Fault::Status(404, 1), "SourceNotFound", &["404"]).await;
    check("model.gguf", Fault::Status(401, 1), "SourceUnauthorized", &["model.gguf"]).await;
    check("model.gguf", Fault::Status(403, 1), "SourceForbidden", &["model.gguf"]).await;
    check("model.gguf", Fault::Status(404, 1), "SourceNotFound", &["model.gguf"]).await;
    check("model.gguf", Fault::Status(500, 99), "SourceUnreachable", &["500", "4 attempts"]).await;
}

#[tokio::test]
async fn wrong_bytes_are_refused_with_both_digests() {
    let right = sha256(&model(200_000));
    let other: Vec<u8> = model(200_000).iter().map(|byte| byte ^ 1).collect();
    check("model.gguf", Fault::OtherBytes, "DigestMismatch", &[&right, &sha256(&other)]).await;
    let cut = sha256(&model(150_000));
    check("model.gguf", Fault::Short(150_000), "DigestMismatch", &[&right, &cut, "150000", "cut off"]).await;
    let page = sha256(b"<!doctype html><title>Sign in</title>");
    check("model.gguf", Fault::Html, "InvalidModel", &[&right, &page, "HTML"]).await;
    check("listing", Fault::Html, "SourceUnreachable", &["no hub's answer"]).await;
}

#[tokio::test]
async fn a_download_that_is_always_cut_names_what_arrived() {
    let (expected, arrived) = (sha256(&model(200_000)), sha256(&model(100_000)));
    let words = [expected.as_str(), &arrived, "100000 of 200000 bytes", "4 attempts"];
    check("model.gguf", Fault::CutWhole(100_000), "SourceUnreachable", &words).await;
    check("model.gguf", Fault::Break(0, 9999), "SourceUnreachable", &["4 attempts"]).await;
}

#[tokio::test]
async fn redirects_into_the_inside_are_not_followed() {
    for target in [
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "http://10.0.0.1/x",
        "https://[::1]/x",
        "https://0.0.0.0/x",
        "https://100.64.0.1/x",
        "https://[fe80::1]/x",
        "https://[::ffff:169.254.169.254]/latest/meta-data",
        "https://kubernetes.default.svc/x",
        "http://example.com/x",
    ] {
        check("model.gguf", Fault::Redirect(target.to_owned()), "SourceNotAllowed", &[]).await;
    }
    let bench = Bench::with_model().await;
    bench.hub.misbehave("model.gguf", Fault::Redirect(format!("{}/plain/model.gguf", bench.hub.base())));
    bench.run(&bench.job()).await.expect("a redirect to an allowed host is followed");
    let bench = Bench::with_model().await;
    bench.hub.misbehave("model.gguf", Fault::Redirect("model.gguf".to_owned()));
    assert!(bench.run(&bench.job()).await.unwrap_err().to_string().contains("redirects"));
}

#[tokio::test]
async fn a_source_outside_the_rules_sees_no_request() {
    let bench = Bench::with_model().await;
    let job = Fetch { allow_hosts: vec![], ..bench.job() };
    assert_eq!(bench.run(&job).await.unwrap_err().reason().as_str(), "SourceNotAllowed");
    assert!(bench.hub.seen.lock().unwrap().is_empty());
    let by_name = bench.hub.base().replace("127.0.0.1", "localhost");
    let source = FetchSource::Http { files: vec![HttpFile { url: by_name, sha256: "0".repeat(64), path: "x".into() }] };
    let job = Fetch { allow_hosts: vec!["example.com".into()], ..bench.job_of(source) };
    assert_eq!(bench.run(&job).await.unwrap_err().reason().as_str(), "SourceNotAllowed");
}

#[tokio::test]
async fn a_host_that_does_not_resolve_or_listen_is_told() {
    let bench = Bench::with_model().await;
    let file = |url: &str| FetchSource::Http {
        files: vec![HttpFile { url: url.to_owned(), sha256: "0".repeat(64), path: String::new() }],
    };
    let error = bench.run(&bench.job_of(file("https://no-such-host.invalid/x.gguf"))).await.unwrap_err();
    assert_eq!(error.reason().as_str(), "SourceNotResolved", "{error}");
    let error = bench.run(&bench.job_of(file("http://127.0.0.1:1/x.gguf"))).await.unwrap_err();
    assert_eq!(error.reason().as_str(), "SourceUnreachable", "{error}");
}

#[tokio::test]
async fn what_is_no_model_is_not_kept() {
    let bench = Bench::with(&[("model.gguf", b"JUNK, but with the right digest")]).await;
    let error = bench.run(&bench.job()).await.unwrap_err();
    assert_eq!(error.reason().as_str(), "InvalidModel");
    assert!(bench.on_volume().is_empty(), "{:?}", bench.on_volume());
}

#[tokio::test]
async fn another_model_than_approved_is_not_sealed() {
    let bench = Bench::with_model().await;
    let wrong = format!("sha256:{}", "0".repeat(64));
    let job = Fetch { expect_digest: Some(wrong.clone()), ..bench.job() };
    let error = bench.run(&job).await.unwrap_err();
    assert_eq!(error.reason().as_str(), "DigestMismatch");
    assert!(error.to_string().contains(&wrong));
    bench.assert_nothing_sealed();
    bench.hub.behave();
    let facts = bench.run(&bench.job()).await.unwrap();
    assert_eq!(bench.hub.n_seen("model.gguf"), 0, "what was brought is kept for the mended digest");
    let root = bench.volume.path().join(&facts.path);
    let error = verify(
        &root,
        Some(&wrong),
        &alcazar_store::Protection::default(),
        std::sync::Arc::new(StartsLikeGguf),
        &bench.progress,
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains(&wrong) && error.to_string().contains(&facts.digest), "{error}");
}

#[tokio::test]
async fn two_fetches_on_one_volume_wait_for_each_other() {
    let bench = Bench::with_model().await;
    let job = bench.job();
    let (first, second) = tokio::join!(bench.run(&job), bench.run(&job));
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(bench.hub.n_seen("listing"), 1);
}
