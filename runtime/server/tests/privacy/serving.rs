//! The program with everything it writes kept: both streams, its last word, its folder, and what its probe port tells.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::canary::found_in;

/// A running program; killed when the test is over.
pub(crate) struct Serving {
    child: Child,
    dir: TempDir,
    pub(crate) client: reqwest::Client,
    pub(crate) api: String,
    pub(crate) probe: String,
}

/// Starts the program with both streams in files; the folder is where it runs, so that a core file would lie there.
pub(crate) fn start(dir: &Path, arguments: &[&str]) -> Child {
    let work = dir.join("work");
    fs::create_dir_all(&work).unwrap();
    let file = |name: &str| File::create(dir.join(name)).unwrap();
    let log = dir.join("last-word");
    Command::new(env!("CARGO_BIN_EXE_alcazar-runtime"))
        .args(["--log-level", "trace,hyper=trace,h2=trace,rustls=trace,axum=trace"])
        .args(arguments)
        .args(["--probe-listen", "127.0.0.1:0", "--termination-log"])
        .arg(&log)
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        .env("TMPDIR", &work)
        .current_dir(&work)
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .spawn()
        .unwrap()
}

/// Waits for the end; its exit code.
pub(crate) fn wait(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < deadline, "the program does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every file that the program wrote.
fn written(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut folders = vec![dir.join("work")];
    let mut files: Vec<PathBuf> = ["stdout", "stderr", "last-word"].map(|name| dir.join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() { folders.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    for file in files {
        // There is no last word after a good end.
        if let Ok(bytes) = fs::read(&file) {
            all.push((file.display().to_string(), bytes));
        }
    }
    all
}

/// Fails with every place that holds a canary.
#[track_caller]
pub(crate) fn assert_discreet(dir: &Path, told: &[(String, Vec<u8>)]) {
    let written = written(dir);
    let leaks: Vec<String> = written
        .iter()
        .chain(told)
        .filter_map(|(place, bytes)| found_in(bytes).map(|around| format!("{place}: …{around}…")))
        .collect();
    assert!(leaks.is_empty(), "{} places hold a canary:\n{}", leaks.len(), leaks.join("\n"));
    let log = &written.iter().find(|(place, _)| place.ends_with("stderr")).expect("the log should be there").1;
    assert!(log.len() > 100, "the log should hold something");
}

impl Serving {
    pub(crate) async fn start(model: &Path, more: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let model = model.to_str().unwrap();
        let arguments = ["serve", "--model", model, "--name", "tiny", "--listen", "127.0.0.1:0", "--threads", "2"];
        let child = start(dir.path(), &[&arguments[..], more].concat());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut serving = Self { child, dir, client, api: String::new(), probe: String::new() };
        let listening = serving.logged("listening").await;
        let address = |name: &str| listening[name].as_str().unwrap().to_owned();
        (serving.api, serving.probe) = (address("api"), address("probe"));
        serving.logged("serving").await;
        serving
    }

    async fn logged(&mut self, message: &str) -> Value {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let log = fs::read_to_string(self.dir.path().join("stderr")).unwrap();
            let mut entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(entry) = entries.find(|entry| entry["message"] == message) {
                return entry;
            }
            assert!(self.child.try_wait().unwrap().is_none() && Instant::now() < deadline, "no '{message}' in\n{log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Posts a body and returns status and answer.
    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
        let request = self.client.post(format!("http://{}{path}", self.api));
        let response = request.header("content-type", "application/json").body(body).send().await.unwrap();
        (response.status().as_u16(), String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned())
    }

    /// Ends the program and looks through all that it told.
    pub(crate) async fn end(mut self) {
        let mut told = Vec::new();
        for path in ["/metrics", "/status", "/health/live", "/health/ready"] {
            let answer = self.client.get(format!("http://{}{path}", self.probe)).send().await.unwrap();
            told.push((path.to_owned(), answer.bytes().await.unwrap().to_vec()));
        }
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert_eq!(wait(&mut self.child), Some(0));
        assert_discreet(self.dir.path(), &told);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already in a good test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
