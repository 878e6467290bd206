//! A decoder: prompts, answers, tools, grammars, and every refusal.

use serde_json::{Value, json};

use crate::{
    canary::{CANARY, canary},
    raw,
    serving::Serving,
    tiny,
};

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";
const RESPONSES: &str = "/v1/responses";

fn with(base: &Value, more: &Value) -> Value {
    let mut body = base.clone();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn chat(more: &Value) -> Value {
    let messages =
        json!([{"role": "system", "content": canary("system")}, {"role": "user", "content": canary("user")}]);
    with(&json!({"model": "tiny", "messages": messages, "max_tokens": 8, "user": canary("person")}), more)
}

fn function(parameters: &Value) -> Value {
    json!([{"type": "function", "function": {"name": CANARY, "description": canary("tool"), "parameters": parameters}}])
}

/// Requests that are answered; the answers hold the canary where the request makes them.
fn answered() -> Vec<(&'static str, Value)> {
    let text = canary("prompt");
    let schema = json!({"type": "object", "properties": {CANARY: {"const": CANARY}}, "required": [CANARY]});
    let mut all = vec![
        (COMPLETIONS, json!({"model": "tiny", "prompt": text, "max_tokens": 8, "echo": true, "logprobs": 5})),
        (COMPLETIONS, json!({"model": "tiny", "prompt": [text, canary("second")], "max_tokens": 4, "stream": true})),
        (COMPLETIONS, json!({"model": "tiny", "prompt": CANARY.bytes().collect::<Vec<_>>(), "max_tokens": 4})),
        (COMPLETIONS, json!({"model": "tiny", "prompt": text, "stop": [canary("stop")], "cache_salt": canary("salt")})),
        (RESPONSES, json!({"model": "tiny", "input": text, "instructions": canary("rule"), "max_output_tokens": 16})),
        ("/tokenize", json!({"model": "tiny", "prompt": text, "return_token_strs": true})),
        ("/tokenize", json!({"model": "tiny", "messages": [{"role": "user", "content": text}]})),
        ("/detokenize", json!({"model": "tiny", "tokens": CANARY.bytes().collect::<Vec<_>>()})),
    ];
    for more in [
        json!({"structured_outputs": {"choice": [canary("choice")]}, "max_tokens": 64}),
        json!({"structured_outputs": {"choice": [canary("choice")]}, "max_tokens": 64, "stream": true}),
        json!({"guided_regex": format!("{CANARY}[a-z]"), "max_tokens": 64}),
        json!({"guided_grammar": format!("start: \"{CANARY}\""), "max_tokens": 64}),
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": CANARY, "schema": schema}}, "max_tokens": 128}),
        json!({"tools": function(&schema), "tool_choice": "required", "max_tokens": 256}),
        json!({"tools": function(&json!({"type": "object"})), "metadata": {CANARY: CANARY}}),
        json!({"logprobs": true, "top_logprobs": 5, "n": 2}),
    ] {
        all.push((CHAT, chat(&more)));
    }
    all
}

/// Requests that are refused, each for another reason.
fn refused() -> Vec<(&'static str, Value)> {
    let text = canary("refused");
    let mut all = vec![
        (COMPLETIONS, json!({"model": text, "prompt": text})),
        (COMPLETIONS, json!({"model": "tiny", "prompt": {"text": text}})),
        (COMPLETIONS, json!({"model": "tiny", "prompt": text, "suffix": text})),
        (COMPLETIONS, json!({"model": "tiny", "prompt": text.repeat(600)})),
        (COMPLETIONS, json!({"model": "tiny", "prompt": text, "max_tokens": text})),
        (RESPONSES, json!({"model": "tiny", "input": [{"type": text, "content": text}]})),
        (RESPONSES, json!({"model": "tiny", "input": text, "previous_response_id": text})),
        (
            RESPONSES,
            json!({"model": "tiny", "input": [{"role": "user", "content": [{"type": "input_file", "filename": text}]}]}),
        ),
        ("/tokenize", json!({"model": "tiny", "prompt": [text]})),
        ("/detokenize", json!({"model": "tiny", "tokens": [text]})),
        ("/v1/embeddings", json!({"model": "tiny", "input": text})),
        ("/v1/rerank", json!({"model": "tiny", "query": text, "documents": [text]})),
        ("/v1/images/generations", json!({"model": "tiny", "prompt": text})),
    ];
    for more in [
        json!({"messages": text}),
        json!({"messages": [text]}),
        json!({"messages": [{"role": text, "content": text}]}),
        json!({"messages": [{"role": "user", "content": {CANARY: text}}]}),
        json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": format!("https://{CANARY}.example/{text}.png?token={text}")}}]}]}),
        json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{text}")}}]}]}),
        json!({"messages": [{"role": "user", "content": [{"type": "file", "file": {"filename": text, "file_data": text}}]}]}),
        json!({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": text, "format": text}}]}]}),
        json!({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": text, "arguments": text}}]}]}),
        json!({"temperature": text}),
        json!({"stop": vec![text.clone(); 40]}),
        json!({"logit_bias": {CANARY: 1}}),
        json!({"metadata": text}),
        json!({"tools": [{"type": text}]}),
        json!({"tools": [{"type": "function", "function": {"name": format!("{text} !"), "description": text}}]}),
        json!({"tools": function(&json!({"type": text})), "tool_choice": "required"}),
        json!({"tool_choice": {"type": "function", "function": {"name": text}}}),
        json!({"response_format": {"type": text}}),
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": CANARY, "schema": {"type": text}}}}),
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": CANARY, "schema": {"$ref": format!("https://{text}.example/")}}}}),
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": CANARY, "schema": {"pattern": format!("{text}(")}}}}),
        json!({"guided_regex": format!("{text}(")}),
        json!({"guided_grammar": format!("start: {text}")}),
        json!({"structured_outputs": {"choice": [text, 5]}}),
        json!({"guided_choice": [text], "guided_regex": text}),
        json!({"stream_options": {CANARY: text}}),
        json!({"best_of": 2, "user": text}),
        json!({"user": {CANARY: text}}),
        json!({"cache_salt": [text]}),
    ] {
        all.push((CHAT, chat(&more)));
    }
    all
}

/// Bodies that are no request at all.
fn broken() -> Vec<Vec<u8>> {
    let text = canary("broken");
    let mut bodies: Vec<Vec<u8>> = [
        format!("{{\"model\": \"tiny\", \"prompt\": \"{text}"),
        format!("{{\"model\": \"tiny\", \"prompt\": {text}}}"),
        format!("\"{text}\""),
        format!("{{\"{text}\": 1, \"{text}\": 2}}"),
        format!("{}\"{text}\"{}", "[".repeat(5000), "]".repeat(5000)),
        format!("{{\"model\": \"tiny\", \"prompt\": \"\\ud800{text}\"}}"),
        text.repeat(600_000),
        String::new(),
    ]
    .map(String::into_bytes)
    .into();
    let mut invalid = format!("{{\"model\": \"tiny\", \"prompt\": \"{text}").into_bytes();
    invalid.extend([0xff, 0xfe, b'"', b'}']);
    bodies.push(invalid);
    bodies
}

/// Neither a refusal nor the header of one repeats what was sent.
async fn refuse(serving: &Serving, path: &str, body: Vec<u8>) {
    let shown = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
    let (status, answer) = serving.post(path, body).await;
    assert!(status < 500, "{path} {shown}: {status} {answer}");
    if status == 200 {
        assert!(path != CHAT, "{shown} should be refused: {answer}");
        return;
    }
    assert_eq!(crate::canary::found_in(answer.as_bytes()), None, "{path} {shown}: {status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_conversation_is_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("tiny.gguf");
    std::fs::write(&model, tiny::gguf(1)).unwrap();
    let serving = Serving::start(&model, &[]).await;
    let mut echoes = 0;
    for (path, body) in answered() {
        let (status, answer) = serving.post(path, body.to_string()).await;
        assert_eq!(status, 200, "{path} {body}: {answer}");
        echoes += usize::from(answer.contains(CANARY));
    }
    assert!(echoes >= 8, "only {echoes} answers held the canary: the test would show nothing of answers");
    for (path, body) in refused() {
        refuse(&serving, path, body.to_string().into_bytes()).await;
    }
    for body in broken() {
        for path in [CHAT, COMPLETIONS, RESPONSES, "/tokenize", "/detokenize"] {
            refuse(&serving, path, body.clone()).await;
        }
    }
    leave(&serving).await;
    raw::attack(&serving).await;
    serving.end().await;
}

/// Headers, paths and queries with canaries, and a client that goes in the middle of its answer.
async fn leave(serving: &Serving) {
    let text = canary("header");
    let url = |path: &str| format!("http://{}{path}", serving.api);
    for path in [&format!("/v1/models/{text}"), &format!("/{text}"), &format!("/v1/models?key={text}"), "/openapi.json"]
    {
        let request =
            serving.client.get(url(path)).bearer_auth(&text).header("cookie", &text).header("x-request-id", &text);
        let answer = request.send().await.unwrap();
        let headers = format!("{:?}", answer.headers());
        let told = format!("{headers}{}", answer.text().await.unwrap());
        assert_eq!(crate::canary::found_in(told.as_bytes()), None, "{path}");
    }
    // HTTP/2, whose library describes each frame at the finest level.
    let http2 = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let body = chat(&json!({CANARY: text})).to_string();
    let answer = http2.post(url(CHAT)).bearer_auth(&text).header(CANARY, &text).body(body).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
    let endless = chat(&json!({"stream": true, "max_tokens": 3000, "ignore_eos": true}));
    let mut stream = serving.client.post(url(CHAT)).body(endless.to_string()).send().await.unwrap();
    stream.chunk().await.unwrap();
}
