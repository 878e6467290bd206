//! What a panic writes, seen from outside: the test runs itself again with a word to panic with.

#[cfg(test)]
mod panics {
    use std::process::Command;

    const WORD: &str = "ALCAZAR_PANIC_WITH";

    #[test]
    #[expect(clippy::disallowed_methods, reason = "how the second run learns that it is the second")]
    fn the_place_is_told_and_the_text_is_not() {
        if let Ok(word) = std::env::var(WORD) {
            alcazar_telemetry::panics::install();
            let thread = std::thread::Builder::new().name("engine".to_owned());
            let ended = thread.spawn(move || panic!("the prompt was {word}")).unwrap().join();
            assert!(ended.is_err());
            return;
        }
        let this = std::env::current_exe().unwrap();
        let output = Command::new(this)
            .args(["--exact", "panics::the_place_is_told_and_the_text_is_not", "--nocapture"])
            .env(WORD, "QZXCANARYXZQ")
            .env("RUST_BACKTRACE", "full")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let line = said.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("no line in {said}"));
        assert!(line.contains("tests/panics.rs:") && line.contains("\"thread\":\"engine\""), "{line}");
        assert!(!said.contains("QZXCANARYXZQ") && !String::from_utf8_lossy(&output.stdout).contains("QZXCANARYXZQ"));
        assert!(output.status.success());
    }
}
