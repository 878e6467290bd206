//! A folder for one test, and the program's runs in it.

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Hub, Program, read_json};

pub(crate) struct Bench {
    pub(crate) dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn fetch(&self, hub: &Hub, more: &[&str]) -> Program {
        let (into, log) = (self.path("weights"), self.path("last-word"));
        let source = hub.source();
        let arguments = ["fetch", "--source", &source, "--into", &into, "--allow-host", "127.0.0.1"];
        let rest = ["--probe-listen", "127.0.0.1:0", "--termination-log", &log];
        Program::start(&[&arguments[..], &rest, more].concat())
    }

    pub(crate) fn serve(&self, model: &str, more: &[&str]) -> Program {
        let log = self.path("last-word");
        let arguments = ["serve", "--model", model, "--name", "tiny", "--listen", "127.0.0.1:0", "--threads", "2"];
        let rest = ["--probe-listen", "127.0.0.1:0", "--termination-log", &log];
        Program::start(&[&arguments[..], &rest, more].concat())
    }

    pub(crate) fn last_word(&self) -> Value {
        read_json(&self.dir.path().join("last-word"))
    }
}
