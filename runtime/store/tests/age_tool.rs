//! Both ways with the reference implementation of the format, `age`: it decrypts what is sealed here, and what it
//! encrypts is opened here. `tests/encryption/run.sh` installs it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use alcazar_contract::source::{FetchSource, HttpFile};
use alcazar_formats::Access;
use alcazar_store::{Fetch, FetchError, Inspect, Inspected, Keys, Progress, Protection, fetch, prove};
use axum::{Router, routing::get};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const CHUNK: usize = 64 << 10;
/// Around the ends of chunks, and beyond what one read of ours takes.
const SIZES: [usize; 7] = [1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 50 * CHUNK + 7];

/// Where the script has installed the tool: a test that was asked for must not be skipped in silence.
fn tool(name: &str) -> Command {
    let dir = std::env::var_os("ALCAZAR_AGE");
    let dir = PathBuf::from(dir.expect("ALCAZAR_AGE should name a folder: run this by `make test-encryption`"));
    Command::new(dir.join(name))
}

/// Its output, or what it complains of.
fn run(command: &mut Command, input: &[u8]) -> Result<Vec<u8>, String> {
    let (piped, told) = (Stdio::piped, "the tool should run");
    let mut child = command.stdin(piped()).stdout(piped()).stderr(piped()).spawn().expect(told);
    let mut stdin = child.stdin.take().expect(told);
    let input = input.to_owned();
    // It may stop reading when it refuses.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect(told);
    writer.join().expect(told);
    if output.status.success() { Ok(output.stdout) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// An identity file that the tool made.
fn identity(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    run(tool("age-keygen").arg("-o").arg(&path), &[]).expect("a key");
    path
}

fn recipient(identity: &Path) -> String {
    let text = run(tool("age-keygen").arg("-y").arg(identity), &[]).expect("a recipient");
    String::from_utf8(text).expect("text").trim().to_owned()
}

/// As the operator mounts a Secret whose entries are the tool's files.
fn protection(current: &Path, previous: Option<&Path>) -> Protection {
    let read = |path: &Path| fs::read_to_string(path).expect("an identity file");
    let keys = Keys::parse(&read(current), &previous.map(read).unwrap_or_default()).expect("an identity");
    Protection { keys: Some(keys), ..Protection::default() }
}

fn bytes(n: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(n as u64);
    std::iter::repeat_with(|| random.u8(..)).take(n).collect()
}

struct Anything;

impl Inspect for Anything {
    fn inspect(&self, _: &dyn Access, _: &Path) -> Result<Inspected, FetchError> {
        Ok(Inspected::default())
    }
}

/// A model of files with these sizes, fetched and sealed; gives its folder.
async fn seal(volume: &Path, sizes: &[usize], protection: &Protection) -> PathBuf {
    let name = |size: &usize| format!("{size}.gguf");
    let router = sizes.iter().fold(Router::new(), |router, size| {
        let content = bytes(*size);
        router.route(&format!("/{}", name(size)), get(async move || content))
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let mut served = tokio::task::JoinSet::new();
    served.spawn(async move { axum::serve(listener, router).await });
    let file = |size: &usize| HttpFile {
        url: format!("http://{address}/{}", name(size)),
        sha256: format!("{:x}", Sha256::digest(bytes(*size))),
        path: String::new(),
    };
    let files = sizes.iter().map(file).collect();
    fs::create_dir_all(volume).expect("a folder");
    let mut job = Fetch::new(FetchSource::Http { files }, volume.to_owned());
    (job.allow_hosts, job.protection) = (vec!["127.0.0.1".to_owned()], protection.clone());
    let facts = fetch(&job, Arc::new(Anything), &Progress::default()).await.expect("a sealed model");
    volume.join(facts.path)
}

fn header(model: &Path) -> Vec<u8> {
    fs::read(model.with_added_extension("age")).expect("a header")
}

#[tokio::test]
async fn age_decrypts_every_file_that_was_sealed_here() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (key, other) = (identity(dir.path(), "weights.key"), identity(dir.path(), "other.key"));
    let model = seal(&dir.path().join("volume"), &SIZES, &protection(&key, None)).await;
    for size in SIZES {
        let whole = [header(&model), fs::read(model.join(format!("{size}.gguf"))).expect("a file")].concat();
        let decrypt = |key: &Path, whole: &[u8]| run(tool("age").arg("-d").arg("-i").arg(key), whole);
        assert!(decrypt(&key, &whole).expect("age should open it") == bytes(size), "{size}");
        assert!(decrypt(&other, &whole).expect_err("a stranger").contains("no identity matched"), "{size}");
        decrypt(&key, &whole[..whole.len() - 1]).expect_err("cut off");
    }
}

#[tokio::test]
async fn age_decrypts_with_the_new_key_alone_what_was_wrapped_anew() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (old, new) = (identity(dir.path(), "old.key"), identity(dir.path(), "new.key"));
    let volume = dir.path().join("volume");
    let model = seal(&volume, &[3 * CHUNK], &protection(&old, None)).await;
    assert_eq!(seal(&volume, &[3 * CHUNK], &protection(&new, Some(&old))).await, model);
    let whole = [header(&model), fs::read(model.join(format!("{}.gguf", 3 * CHUNK))).expect("a file")].concat();
    let decrypt = |key: &Path| run(tool("age").arg("-d").arg("-i").arg(key), &whole);
    assert!(decrypt(&new).expect("age should open it") == bytes(3 * CHUNK));
    decrypt(&old).expect_err("the old key");
}

/// What the tool encrypted, laid as a model of one file: its header beside the folder.
fn lay(dir: &TempDir, encrypted: &[u8]) -> PathBuf {
    let begin = encrypted.windows(5).position(|window| window == b"\n--- ").expect("the end of a header") + 1;
    let line = encrypted[begin..].iter().position(|byte| *byte == b'\n').expect("the end of a line");
    let model = dir.path().join("model");
    fs::create_dir_all(&model).expect("a folder");
    fs::write(dir.path().join("model.age"), &encrypted[..=begin + line]).expect("a header");
    fs::write(model.join("file"), &encrypted[begin + line + 1..]).expect("a file");
    model
}

#[tokio::test]
async fn what_age_encrypts_is_opened_here() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (key, other) = (identity(dir.path(), "weights.key"), identity(dir.path(), "other.key"));
    for size in SIZES.into_iter().chain([0]) {
        let plain = bytes(size);
        let mut encrypt = tool("age");
        // For two holders: either opens it.
        encrypt.args(["-r", &recipient(&other), "-r", &recipient(&key)]);
        let model = lay(&dir, &run(&mut encrypt, &plain).expect("age should encrypt"));
        for key in [&key, &other] {
            let (manifest, verified) =
                prove(&model, &protection(key, None), &Progress::default()).await.expect("our own opens it");
            assert_eq!(manifest.files()[0].sha256, format!("{:x}", Sha256::digest(&plain)), "{size}");
            let file = verified.open(&model.join("file")).expect("a file that was proven");
            let mut found = vec![0; size];
            file.read_exact_at(&mut found, 0).expect("its bytes");
            assert!(found == plain, "{size}");
        }
        let stranger = identity(dir.path(), &format!("stranger-{size}.key"));
        let refused = prove(&model, &protection(&stranger, None), &Progress::default()).await;
        assert_eq!(refused.expect_err("a stranger").reason().as_str(), "KeyInvalid");
    }
}
