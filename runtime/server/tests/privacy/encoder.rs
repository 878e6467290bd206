//! Encoders: texts, queries, documents and questions.

use std::path::Path;

use serde_json::json;

use crate::{
    canary::{CANARY, canary, found_in},
    serving::Serving,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_text_is_written_down() {
    let (text, many) = (canary("text"), canary("many").repeat(400));
    for (model, path, body) in [
        ("bert", "/v1/embeddings", json!({"model": "tiny", "input": [text, canary("second")]})),
        ("bert-classify", "/v1/classify", json!({"model": "tiny", "input": text})),
        ("bert-tokens", "/v1/classify", json!({"model": "tiny", "input": text})),
        ("bert-mask", "/v1/fill-mask", json!({"model": "tiny", "input": format!("{text} [MASK]")})),
        (
            "bert-answer",
            "/v1/question-answering",
            json!({"model": "tiny", "question": text, "context": canary("context")}),
        ),
        ("roberta-rerank", "/v1/rerank", json!({"model": "tiny", "query": CANARY, "documents": [CANARY, CANARY]})),
    ] {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/encoders").join(model);
        let serving = Serving::start(&model.canonicalize().unwrap(), &[]).await;
        let (status, answer) = serving.post(path, body.to_string()).await;
        assert_eq!(status, 200, "{path}: {answer}");
        for bad in [
            json!({"model": text}),
            json!({"model": "tiny", "input": {CANARY: text}, "query": {CANARY: text}, "question": [text]}),
            json!({"model": "tiny", "input": many, "query": many, "documents": [many], "question": many, "context": 5}),
            json!({"model": "tiny", "input": [[text]], "documents": text, "query": text, "encoding_format": text}),
            json!({"model": "tiny", "messages": [{"role": "user", "content": text}]}),
        ] {
            let (status, answer) = serving.post(path, bad.to_string()).await;
            // Some are answered: a text is cut, a field of another route is not looked at.
            assert!(status < 500 && (status == 200 || found_in(answer.as_bytes()).is_none()), "{path} {bad}: {answer}");
        }
        serving.end().await;
    }
}
