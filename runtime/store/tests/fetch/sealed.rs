//! What ends sealed.

use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use alcazar_contract::source::{FetchSource, HttpFile};
use alcazar_store::{Credentials, Fetch, digest_of, verify};
use sha2::{Digest as _, Sha256};

use crate::{
    bench::{Bench, StartsLikeGguf, model},
    hub::{Fault, hex},
};

#[tokio::test]
async fn a_repository_is_fetched_in_ranges_and_sealed_read_only() {
    let bench = Bench::with_model().await;
    let facts = bench.run(&bench.job()).await.unwrap();
    bench.assert_sealed(&facts, "model.gguf", &model(200_000));
    assert_eq!((facts.size_bytes, facts.format.as_str(), facts.architecture.as_str()), (200_000, "GGUF", "llama"));
    let line = format!("{}  200000  model.gguf\n", hex(&Sha256::digest(model(200_000))));
    assert_eq!(facts.digest, format!("sha256:{}", hex(&Sha256::digest(line))));
    assert_eq!(bench.hub.n_seen("model.gguf"), 13, "one request per range");
    assert_eq!(bench.hub.n_seen("README.md"), 0);
    let mode = |path: &str| std::fs::metadata(bench.volume.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&facts.path), mode(&format!("{}/model.gguf", facts.path))), (0o555, 0o444));
    let status = bench.progress.snapshot();
    assert_eq!((status.done_bytes, status.total_bytes), (200_000, 200_000));
}

#[tokio::test]
async fn a_second_fetch_only_verifies() {
    let bench = Bench::with_model().await;
    let first = bench.run(&bench.job()).await.unwrap();
    bench.hub.behave();
    assert_eq!(bench.run(&bench.job()).await.unwrap(), first);
    let expecting = Fetch { expect_digest: Some(first.digest.clone()), ..bench.job() };
    assert_eq!(bench.run(&expecting).await.unwrap(), first);
    assert!(bench.hub.seen.lock().unwrap().is_empty(), "nothing is asked for");
}

#[tokio::test]
async fn a_damaged_sealed_model_is_fetched_again() {
    let bench = Bench::with_model().await;
    let first = bench.run(&bench.job()).await.unwrap();
    let file = bench.volume.path().join(&first.path).join("model.gguf");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = model(200_000);
    bytes[100_000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(bench.run(&bench.job()).await.unwrap(), first);
    bench.assert_sealed(&first, "model.gguf", &model(200_000));
}

#[tokio::test]
async fn plain_files_with_digests_are_fetched_under_their_paths() {
    let (weights, config) = (model(50_000), b"{}".to_vec());
    let bench = Bench::with(&[("m.gguf", &weights), ("config.json", &config), ("empty", b"")]).await;
    let file = |name: &str, path: &str, bytes: &[u8]| HttpFile {
        url: format!("{}/plain/{name}", bench.hub.base()),
        sha256: hex(&Sha256::digest(bytes)),
        path: path.to_owned(),
    };
    let files = vec![file("m.gguf", "", &weights), file("config.json", "sub/c.json", &config), file("empty", "", b"")];
    let facts = bench.run(&bench.job_of(FetchSource::Http { files })).await.unwrap();
    bench.assert_sealed(&facts, "m.gguf", &weights);
    let root = bench.volume.path().join(&facts.path);
    assert_eq!(std::fs::read(root.join("sub/c.json")).unwrap(), config);
    assert_eq!(std::fs::read(root.join("empty")).unwrap(), b"");
    let verified = verify(
        &root,
        Some(&facts.digest),
        &alcazar_store::Protection::default(),
        std::sync::Arc::new(StartsLikeGguf),
        &bench.progress,
    )
    .await
    .unwrap();
    assert_eq!((verified.digest.as_str(), verified.path.as_str()), (facts.digest.as_str(), ""));
    assert_eq!(digest_of(&root, &bench.progress).await.unwrap().files().len(), 3);
}

#[tokio::test]
async fn a_server_without_ranges_is_read_whole() {
    for fault in [Fault::NoRanges, Fault::NoLength] {
        let bench = Bench::with_model().await;
        bench.hub.misbehave("model.gguf", fault);
        let facts = bench.run(&bench.job()).await.unwrap();
        bench.assert_sealed(&facts, "model.gguf", &model(200_000));
        assert_eq!(bench.hub.n_seen("model.gguf"), 1);
    }
}

#[tokio::test]
async fn errors_that_pass_are_waited_out() {
    for fault in
        [Fault::Status(500, 2), Fault::Status(429, 1), Fault::Break(5000, 7), Fault::Slow(Duration::from_millis(1))]
    {
        let bench = Bench::with_model().await;
        bench.hub.misbehave("model.gguf", fault);
        bench.hub.misbehave("listing", Fault::Status(503, 2));
        let facts = bench.run(&bench.job()).await.unwrap();
        bench.assert_sealed(&facts, "model.gguf", &model(200_000));
    }
}

#[tokio::test]
async fn an_etag_that_changes_midway_starts_the_file_anew() {
    for times in [2, 5, 1000] {
        let bench = Bench::with_model().await;
        bench.hub.misbehave("model.gguf", Fault::ChangingEtag(times));
        let facts = bench.run(&bench.job()).await.unwrap();
        bench.assert_sealed(&facts, "model.gguf", &model(200_000));
    }
}

#[tokio::test]
async fn credentials_go_to_the_source_only() {
    let bench = Bench::with_model().await;
    let other = Bench::with_model().await;
    bench.hub.misbehave("model.gguf", Fault::Redirect(format!("{}/plain/model.gguf", other.hub.base())));
    let job = Fetch { credentials: Some(Credentials::Token("hf_secret".into())), ..bench.job() };
    bench.run(&job).await.unwrap();
    let seen = bench.hub.seen.lock().unwrap();
    assert!(seen.iter().all(|seen| seen.authorization.as_deref() == Some("Bearer hf_secret")));
    assert_eq!(seen.iter().filter(|seen| seen.path == "model.gguf").count(), 1, "the redirect is remembered");
    let elsewhere = other.hub.seen.lock().unwrap();
    assert!(elsewhere.len() > 5 && elsewhere.iter().all(|seen| seen.authorization.is_none()));
}
