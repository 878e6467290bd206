//! Models that are encrypted on their volume, and models that must be signed.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use age::secrecy::ExposeSecret as _;
use alcazar_contract::source::{FetchSource, HttpFile};
use alcazar_signing::{PrivateKey, Resource, SIGNATURE_FILE, Trust, sign};
use alcazar_store::{Fetch, FormatsInspector, Keys, Progress, Protection, fetch, prove, verify};
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use sha2::{Digest as _, Sha256};

use crate::{
    bench::{Bench, StartsLikeGguf, model},
    hub::{Fault, hex},
};

fn identity() -> String {
    age::x25519::Identity::generate().to_string().expose_secret().to_owned()
}

fn encrypted(job: Fetch, identity: &str, previous: &str) -> Fetch {
    let keys = Some(Keys::parse(identity, previous).unwrap());
    Fetch { protection: Protection { keys, ..job.protection.clone() }, ..job }
}

/// Every file on the volume, by its path.
fn everything(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut all, mut directories) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                all.insert(path.strip_prefix(root).unwrap().display().to_string(), fs::read(path).unwrap());
            }
        }
    }
    all
}

/// Whether any sixteen bytes of a plaintext, wherever they are cut, lie somewhere on the volume.
fn assert_nothing_readable(root: &Path, plain: &[u8]) {
    for (name, bytes) in everything(root) {
        let pieces: std::collections::HashSet<&[u8]> = plain.chunks_exact(16).collect();
        let found = bytes.windows(16).find(|window| pieces.contains(window));
        assert!(found.is_none(), "{name} has {:?}", found.map(String::from_utf8_lossy));
    }
}

#[tokio::test]
async fn an_encrypted_model_has_the_digest_of_the_open_one_and_nothing_can_be_read() {
    let (open, closed) = (Bench::with_model().await, Bench::with_model().await);
    let key = identity();
    let expected = open.run(&open.job()).await.unwrap();
    let job = encrypted(closed.job(), &key, "");
    let facts = closed.run(&job).await.unwrap();
    assert_eq!((&facts.digest, facts.size_bytes), (&expected.digest, expected.size_bytes));
    assert_eq!(facts.encryption.as_ref().unwrap().recipient, job.protection.keys.as_ref().unwrap().recipient());
    assert_nothing_readable(closed.volume.path(), &model(200_000));
    let name = facts.path.clone();
    assert_eq!(closed.on_volume(), [name.clone(), format!("{name}.age"), format!("{name}.json")]);
    // Sealed and known again, through the key only.
    let n_before = closed.hub.n_seen("model.gguf");
    assert_eq!(closed.run(&job).await.unwrap(), facts);
    assert_eq!(closed.hub.n_seen("model.gguf"), n_before);
    let stranger = closed.run(&encrypted(closed.job(), &identity(), "")).await.unwrap_err();
    assert_eq!(stranger.reason().as_str(), "KeyInvalid");
    let root = closed.volume.path().join(&facts.path);
    let (manifest, _) = prove(&root, &job.protection, &Progress::default()).await.unwrap();
    assert_eq!(manifest.digest(), expected.digest);
    let keyless = prove(&root, &Protection::default(), &Progress::default()).await.unwrap_err();
    assert_eq!(keyless.reason().as_str(), "KeyMissing");
}

#[tokio::test]
async fn every_way_of_transfer_encrypts() {
    for (fault, size) in [
        (Fault::NoRanges, 200_000),
        (Fault::NoLength, 200_000),
        (Fault::NoLength, 131_072),
        (Fault::Break(5000, 2), 200_000),
        (Fault::Slow(Duration::from_millis(1)), 70_000),
    ] {
        let bench = Bench::with(&[("model.gguf", &model(size))]).await;
        let told = format!("{fault:?} {size}");
        bench.hub.misbehave("model.gguf", fault);
        let job = encrypted(bench.job(), &identity(), "");
        let facts = bench.run(&job).await.unwrap_or_else(|error| panic!("{told}: {error}"));
        let root = bench.volume.path().join(&facts.path);
        let (manifest, _) = prove(&root, &job.protection, &Progress::default()).await.unwrap();
        assert_eq!(manifest.files()[0].sha256, hex(&Sha256::digest(model(size))), "{told}");
    }
}

