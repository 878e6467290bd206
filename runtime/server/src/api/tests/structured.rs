//! Answers that are held to a format, of a model that knows nothing of it.

use super::*;

async fn ask(test: &TestApp, more: Value) -> (String, String) {
    let answer = post(test, CHAT, chat("w", more)).await.json();
    let choice = &answer["choices"][0];
    let said = choice["message"]["content"].as_str().unwrap_or_else(|| panic!("{answer}"));
    (said.to_owned(), choice["finish_reason"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn what_comes_out_has_the_form_that_was_asked_for() {
    let test = TestApp::serving(Setup::default());
    let schema = json!({
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 0, "maximum": 150}, "ok": {"type": "boolean"}, "next": {"$ref": "#/$defs/kind"}},
        "required": ["age", "ok", "next"], "additionalProperties": false, "$defs": {"kind": {"enum": ["a", "b"]}},
    });
    let strict = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "p", "strict": true, "schema": schema}}});
    for seed in 0..6 {
        let mut more = strict.clone();
        merge(&mut more, json!({"seed": seed}));
        let (said, reason) = ask(&test, more).await;
        let value: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
        assert!(value["age"].as_i64().is_some_and(|age| (0..=150).contains(&age)), "{said}");
        assert!(value["ok"].is_boolean() && ["a", "b"].contains(&value["next"].as_str().unwrap()), "{said}");
        assert_eq!(reason, "stop");
    }
    for (more, allowed) in [
        (json!({"guided_choice": ["yes", "no"]}), &["yes", "no"][..]),
        (json!({"structured_outputs": {"choice": ["yes", "no"]}, "ignore_eos": true}), &["yes", "no"]),
        (json!({"guided_regex": "(ja|nein)!"}), &["ja!", "nein!"]),
        (json!({"guided_grammar": "start: \"x\" | \"y\""}), &["x", "y"]),
        (json!({"guided_json": {"const": 5}}), &["5"]),
    ] {
        let (said, reason) = ask(&test, more).await;
        assert!(allowed.contains(&said.as_str()) && reason == "stop", "{said} {reason}");
    }
}

#[tokio::test]
async fn an_object_that_is_cut_off_says_so() {
    let test = TestApp::serving(Setup::default());
    let (cut, reason) = ask(&test, json!({"response_format": {"type": "json_object"}, "max_tokens": 1})).await;
    assert_eq!((cut.as_str(), reason.as_str()), ("{", "length"));
    // OpenAI's older route takes vLLM's names, too; several answers each follow the grammar on their own.
    let body = completion("w", json!({"guided_regex": "[a-c]{4}", "n": 3, "max_tokens": 9}));
    let answer = post(&test, COMPLETIONS, body).await.json();
    for choice in answer["choices"].as_array().unwrap() {
        let said = choice["text"].as_str().unwrap();
        assert!(said.len() == 4 && said.bytes().all(|byte| (b'a'..=b'c').contains(&byte)), "{said}");
        assert_eq!(choice["finish_reason"], "stop");
    }
}

#[tokio::test]
async fn a_grammar_that_takes_too_much_work_fails_alone() {
    let test = TestApp::serving(Setup::default());
    let ambiguous = "start: a\na: a a a | a a | \"x\" | a \"x\" a";
    let told = post(&test, CHAT, chat("w", json!({"guided_grammar": ambiguous, "ignore_eos": true}))).await;
    assert_eq!(
        (told.status, told.json()["error"]["code"].as_str()),
        (500, Some("generation_failed")),
        "{:.300}",
        told.text
    );
    assert_eq!(ask(&test, json!({})).await.0, "xyz");
}

#[tokio::test]
async fn thoughts_come_before_the_grammar() {
    let test = TestApp::serving(Setup { script: "Hm.</think>[1]", ..Setup::default() });
    let body = json!({"model": "bytes", "guided_regex": "\\[[0-9]\\]", "messages": [{"role": "user", "content": "x<think>\n"}]});
    let message = &post(&test, CHAT, body).await.json()["choices"][0]["message"];
    assert_eq!((&message["reasoning_content"], &message["content"]), (&json!("Hm."), &json!("[1]")));
}
