//! Functions that a model calls, or has to.

use super::*;

fn tools() -> Value {
    let parameters = json!({
        "type": "object", "properties": {"city": {"$ref": "#/$defs/city"}}, "required": ["city"],
        "additionalProperties": false, "$defs": {"city": {"enum": ["Oslo", "Rome"]}},
    });
    json!([
        {"type": "function", "function": {"name": "weather", "description": "It rains.", "parameters": parameters}},
        {"type": "function", "function": {"name": "time"}},
    ])
}

const SAID: &str = "<think>\nHm.\n</think>\nOne moment.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>";

#[tokio::test]
async fn calls_and_thoughts_are_told_apart() {
    let test = TestApp::serving(Setup { script: SAID, ..Setup::default() });
    let answer = post(&test, CHAT, chat("w", json!({"tools": tools()}))).await.json();
    let (message, reason) = (&answer["choices"][0]["message"], &answer["choices"][0]["finish_reason"]);
    assert_eq!((&message["content"], reason), (&json!("One moment."), &json!("tool_calls")));
    assert_eq!(message["reasoning_content"], "Hm.\n");
    let call = &message["tool_calls"][0];
    assert_eq!(call["function"], json!({"name": "weather", "arguments": "{\"city\": \"Oslo\"}"}));
    assert!(call["type"] == "function" && call["id"].as_str().is_some_and(|id| id.starts_with("call")));
    // Where nothing may be called, nothing is looked for.
    let answer = post(&test, CHAT, chat("w", json!({"tools": tools(), "tool_choice": "none"}))).await.json();
    let message = &answer["choices"][0]["message"];
    assert!(message["content"].as_str().unwrap().contains("<tool_call>") && message.get("tool_calls").is_none());
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn calls_are_streamed_in_pieces() {
    let test = TestApp::serving(Setup { script: SAID, ..Setup::default() });
    let events = post(&test, CHAT, chat("w", json!({"tools": tools(), "stream": true}))).await.events();
    let deltas: Vec<&Value> = events.iter().map(|event| &event["choices"][0]["delta"]).collect();
    let of = |name: &str| deltas.iter().filter_map(|delta| delta[name].as_str()).collect::<String>();
    assert_eq!((of("reasoning_content").as_str(), of("content").as_str()), ("Hm.\n", "One moment."));
    let calls: Vec<&Value> = deltas.iter().filter_map(|delta| delta["tool_calls"].get(0)).collect();
    assert_eq!((&calls[0]["index"], &calls[0]["function"]["name"]), (&json!(0), &json!("weather")));
    assert!(calls[0]["id"].is_string() && calls[1..].iter().all(|call| call.get("id").is_none()));
    let arguments: String = calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
    assert_eq!(arguments, "{\"city\": \"Oslo\"}");
    assert!(calls.len() > 4, "in pieces");
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn a_model_that_must_call_does() {
    let test = TestApp::serving(Setup::default());
    for (more, names) in [
        (json!({"tool_choice": "required"}), &["weather", "time"][..]),
        (json!({"tool_choice": {"type": "function", "function": {"name": "weather"}}}), &["weather"]),
        (json!({"tool_choice": "required", "parallel_tool_calls": false, "stream": true}), &["weather", "time"]),
    ] {
        for seed in 0..4 {
            let mut body = json!({"tools": tools(), "seed": seed, "temperature": 1.5, "max_tokens": 900});
            merge(&mut body, more.clone());
            let told = post(&test, CHAT, chat("w", body)).await;
            if more["stream"] == true {
                let arguments = told
                    .events()
                    .iter()
                    .filter_map(|event| event["choices"][0]["delta"]["tool_calls"][0]["index"].as_u64())
                    .max();
                assert_eq!(arguments, Some(0), "one call only");
                continue;
            }
            let answer = told.json();
            let calls = answer["choices"][0]["message"]["tool_calls"].as_array().unwrap_or_else(|| panic!("{answer}"));
            if answer["choices"][0]["finish_reason"] == "length" {
                continue;
            }
            for call in calls {
                let name = call["function"]["name"].as_str().unwrap();
                let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
                assert!(names.contains(&name) && arguments.is_object(), "{call}");
                assert!(name != "weather" || ["Oslo", "Rome"].contains(&arguments["city"].as_str().unwrap()), "{call}");
            }
        }
    }
    let both = json!({"tools": tools(), "tool_choice": "required", "response_format": {"type": "json_object"}});
    let told = post(&test, CHAT, chat("w", both)).await;
    assert_eq!((told.status, told.json()["error"]["param"].as_str()), (400, Some("response_format")));
}

#[tokio::test]
async fn results_of_calls_go_back_into_the_conversation() {
    let test = TestApp::serving(Setup::default());
    let messages = json!([
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "call-1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Oslo\"}"}},
        ]},
        {"role": "tool", "tool_call_id": "call-1", "content": "rain w"},
    ]);
    let answer = post(&test, CHAT, json!({"model": "bytes", "messages": messages, "tools": tools()})).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "xyz", "{answer}");
}
