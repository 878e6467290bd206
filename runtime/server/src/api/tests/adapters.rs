//! Adapters are models to clients: named in requests, listed, told back, and counted.

use super::*;

fn test() -> TestApp {
    TestApp::serving(Setup { with_adapters: true, ..Setup::default() })
}

fn text(told: &Told) -> String {
    assert_eq!(told.status, 200, "{}", told.text);
    told.json()["choices"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_adapter_answers_under_its_name_and_all_at_once() {
    let test = test();
    let of = |model: &str| json!({"model": model, "prompt": "a", "max_tokens": 4});
    let [base, evens, thirds] = ["bytes", "evens", "thirds"].map(|model| post(&test, COMPLETIONS, of(model)));
    let (base, evens, thirds) = tokio::join!(base, evens, thirds);
    assert_eq!([text(&base), text(&evens), text(&thirds)], ["bcde", "cegi", "dgjm"]);
    assert_eq!(evens.json()["model"], "evens");
}

#[tokio::test]
async fn every_route_of_a_decoder_takes_an_adapter() {
    let test = test();
    let messages = json!([{"role": "user", "content": "a"}]);
    let told = post(&test, CHAT, json!({"model": "evens", "messages": messages, "max_tokens": 2})).await.json();
    assert_eq!((&told["model"], &told["choices"][0]["message"]["content"]), (&json!("evens"), &json!("ce")));
    let told =
        post(&test, "/v1/responses", json!({"model": "thirds", "input": "a", "max_output_tokens": 2})).await.json();
    assert_eq!((&told["model"], &told["output"][0]["content"][0]["text"]), (&json!("thirds"), &json!("dg")));
    let told = post(&test, "/tokenize", json!({"model": "evens", "prompt": "ab"})).await.json();
    assert_eq!(told["tokens"], json!([97, 98]));
    let told = post(&test, "/detokenize", json!({"model": "thirds", "tokens": [97]})).await.json();
    assert_eq!(told["prompt"], "a");
    let stream = json!({"model": "evens", "prompt": "a", "max_tokens": 2, "stream": true});
    let events = post(&test, COMPLETIONS, stream).await.events();
    assert!(events.iter().all(|event| event["model"] == "evens"), "{events:?}");
}

#[tokio::test]
async fn adapters_are_listed_with_their_parent_and_others_are_told_what_there_is() {
    let test = test();
    let told = send(&test, "GET", "/v1/models", "").await.json();
    let of =
        |key: &str| -> Vec<Value> { told["data"].as_array().unwrap().iter().map(|model| model[key].clone()).collect() };
    assert_eq!(of("id"), ["bytes", "evens", "thirds"]);
    assert_eq!(of("parent"), [Value::Null, json!("bytes"), json!("bytes")]);
    assert_eq!(of("root"), ["bytes", "adapters/evens", "adapters/thirds"]);
    let one = send(&test, "GET", "/v1/models/evens", "").await.json();
    assert_eq!((&one["id"], &one["max_model_len"]), (&json!("evens"), &json!(2000)));
    let unknown = post(&test, COMPLETIONS, json!({"model": "odds", "prompt": "a"})).await;
    let message = unknown.json()["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(unknown.status, 404);
    assert!(message.contains("serves 'bytes', 'evens', 'thirds'"), "{message}");
    let described = send(&test, "GET", "/openapi.json", "").await.json();
    let models = &described["components"]["schemas"]["ChatRequest"]["properties"]["model"]["enum"];
    assert_eq!(*models, json!(["bytes", "evens", "thirds"]));
}

#[tokio::test]
async fn pickers_see_which_adapters_run() {
    let delay = std::time::Duration::from_millis(30);
    let test = TestApp::serving(Setup { with_adapters: true, delay, ..Setup::default() });
    let idle = r#"running_lora_adapters="""#;
    test.app.metrics.render().unwrap().lines().find(|line| line.contains(idle)).expect("a series from the start");
    let request = json!({"model": "thirds", "prompt": "A", "max_tokens": 20});
    let (answer, ()) = tokio::join!(post(&test, COMPLETIONS, request), async {
        let running = r#"running_lora_adapters="thirds""#;
        crate::test_support::eventually("its series", || test.app.metrics.render().unwrap().contains(running)).await;
    });
    assert_eq!(answer.status, 200);
    crate::test_support::eventually("its end", || test.app.metrics.render().unwrap().contains(idle)).await;
}
