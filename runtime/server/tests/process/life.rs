//! From a hub to a drained server.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{
    bench::Bench,
    program::{Hub, Program},
    tiny,
};

fn client(certificate: Option<&rcgen::Certificate>) -> reqwest::Client {
    let roots = certificate.map(|certificate| reqwest::Certificate::from_der(certificate.der()).unwrap());
    reqwest::Client::builder().no_proxy().tls_certs_only(roots).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_fetched_through_a_kill_and_served_until_sigterm() {
    let bench = Bench::new();
    // Wide enough for several notes of progress.
    let model = tiny::gguf(40);
    let hub = Hub::start(model.clone()).await;
    hub.state.lock().unwrap().pause = Duration::from_millis(4);
    let mut killed = bench.fetch(&hub, &[]);
    while hub.state.lock().unwrap().served_bytes < model.len() / 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    killed.kill();
    {
        let mut state = hub.state.lock().unwrap();
        assert!(state.served_bytes < model.len(), "it should be killed in the middle");
        (state.pause, state.served_bytes) = (Duration::ZERO, 0);
    }
    assert!(bench.fetch(&hub, &[]).wait().success());
    let again = hub.state.lock().unwrap().served_bytes;
    assert!(again < model.len() * 3 / 4, "{again} of {} bytes were fetched again", model.len());
    let sealed = bench.last_word()["sealed"].clone();
    assert_eq!((&sealed["format"], &sealed["architecture"]), (&json!("GGUF"), &json!("llama")));
    let root = format!("{}/{}", bench.path("weights"), sealed["path"].as_str().unwrap());
    assert_eq!(std::fs::read(format!("{root}/tiny.gguf")).unwrap(), model);
    serve_and_drain(&bench, &root, sealed["digest"].as_str().unwrap()).await;
    refuse_what_is_damaged(&bench, &root, sealed["digest"].as_str().unwrap());
}

async fn serve_and_drain(bench: &Bench, root: &str, digest: &str) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(bench.path("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(bench.path("tls.key"), made.signing_key.serialize_pem()).unwrap();
    let mut program = bench.serve(root, &["--digest", digest, "--tls-dir", bench.dir.path().to_str().unwrap()]);
    let listening = program.logged("listening");
    let (api, probe) = (listening["api"].as_str().unwrap(), listening["probe"].as_str().unwrap());
    program.logged("serving");
    let client = client(Some(&made.cert));
    let status: Value =
        serde_json::from_str(&client.get(format!("http://{probe}/status")).send().await.unwrap().text().await.unwrap())
            .unwrap();
    assert_eq!((&status["ready"], &status["digest"], &status["device"]), (&json!(true), &json!(digest), &json!("CPU")));
    let ask = |more: Value| {
        let mut body = json!({"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "ignore_eos": true});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.post(format!("https://{api}/v1/chat/completions")).body(body.to_string()).send()
    };
    let seeded = async || ask(json!({"seed": 7, "max_tokens": 12})).await.unwrap().text().await.unwrap();
    let content = |text: &str| serde_json::from_str::<Value>(text).unwrap()["choices"][0]["message"]["content"].clone();
    assert_eq!(content(&seeded().await), content(&seeded().await), "the same seed gives the same answer");
    let mut stream = ask(json!({"stream": true, "max_tokens": 1500})).await.unwrap();
    let mut text = String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap()).into_owned();
    program.terminate();
    program.logged("draining");
    let refused = ask(json!({})).await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.text().await.unwrap().contains("server_draining")), (503, true));
    while let Some(chunk) = stream.chunk().await.unwrap() {
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(text.ends_with("data: [DONE]\n\n") && text.contains("\"finish_reason\":\"length\""));
    assert!(program.wait().success());
}

fn refuse_what_is_damaged(bench: &Bench, root: &str, digest: &str) {
    let file = format!("{root}/tiny.gguf");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(bench.serve(root, &["--digest", digest]).wait().code(), Some(1));
    let failed = &bench.last_word()["failed"];
    assert_eq!(failed["reason"], "DigestMismatch");
    assert!(failed["message"].as_str().unwrap().contains(digest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_model_leaves_a_last_word() {
    let bench = Bench::new();
    let mut cut = tiny::gguf(1);
    cut.truncate(cut.len() / 2);
    let hub = Hub::start(cut).await;
    assert_eq!(bench.fetch(&hub, &[]).wait().code(), Some(1));
    assert_eq!(bench.last_word()["failed"]["reason"], "InvalidModel", "{}", bench.last_word());
    let left = std::fs::read_dir(Path::new(&bench.path("weights"))).unwrap();
    assert!(left.map(|entry| entry.unwrap().file_name()).all(|name| name == ".fetch.lock"));
    let (missing, log) = (bench.path("missing"), bench.path("last-word"));
    let arguments = ["verify", "--model", &missing, "--probe-listen", "127.0.0.1:0", "--termination-log", &log];
    assert_eq!(Program::start(&arguments).wait().code(), Some(1));
    assert_eq!(bench.last_word()["failed"]["reason"], "VolumeFailed");
}

/// A snapshot of the hub's cache, and a store of Ollama, with this model.
fn left_by_others(bench: &Bench, model: &[u8]) -> [String; 2] {
    let cache = bench.dir.path().join("models--owner--tiny");
    let snapshot = cache.join("snapshots/12fd25f77366fa6b3b4b768ec3050bf629380bac");
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir_all(cache.join("blobs")).unwrap();
    std::fs::write(cache.join("blobs/b10b"), model).unwrap();
    std::os::unix::fs::symlink("../../blobs/b10b", snapshot.join("tiny.gguf")).unwrap();
    let store = bench.dir.path().join("ollama");
    let digest = "0a".repeat(32);
    let tags = store.join("manifests/registry.ollama.ai/library/tiny");
    std::fs::create_dir_all(&tags).unwrap();
    std::fs::create_dir_all(store.join("blobs")).unwrap();
    std::fs::write(store.join(format!("blobs/sha256-{digest}")), model).unwrap();
    let layer = json!({"mediaType": "application/vnd.ollama.image.model", "digest": format!("sha256:{digest}")});
    std::fs::write(tags.join("latest"), json!({"schemaVersion": 2, "layers": [layer]}).to_string()).unwrap();
    [cache, store].map(|path| path.to_str().unwrap().to_owned())
}

#[test]
fn what_other_programs_left_is_served_as_it_stands() {
    let bench = Bench::new();
    for path in left_by_others(&bench, &tiny::gguf(1)) {
        let mut program = bench.serve(&path, &[]);
        program.logged("serving");
        program.terminate();
        assert!(program.wait().success(), "{path}");
    }
}

#[test]
fn a_panic_of_the_program_is_told_without_its_text() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_alcazar-runtime"));
    // More stack than there are addresses: no thread can start, and the async runtime panics with why.
    let output = command.args(["inspect", "nothing"]).env("RUST_MIN_STACK", "1000000000000000000").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("a panic: a fault of the program"), "{said}");
    assert!(!said.contains("worker thread") && !said.contains("panicked at"), "{said}");
}
