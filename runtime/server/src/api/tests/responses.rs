//! The responses API: items in, items out.

use super::*;

const RESPONSES: &str = "/v1/responses";
const SAID: &str = "<think>\nHm.</think>\nSo.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>";

fn ask(input: impl Into<Value>, more: Value) -> Value {
    let mut body = json!({"model": "bytes", "input": input.into()});
    merge(&mut body, more);
    body
}

/// Names and data of a stream's events; their numbers and types are checked.
fn named(told: &Told) -> Vec<(String, Value)> {
    let frames = told.text.split_terminator("\n\n").enumerate().map(|(n, frame)| {
        let (name, data) = frame.split_once('\n').unwrap();
        let name = name.strip_prefix("event: ").unwrap().to_owned();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!((data["type"].as_str(), &data["sequence_number"]), (Some(name.as_str()), &json!(n)));
        (name, data)
    });
    frames.collect()
}

#[tokio::test]
async fn text_and_items_are_answered() {
    let test = TestApp::serving(Setup::default());
    let answer = post(&test, RESPONSES, ask("w", json!({"instructions": "Be brief. "}))).await.json();
    assert_eq!(
        (&answer["object"], &answer["status"], &answer["store"]),
        (&json!("response"), &json!("completed"), &json!(false))
    );
    let content = &answer["output"][0]["content"][0];
    assert_eq!((&content["type"], &content["text"]), (&json!("output_text"), &json!("xyz")));
    assert_eq!((&answer["usage"]["input_tokens"], &answer["usage"]["output_tokens"]), (&json!(11), &json!(3)));
    let items = json!([
        {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "b w"},
    ]);
    let answer = post(&test, RESPONSES, ask(items, json!({"max_output_tokens": 2}))).await.json();
    assert_eq!((&answer["status"], &answer["output"][0]["content"][0]["text"]), (&json!("incomplete"), &json!("xy")));
    assert_eq!(answer["incomplete_details"]["reason"], "max_output_tokens");
    let format =
        json!({"text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": {"const": [1]}}}});
    let answer = post(&test, RESPONSES, ask("w", format)).await.json();
    assert_eq!(answer["output"][0]["content"][0]["text"], "[1]", "{answer}");
}

#[tokio::test]
async fn thoughts_text_and_calls_are_items_of_their_own() {
    let test = TestApp::serving(Setup { script: SAID, ..Setup::default() });
    let tools = json!({"tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]});
    let answer = post(&test, RESPONSES, ask("w", tools.clone())).await.json();
    let kinds: Vec<&Value> = answer["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call"]);
    assert_eq!(answer["output"][0]["content"][0]["text"], "Hm.");
    assert_eq!((&answer["output"][2]["name"], &answer["output"][2]["arguments"]), (&json!("f"), &json!("{\"a\": 1}")));
    let mut body = ask("w", tools);
    merge(&mut body, json!({"stream": true}));
    let events = named(&post(&test, RESPONSES, body).await);
    let of = |name: &str| events.iter().filter(|event| event.0 == name).map(|event| &event.1).collect::<Vec<_>>();
    assert_eq!((events[0].0.as_str(), events.last().unwrap().0.as_str()), ("response.created", "response.completed"));
    for (name, text) in [
        ("response.reasoning_text", "Hm."),
        ("response.output_text", "So."),
        ("response.function_call_arguments", "{\"a\": 1}"),
    ] {
        let pieces: String = of(&format!("{name}.delta")).iter().filter_map(|data| data["delta"].as_str()).collect();
        let done = of(&format!("{name}.done"))[0];
        assert_eq!((pieces.as_str(), done["text"].as_str().or(done["arguments"].as_str())), (text, Some(text)));
    }
    assert_eq!((of("response.output_item.added").len(), of("response.output_item.done").len()), (3, 3));
    let strip = |item: &Value| (item["type"].clone(), item["content"].clone(), item["arguments"].clone());
    let last: Vec<_> = events.last().unwrap().1["response"]["output"].as_array().unwrap().iter().map(strip).collect();
    assert_eq!(last, answer["output"].as_array().unwrap().iter().map(strip).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_needs_a_memory_is_refused() {
    let test = TestApp::serving(Setup::default());
    for (more, param) in [
        (json!({"previous_response_id": "resp-1"}), "previous_response_id"),
        (json!({"store": true}), "store"),
        (json!({"background": true}), "background"),
        (json!({"truncation": "auto"}), "truncation"),
        (json!({"input": []}), "input"),
        (json!({"input": [{"type": "item_reference"}]}), "input[0].type"),
        (json!({"input": [{"type": "function_call", "call_id": "c"}]}), "input[0].name"),
        (json!({"input": [{"type": "function_call_output", "call_id": "c", "output": 5}]}), "input[0].output"),
        (json!({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}), "input[0].content[0].type"),
        (json!({"tools": [{"type": "web_search"}]}), "tools[0].type"),
        (json!({"text": {"format": {"type": "xml"}}}), "text.format.type"),
        (json!({"max_output_tokens": 5000}), "max_output_tokens"),
        (json!({"n": 2}), "n"),
    ] {
        let told = post(&test, RESPONSES, ask("w", more.clone())).await;
        assert_eq!((told.status, told.json()["error"]["param"].as_str()), (400, Some(param)), "{more}");
    }
    let test = TestApp::serving(Setup::default());
    let events = named(&post(&test, RESPONSES, ask("?", json!({"stream": true}))).await);
    assert_eq!(
        (events.last().unwrap().0.as_str(), post(&test, RESPONSES, ask("?", json!({}))).await.status),
        ("response.failed", 500)
    );
}

#[tokio::test]
async fn probabilities_are_told_of_messages_and_thoughts_are_counted() {
    let test = TestApp::serving(Setup { script: SAID, ..Setup::default() });
    let body = ask("w", json!({"include": ["message.output_text.logprobs"], "top_logprobs": 2}));
    let answer = post(&test, RESPONSES, body.clone()).await.json();
    let part = &answer["output"][1]["content"][0];
    let logprobs = part["logprobs"].as_array().unwrap();
    let told: String = logprobs.iter().filter_map(|one| one["token"].as_str()).collect();
    assert!(told.starts_with("\nSo."), "{told}");
    assert!(logprobs.iter().all(|one| one["top_logprobs"].as_array().unwrap().len() == 2 && one["logprob"].is_f64()));
    // From the token that completes the opening mark on: this vocabulary has one for each byte.
    let thoughts = ">\nHm.</think>".len();
    assert_eq!(answer["usage"]["output_tokens_details"]["reasoning_tokens"], thoughts);
    let mut streamed = body;
    merge(&mut streamed, json!({"stream": true}));
    let events = named(&post(&test, RESPONSES, streamed).await);
    let deltas = events.iter().filter(|event| event.0 == "response.output_text.delta");
    let pieces: Vec<Value> = deltas.flat_map(|event| event.1["logprobs"].as_array().unwrap().clone()).collect();
    assert_eq!(&pieces, logprobs);
    let done = events.iter().find(|event| event.0 == "response.output_text.done").unwrap();
    assert_eq!(done.1["logprobs"], part["logprobs"]);
    assert_eq!(events.last().unwrap().1["response"]["usage"], answer["usage"]);
    let without = post(&test, RESPONSES, ask("w", json!({}))).await.json();
    assert_eq!(without["output"][1]["content"][0]["logprobs"], json!([]));
    assert_eq!(without["usage"]["output_tokens_details"]["reasoning_tokens"], thoughts);
}
