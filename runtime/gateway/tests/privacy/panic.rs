//! A panic of the program, with the canary in its text.

use std::{fs, net::SocketAddr};

use crate::{
    canary::{canary, found_in},
    program::{command, kubeconfig},
};

#[test]
fn a_panic_of_the_program_is_told_without_its_text() {
    let dir = tempfile::tempdir().unwrap();
    let api: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let mut command = command(dir.path(), &dir.path().join("no-settings"), &kubeconfig(dir.path(), api));
    // Where tokio looks for a number, and panics with what it finds.
    let status = command.env("TOKIO_WORKER_THREADS", canary("panic")).status().unwrap();
    let said = fs::read(dir.path().join("stderr")).unwrap();
    let text = String::from_utf8_lossy(&said);
    assert!(!status.success() && text.contains("a panic: a fault of the program"), "{text}");
    assert_eq!(found_in(&said), None, "{text}");
}
