//! Bad requests get an OpenAI-shaped error that names the field; many good ones are served together.

use alcazar_tests::Cluster;

use crate::scenario::{ask, served};

#[tokio::test]
async fn bad_requests_say_what_is_wrong() {
    let cluster = Cluster::connect().await;
    let namespace = served(&cluster, "requests", "assistant", "  runtime: {contextLength: 512}").await;
    let long = "word ".repeat(2000);
    let cases = [
        ("json", r#"{"model":"#.to_owned(), "invalid_json"),
        ("model", r#"{"model":"other","messages":[{"role":"user","content":"x"}]}"#.to_owned(), "model"),
        (
            "cold",
            r#"{"model":"assistant","temperature":-1,"messages":[{"role":"user","content":"x"}]}"#.to_owned(),
            "temperature",
        ),
        ("long", format!(r#"{{"model":"assistant","messages":[{{"role":"user","content":"{long}"}}]}}"#), "512"),
    ];
    for (name, body, expected) in cases {
        let outcome = ask(&namespace, name, "assistant", "/v1/chat/completions", &body).await;
        assert_ne!(outcome.code, 0, "{name}: {}", outcome.output);
        assert!(outcome.output.contains(r#""error""#), "{name}: {}", outcome.output);
        assert!(outcome.output.to_lowercase().contains(&expected.to_lowercase()), "{name}: {}", outcome.output);
        assert!(!outcome.output.contains("word word"), "{name}: the prompt must not be in the error");
    }
    // The probe's own program: more bytes than any request may have.
    let outcome = ask(&namespace, "large", "assistant", "/v1/chat/completions", "@/proc/self/exe").await;
    assert_ne!(outcome.code, 0, "{}", outcome.output);
    assert!(outcome.output.contains("4194304"), "the limit should be told: {}", outcome.output);
    namespace.close().await;
}
