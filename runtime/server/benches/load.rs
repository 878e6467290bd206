//! How long a model takes from the program's start to its first answer, as it lies and encrypted:
//! `ALCAZAR_SMOLLM2=$(tests/reference/model.sh) cargo bench -p alcazar-server --bench load [-- ROUNDS]`.
//!
//! Rounds take turns, so that what else the machine does meets both. Files are in the page cache after the first.
#![expect(clippy::print_stdout, reason = "a program for people")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "it shares the tests' way of running the program")]

#[expect(dead_code, reason = "the tests of the program use more of it")]
#[path = "../tests/process/program.rs"]
mod program;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use age::secrecy::ExposeSecret as _;
use program::{Hub, Program, read_json};

const ROUNDS: usize = 9;

/// A model on a volume, and what it is served with.
struct Sealed {
    name: &'static str,
    arguments: Vec<String>,
    times: Vec<Duration>,
}

fn main() {
    let model = std::env::var_os("ALCAZAR_SMOLLM2").expect("ALCAZAR_SMOLLM2 should name a GGUF file");
    let rounds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(ROUNDS);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let key = dir.path().join("key");
    fs::create_dir(&key).expect("a folder");
    let identity = age::x25519::Identity::generate().to_string();
    fs::write(key.join("key"), identity.expose_secret()).expect("a key");
    let bytes = fs::read(model).expect("the model should be readable");
    let n_bytes = bytes.len();
    let hub = runtime.block_on(Hub::start(bytes));
    let mut sealed = [
        seal(&hub, dir.path(), "as it lies", None),
        seal(&hub, dir.path(), "encrypted", Some(key.to_str().expect("a path"))),
    ];
    for _ in 0..=rounds {
        for sealed in &mut sealed {
            sealed.start();
        }
    }
    // Without the first round.
    let medians = sealed.each_ref().map(|sealed| median(&sealed.times[1..]));
    for (sealed, median) in sealed.iter().zip(medians) {
        println!(
            "{}: {} bytes served after {median:?}, median of {rounds}: {:?}",
            sealed.name,
            n_bytes,
            &sealed.times[1..]
        );
    }
    println!("ratio {:.2}", medians[1].as_secs_f64() / medians[0].as_secs_f64());
}

/// Fetches the model into a folder of its own.
fn seal(hub: &Hub, dir: &Path, name: &'static str, key: Option<&str>) -> Sealed {
    let path = |file: &str| dir.join(file).to_str().expect("a path").to_owned();
    let (into, log, source) = (path(name), path("last-word"), hub.source());
    let mut arguments = vec!["fetch", "--source", &source, "--into", &into, "--allow-host", "127.0.0.1"];
    arguments.extend(["--probe-listen", "127.0.0.1:0", "--termination-log", &log]);
    arguments.extend(key.iter().flat_map(|key| ["--encryption-key-dir", key]));
    assert!(Program::start(&arguments).wait().success(), "it should be fetched");
    let report = read_json(Path::new(&log));
    let text = |name: &str| report["sealed"][name].as_str().expect("a report").to_owned();
    let model = format!("{into}/{}", text("path"));
    let given = ["serve", "--model", &model, "--digest", &text("digest"), "--listen", "127.0.0.1:0", "--threads", "2"];
    let rest = ["--context-length", "512", "--probe-listen", "127.0.0.1:0", "--termination-log", &log];
    let mut arguments: Vec<_> = given.iter().chain(&rest).map(|word| (*word).to_owned()).collect();
    arguments.extend(key.iter().flat_map(|key| ["--encryption-key-dir".to_owned(), (*key).to_owned()]));
    Sealed { name, arguments, times: vec![] }
}

impl Sealed {
    fn start(&mut self) {
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        let begin = Instant::now();
        let mut program = Program::start(&arguments);
        program.logged("serving");
        self.times.push(begin.elapsed());
        program.terminate();
        assert!(program.wait().success(), "it should end by itself");
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
