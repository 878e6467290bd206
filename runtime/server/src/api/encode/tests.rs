//! The routes of encoders over tiny models, against transformers' own answers (tests/reference/pipelines.py).

mod decoders;

use axum::http::Request;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    api::router,
    test_support::{
        Setup, TestApp,
        encoders::{EncoderApp, pipelines},
    },
};

async fn send(app: &std::sync::Arc<crate::app::App>, path: &str, body: &Value) -> (u16, Value) {
    let request = Request::post(path).body(axum::body::Body::from(body.to_string())).unwrap();
    let response = router(app.clone()).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

async fn ok(test: &EncoderApp, path: &str, body: Value) -> Value {
    let (status, answer) = send(&test.app, path, &body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn refused(test: &EncoderApp, path: &str, body: Value) -> (u16, String, String) {
    let (status, answer) = send(&test.app, path, &body).await;
    let error = &answer["error"];
    (status, error["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn close(found: &Value, expected: &Value) {
    let (found, expected) = (floats(found), floats(expected));
    assert_eq!(found.len(), expected.len());
    let error = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(error < 2e-4, "off by {error}");
}

#[tokio::test]
async fn embeddings_are_the_reference_in_each_form() {
    let (test, reference) = (EncoderApp::serving("bert-bare"), &pipelines()["embeddings"]);
    let answer = ok(&test, "/v1/embeddings", json!({"model": "bert-bare", "input": reference["input"]})).await;
    for (data, expected) in answer["data"].as_array().unwrap().iter().zip(reference["rows"].as_array().unwrap()) {
        close(&data["embedding"], expected);
    }
    assert_eq!(answer["usage"]["prompt_tokens"], 12 + 3 + 26);
    let coded = json!({"model": "bert-bare", "input": reference["input"][0], "encoding_format": "base64"});
    let coded = ok(&test, "/v1/embeddings", coded).await;
    let bytes = BASE64_STANDARD.decode(coded["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let (numbers, _) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    close(&json!(numbers), &reference["rows"][0]);
    // [CLS] a [SEP]
    let tokens = ok(&test, "/v1/embeddings", json!({"model": "bert-bare", "input": [[2, 5, 3]]})).await;
    close(&tokens["data"][0]["embedding"], &reference["rows"][1]);
    let short = ok(&test, "/v1/embeddings", json!({"model": "bert-bare", "input": "a", "dimensions": 4})).await;
    let short = floats(&short["data"][0]["embedding"]);
    let length: f64 = short.iter().map(|x| x * x).sum();
    assert!(short.len() == 4 && (length - 1.0).abs() < 1e-5);
}

#[tokio::test]
async fn labels_and_relevance_are_the_reference() {
    let all = pipelines();
    let reference = &all["classify"];
    let test = EncoderApp::serving("bert-classify");
    let body = json!({"model": "bert-classify", "input": ["good day", ["good day", "bad day"]]});
    let answer = ok(&test, "/v1/classify", body).await;
    close(&answer["data"][0]["probs"], &reference["rows"][0]);
    close(&answer["data"][1]["probs"], &reference["rows"][1]);
    let labels = ["calm", "glad", "cross"];
    let likeliest = floats(&reference["rows"][0]).into_iter().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
    assert_eq!(
        (&answer["data"][0]["label"], &answer["data"][0]["num_classes"]),
        (&json!(labels[likeliest]), &json!(3))
    );
    let reference = &all["rerank"];
    let test = EncoderApp::serving("roberta-rerank");
    let body = json!({"model": "roberta-rerank", "query": reference["query"], "documents": reference["documents"],
        "return_documents": true});
    let answer = ok(&test, "/v1/rerank", body).await;
    let order: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|one| one["index"].as_u64().unwrap()).collect();
    let mut expected: Vec<(usize, f64)> = floats(&reference["scores"]).into_iter().enumerate().collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    assert_eq!(order, expected.iter().map(|(index, _)| *index as u64).collect::<Vec<_>>());
    assert_eq!(answer["results"][1]["document"]["text"], reference["documents"][expected[1].0]);
    for result in answer["results"].as_array().unwrap() {
        let index = usize::try_from(result["index"].as_u64().unwrap()).unwrap();
        close(&json!([result["relevance_score"]]), &json!([reference["scores"][index]]));
    }
}

#[tokio::test]
async fn words_masks_and_answers_are_the_reference() {
    let all = pipelines();
    let test = EncoderApp::serving("bert-tokens");
    let answer = ok(&test, "/v1/classify", json!({"model": "bert-tokens", "input": all["entities"]["input"]})).await;
    let found = answer["data"][0]["entities"].as_array().unwrap();
    let expected = all["entities"]["found"].as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(
            [&found["label"], &found["start"], &found["end"]],
            [&expected["label"], &expected["start"], &expected["end"]]
        );
        close(&json!([found["score"]]), &json!([expected["score"]]));
    }
    let test = EncoderApp::serving("bert-mask");
    let body = json!({"model": "bert-mask", "input": all["fill-mask"]["input"], "top_k": 3});
    let answer = ok(&test, "/v1/fill-mask", body).await;
    let pick = |list: &Value, key: &str| list.as_array().unwrap().iter().map(|one| one[key].clone()).collect::<Value>();
    let (found, expected) = (&answer["data"][0]["masks"][0], &all["fill-mask"]["found"]);
    assert_eq!(pick(found, "token"), pick(expected, "token"));
    close(&pick(found, "score"), &pick(expected, "score"));
    let test = EncoderApp::serving("bert-answer");
    let reference = &all["question"];
    let body = json!({"model": "bert-answer", "question": reference["question"], "context": reference["context"]});
    let answer = ok(&test, "/v1/question-answering", body).await;
    assert_eq!([&answer["start"], &answer["end"]], [&reference["found"]["start"], &reference["found"]["end"]]);
    let place = |key: &str| usize::try_from(answer[key].as_u64().unwrap()).unwrap();
    let context: Vec<char> = reference["context"].as_str().unwrap().chars().collect();
    assert_eq!(answer["answer"].as_str().unwrap(), context[place("start")..place("end")].iter().collect::<String>());
    close(&json!([answer["score"]]), &json!([reference["found"]["score"]]));
}

#[tokio::test]
async fn an_embedding_model_ranks_by_cosine() {
    let test = EncoderApp::serving("bert-bare");
    let body = json!({"model": "bert-bare", "query": "a cold day", "documents": ["rain", "a cold day"], "top_n": 1});
    let answer = ok(&test, "/v1/rerank", body).await;
    assert_eq!((answer["results"].as_array().unwrap().len(), &answer["results"][0]["index"]), (1, &json!(1)));
    assert!((answer["results"][0]["relevance_score"].as_f64().unwrap() - 1.0).abs() < 1e-5);
}

#[tokio::test]
async fn what_cannot_be_encoded_names_its_place() {
    let test = EncoderApp::serving("bert-bare");
    let long = "a".repeat(100);
    for (body, code, told) in [
        (json!({"input": ["a", "abc abc abc ".repeat(9)]}), "context_length_exceeded", "'input[1]' has"),
        (json!({"input": []}), "invalid_value", "'input' must not be empty"),
        (json!({}), "missing_required_parameter", "'input' is missing"),
        (json!({"input": [[5, 96]]}), "invalid_value", "'input[0]' holds a token beyond"),
        (json!({"input": [1, "a"]}), "invalid_type", "'input[1]'"),
        (json!({"input": "a", "dimensions": 33}), "invalid_value", "at most 32"),
        (json!({"input": "a", "encoding_format": "int8"}), "invalid_value", "float or base64"),
        (json!({"input": {"a": 1}}), "invalid_type", "found an object"),
    ] {
        let mut body = body;
        body["model"] = json!("bert-bare");
        let (status, found, message) = refused(&test, "/v1/embeddings", body).await;
        assert_eq!((status, found.as_str()), (400, code), "{message}");
        assert!(message.contains(told) && !message.contains("abc"), "{message}");
    }
    let cut = ok(&test, "/v1/embeddings", json!({"model": "bert-bare", "input": long, "truncate": true})).await;
    assert!(cut["usage"]["prompt_tokens"].as_u64().unwrap() <= 40);
    let (status, _, message) = refused(&test, "/v1/embeddings", json!({"model": "x", "input": "a"})).await;
    assert!(status == 404 && message.contains("bert-bare"), "{message}");
}

#[tokio::test]
async fn a_model_of_another_sort_says_what_it_is_for() {
    let test = EncoderApp::serving("bert-bare");
    let chat = json!({"model": "bert-bare", "messages": [{"role": "user", "content": "x"}]});
    for (path, body) in [
        ("/v1/chat/completions", chat),
        ("/v1/classify", json!({"model": "bert-bare", "input": "a"})),
        ("/v1/fill-mask", json!({"model": "bert-bare", "input": "a"})),
        ("/v1/question-answering", json!({"model": "bert-bare", "question": "a", "context": "b"})),
    ] {
        let (status, code, message) = refused(&test, path, body).await;
        assert_eq!((status, code.as_str()), (400, "unsupported_task"));
        assert!(message.contains("/v1/embeddings"), "{message}");
    }
    let decoder = TestApp::serving(Setup::default());
    let (status, answer) = send(&decoder.app, "/v1/embeddings", &json!({"model": "bytes", "input": "a"})).await;
    assert!(status == 400 && answer["error"]["message"].as_str().unwrap().contains("/v1/chat/completions"), "{answer}");
}
