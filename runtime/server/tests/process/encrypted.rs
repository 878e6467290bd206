//! Encrypted weights: served to who has the key, with the same answers; nothing to anybody else, nor when one chunk of
//! them was touched.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use age::secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{bench::Bench, program::Hub, tiny};

/// A file's nonce, which its first chunk follows.
const NONCE: usize = 16;
/// A sealed chunk.
const CHUNK: usize = (64 << 10) + 16;

/// A key as its Secret is mounted; gives the folder.
fn key(bench: &Bench, name: &str) -> String {
    let identity = age::x25519::Identity::generate().to_string();
    let dir = bench.path(name);
    fs::create_dir(&dir).unwrap();
    fs::write(format!("{dir}/key"), format!("# made by a test\n{}\n", identity.expose_secret())).unwrap();
    dir
}

/// What a fetch sealed: its folder and its digest.
async fn sealed(bench: &Bench, model: &[u8], more: &[&str]) -> (String, String) {
    let hub = Hub::start(model.to_owned()).await;
    assert!(bench.fetch(&hub, more).wait().success());
    let sealed = bench.last_word()["sealed"].clone();
    let text = |name: &str| sealed[name].as_str().unwrap().to_owned();
    (format!("{}/{}", bench.path("weights"), text("path")), text("digest"))
}

/// The same question of every model.
async fn answer(bench: &Bench, root: &str, more: &[&str]) -> Value {
    let mut program = bench.serve(root, more);
    let listening = program.logged("listening");
    program.logged("serving");
    let body = json!({"model": "tiny", "prompt": "hello", "max_tokens": 24, "temperature": 0, "ignore_eos": true});
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/v1/completions", listening["api"].as_str().unwrap());
    let answer = client.post(url).body(body.to_string()).send().await.unwrap().text().await.unwrap();
    program.terminate();
    assert!(program.wait().success());
    serde_json::from_str::<Value>(&answer).unwrap()["choices"][0]["text"].clone()
}

/// Why a model is not served.
fn refused(bench: &Bench, root: &str, more: &[&str]) -> (String, String) {
    assert_eq!(bench.serve(root, more).wait().code(), Some(1));
    let failed = &bench.last_word()["failed"];
    let text = |name: &str| failed[name].as_str().unwrap().to_owned();
    (text("reason"), text("message"))
}

fn files(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_model_answers_as_the_open_one_and_its_volume_yields_nothing() {
    let (open, closed) = (Bench::new(), Bench::new());
    let model = tiny::gguf(8);
    let (root, digest) = sealed(&open, &model, &[]).await;
    let expected = answer(&open, &root, &["--digest", &digest]).await;
    let key_dir = key(&closed, "key");
    let with_key = ["--encryption-key-dir", key_dir.as_str()];
    let (root, found) = sealed(&closed, &model, &with_key).await;
    assert_eq!(found, digest);
    assert_eq!(answer(&closed, &root, &[&with_key[..], &["--digest", &digest]].concat()).await, expected);
    assert_eq!(answer(&closed, &root, &with_key).await, expected, "without a digest too");

    let pieces: HashSet<&[u8]> = model.chunks_exact(16).collect();
    for path in files(Path::new(&closed.path("weights"))) {
        let readable = fs::read(&path).unwrap().windows(16).any(|window| pieces.contains(window));
        assert!(!readable, "{}", path.display());
    }
    for more in [&["--digest", &digest][..], &[]] {
        let code = closed.serve(&root, more).wait().code();
        assert_eq!(code, Some(1), "who has the volume and no key serves nothing");
    }
    assert_eq!(refused(&closed, &root, &["--digest", &digest]).0, "KeyMissing");
    assert_ne!(crate::program::Program::start(&["inspect", &root]).wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_told_before_a_file_is_opened() {
    let bench = Bench::new();
    let (right, wrong) = (key(&bench, "right"), key(&bench, "wrong"));
    let (root, _) = sealed(&bench, &tiny::gguf(1), &["--encryption-key-dir", &right]).await;
    // What is not there cannot have been opened.
    fs::remove_file(format!("{root}/tiny.gguf")).unwrap();
    let (reason, message) = refused(&bench, &root, &["--encryption-key-dir", &wrong]);
    assert_eq!(reason, "KeyInvalid", "{message}");
    assert!(message.contains("were not encrypted for age1") && message.contains("previous"), "{message}");
    fs::write(format!("{wrong}/key"), "AGE-SECRET-KEY-1NOTHING").unwrap();
    let (reason, message) = refused(&bench, &root, &["--encryption-key-dir", &wrong]);
    assert_eq!((reason.as_str(), message.contains("NOTHING")), ("KeyInvalid", false), "{message}");
    fs::remove_file(format!("{wrong}/key")).unwrap();
    assert_eq!(refused(&bench, &root, &["--encryption-key-dir", &wrong]).0, "KeyMissing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn touched_chunks_are_refused() {
    let bench = Bench::new();
    let key_dir = key(&bench, "key");
    let with_key = ["--encryption-key-dir", key_dir.as_str()];
    let model = tiny::gguf(8);
    let (root, _) = sealed(&bench, &model, &with_key).await;
    let path = format!("{root}/tiny.gguf");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let sound = fs::read(&path).unwrap();
    // The same weights for the same holder, sealed another time.
    let other = Bench::new();
    let (foreign, _) = sealed(&other, &model, &with_key).await;
    let foreign = fs::read(format!("{foreign}/tiny.gguf")).unwrap();
    let chunk = |n: usize| NONCE + n * CHUNK;
    assert!(sound.len() > chunk(3), "there should be chunks to touch");
    let parts = |parts: &[&[u8]]| parts.concat();
    let mut flipped = sound.clone();
    flipped[chunk(1) + 5] ^= 1;
    for (what, bytes) in [
        ("a flipped bit", flipped),
        ("cut off between chunks", sound[..chunk(2)].to_owned()),
        ("cut off within a chunk", sound[..chunk(2) + 100].to_owned()),
        ("longer", parts(&[&sound, b"x"])),
        (
            "swapped chunks",
            parts(&[&sound[..NONCE], &sound[chunk(1)..chunk(2)], &sound[NONCE..chunk(1)], &sound[chunk(2)..]]),
        ),
        ("a chunk twice", parts(&[&sound[..chunk(1)], &sound[NONCE..chunk(1)], &sound[chunk(2)..]])),
        ("a chunk left out", parts(&[&sound[..chunk(1)], &sound[chunk(2)..]])),
        ("a chunk of another file", parts(&[&sound[..chunk(1)], &foreign[chunk(1)..chunk(2)], &sound[chunk(2)..]])),
        ("another file", foreign.clone()),
        ("nothing", vec![]),
    ] {
        fs::write(&path, &bytes).unwrap();
        let (reason, message) = refused(&bench, &root, &with_key);
        assert_eq!(reason, "DigestMismatch", "{what}: {message}");
        assert!(message.contains("fetch the model again"), "{what}: {message}");
    }
    fs::write(&path, &sound).unwrap();
    answer(&bench, &root, &with_key).await;
}
