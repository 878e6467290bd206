//! A panic of the program, in a thread that it cannot start.

#[cfg(test)]
mod panic {
    use std::{fs, process::Command};

    /// At this address nobody listens, and its name has to be looked up in a thread of its own.
    const KUBECONFIG: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": "http://localhost:1"}}], "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}]}"#;

    #[test]
    fn a_panic_of_the_program_is_told_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let settings = "runtimeImage: example.com/runtime:1\nadminListen: 127.0.0.1:0\ncanaryListen: 127.0.0.1:0\n";
        fs::write(path("settings.yaml"), settings).unwrap();
        fs::write(path("kubeconfig"), KUBECONFIG).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_alcazar-operator"));
        command.args(["run", "--settings"]).arg(path("settings.yaml")).env("KUBECONFIG", path("kubeconfig"));
        // More stack than there are addresses: the async runtime panics, with why.
        command.env("RUST_MIN_STACK", "1000000000000000000").env("RUST_BACKTRACE", "full");
        command.stderr(fs::File::create(path("stderr")).unwrap());
        let mut child = command.spawn().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        let said = loop {
            let said = fs::read_to_string(path("stderr")).unwrap();
            if said.contains("a panic: a fault of the program") || std::time::Instant::now() > deadline {
                break said;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        // A panic in a task of its own does not end the program.
        let _ = child.kill();
        let _ = child.wait();
        assert!(said.contains("a panic: a fault of the program"), "{said}");
        assert!(!said.contains("worker thread") && !said.contains("panicked at"), "{said}");
    }
}