#[tokio::test]
async fn a_killed_fetch_goes_on_and_never_left_anything_readable() {
    let plain = model(2_000_000);
    let bench = Bench::with(&[("model.gguf", &plain)]).await;
    let job = encrypted(Fetch { chunk_bytes: 128 * 1024, ..bench.job() }, &identity(), "");
    bench.hub.misbehave("model.gguf", Fault::Slow(Duration::from_millis(8)));
    tokio::select! {
        outcome = bench.run(&job) => panic!("should still run: {outcome:?}"),
        () = async {
            while bench.progress.snapshot().done_bytes < 1_000_000 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } => {}
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_nothing_readable(bench.volume.path(), &plain);
    bench.hub.behave();
    let facts = bench.run(&job).await.unwrap();
    assert_eq!(facts.size_bytes, 2_000_000);
    let seen = bench.hub.seen.lock().unwrap();
    let asked: usize = seen.iter().filter_map(|seen| seen.range).map(|(start, last)| last - start + 1).sum();
    assert!(asked < 2_700_000, "{asked} bytes were asked for in both attempts");
}

#[tokio::test]
async fn a_new_key_opens_the_old_files_and_then_alone() {
    let bench = Bench::with_model().await;
    let (old, new) = (identity(), identity());
    let facts = bench.run(&encrypted(bench.job(), &old, "")).await.unwrap();
    let files = |root: &Path| {
        let mut all = everything(root);
        all.retain(|name, _| name.contains('/'));
        all
    };
    let before = files(bench.volume.path());
    let rotated = bench.run(&encrypted(bench.job(), &new, &old)).await.unwrap();
    assert_eq!(rotated.digest, facts.digest);
    assert_ne!(rotated.encryption, facts.encryption);
    assert!(files(bench.volume.path()) == before, "not a byte of the weights was written");
    assert_eq!(bench.run(&encrypted(bench.job(), &new, "")).await.unwrap().digest, facts.digest);
    assert!(bench.run(&encrypted(bench.job(), &old, "")).await.is_err());
}

#[tokio::test]
async fn a_model_is_encrypted_and_opened_again_as_the_spec_has_it() {
    let bench = Bench::with_model().await;
    let key = identity();
    bench.run(&bench.job()).await.unwrap();
    bench.run(&encrypted(bench.job(), &key, "")).await.unwrap();
    assert_nothing_readable(bench.volume.path(), &model(200_000));
    let facts = bench.run(&bench.job()).await.unwrap();
    bench.assert_sealed(&facts, "model.gguf", &model(200_000));
}

#[tokio::test]
async fn what_is_converted_is_encrypted_too() {
    let fixture = |path: &str| fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap();
    let files = [
        ("config.json", fixture("models/testdata/llama/config.json")),
        ("tokenizer.json", fixture("models/testdata/llama/tokenizer.json")),
        ("pytorch_model.bin", fixture("formats/testdata/pytorch/llama.bin")),
    ];
    let offered: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let (open, closed) = (Bench::with(&offered).await, Bench::with(&offered).await);
    let expected = fetch(&open.job(), Arc::new(FormatsInspector), &open.progress).await.unwrap();
    let job = encrypted(closed.job(), &identity(), "");
    let facts = fetch(&job, Arc::new(FormatsInspector), &closed.progress).await.unwrap();
    assert_eq!(facts.digest, expected.digest);
    let tokenizer = fixture("models/testdata/llama/tokenizer.json");
    assert_nothing_readable(closed.volume.path(), &tokenizer);
    let root = closed.volume.path().join(&facts.path);
    let (_, verified) = prove(&root, &job.protection, &Progress::default()).await.unwrap();
    let opened = alcazar_formats::open_with(&verified, &root).unwrap();
    assert_eq!(opened.facts().architecture, "llama");
}

fn signer(seed: u8) -> PrivateKey {
    let pem = p256::SecretKey::from_slice(&[seed; 32]).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
    PrivateKey::from_pem(&pem).unwrap()
}

fn signature(files: &[(&str, &[u8])], key: &PrivateKey) -> Vec<u8> {
    let resource =
        |(name, bytes): &(&str, &[u8])| Resource { name: (*name).to_owned(), sha256: hex(&Sha256::digest(bytes)) };
    sign("m", &files.iter().map(resource).collect::<Vec<_>>(), key, None).unwrap().into_bytes()
}

fn trusting(job: Fetch, key: &PrivateKey) -> Fetch {
    let trust = Some(Trust::Key(key.public()));
    Fetch { protection: Protection { trust, ..job.protection.clone() }, ..job }
}

#[tokio::test]
async fn a_signed_model_is_sealed_and_stays_proven() {
    let bytes = model(200_000);
    let text = signature(&[("model.gguf", &bytes), ("README.md", b"# hi")], &signer(1));
    let bench = Bench::with(&[("model.gguf", &bytes), ("README.md", b"# hi"), (SIGNATURE_FILE, &text)]).await;
    let unsigned = Bench::with_model().await;
    let job = trusting(bench.job(), &signer(1));
    let facts = bench.run(&job).await.unwrap();
    assert_eq!(facts.digest, unsigned.run(&unsigned.job()).await.unwrap().digest, "a signature is no part of a model");
    assert_eq!(facts.signature.as_ref().unwrap().key_id, Some(signer(1).public().id().unwrap()));
    assert_eq!(fs::read(bench.volume.path().join(format!("{}.sig", facts.path))).unwrap(), text);
    let n_before = bench.hub.n_seen("model.gguf");
    assert_eq!(bench.run(&job).await.unwrap(), facts);
    assert_eq!(bench.hub.n_seen("model.gguf"), n_before, "known by the signature beside it");
    let root = bench.volume.path().join(&facts.path);
    let inspector = || Arc::new(StartsLikeGguf);
    verify(&root, None, &job.protection, inspector(), &Progress::default()).await.unwrap();
    let other = Protection { trust: Some(Trust::Key(signer(2).public())), keys: None };
    let refused = verify(&root, None, &other, inspector(), &Progress::default()).await.unwrap_err();
    assert_eq!(refused.reason().as_str(), "SignatureInvalid");
}

#[tokio::test]
async fn an_unsound_signature_is_told_before_the_weights_are_brought() {
    let bytes = model(200_000);
    let sound = signature(&[("model.gguf", &bytes)], &signer(1));
    let by_another = signature(&[("model.gguf", &bytes)], &signer(2));
    let more: [(&str, &[u8]); 3] = [
        ("model.gguf", &bytes),
        ("adapters/a/adapter_config.json", b"{}"),
        ("adapters/a/adapter_model.safetensors", b"x"),
    ];
    let with_more = signature(&more, &signer(1));
    for (text, reason) in [
        (None, "SignatureMissing"),
        (Some(by_another.as_slice()), "SignatureInvalid"),
        (Some(&sound[..sound.len() / 2]), "SignatureInvalid"),
        (Some(b"<html>".as_slice()), "SignatureInvalid"),
        // A signed file that the source leaves out.
        (Some(with_more.as_slice()), "SignatureInvalid"),
    ] {
        let mut files = vec![("model.gguf", bytes.as_slice())];
        files.extend(text.map(|text| (SIGNATURE_FILE, text)));
        let bench = Bench::with(&files).await;
        let error = bench.run(&trusting(bench.job(), &signer(1))).await.unwrap_err();
        assert_eq!(error.reason().as_str(), reason, "{error}");
        assert_eq!(bench.hub.n_seen("model.gguf"), 0, "{reason}");
        bench.assert_nothing_sealed();
    }
}

#[tokio::test]
async fn files_that_are_not_what_was_signed_are_not_sealed() {
    let (bytes, mut other) = (model(200_000), model(200_000));
    other[100_000] ^= 1;
    let text = signature(&[("model.gguf", &other)], &signer(1));
    let bench = Bench::with(&[("model.gguf", &bytes), (SIGNATURE_FILE, &text)]).await;
    let error = bench.run(&trusting(bench.job(), &signer(1))).await.unwrap_err();
    assert_eq!(error.reason().as_str(), "SignatureInvalid", "{error}");
    assert!(bench.on_volume().is_empty(), "the room is given back");
}

#[tokio::test]
async fn a_signature_may_be_one_of_the_files_of_an_http_source() {
    let bytes = model(100_000);
    let text = signature(&[("model.gguf", &bytes)], &signer(1));
    let bench = Bench::with(&[("model.gguf", &bytes), (SIGNATURE_FILE, &text)]).await;
    let file = |name: &str, bytes: &[u8]| HttpFile {
        url: format!("{}/plain/{name}", bench.hub.base()),
        sha256: hex(&Sha256::digest(bytes)),
        path: String::new(),
    };
    let files = vec![file("model.gguf", &bytes), file(SIGNATURE_FILE, &text)];
    let job = trusting(bench.job_of(FetchSource::Http { files }), &signer(1));
    let facts = encrypted(job, &identity(), "");
    let facts = bench.run(&facts).await.unwrap();
    assert!(facts.signature.is_some() && facts.encryption.is_some());
}
