//! Tokens for who wants to count them.

use super::*;

#[tokio::test]
async fn prompts_and_conversations_become_tokens_and_back() {
    let test = TestApp::serving(Setup::default());
    let told = post(&test, "/tokenize", completion("hi", json!({"return_token_strs": true}))).await.json();
    let expected = json!({"count": 2, "max_model_len": 2000, "tokens": [104, 105], "token_strs": ["h", "i"]});
    assert_eq!(told, expected);
    let told = post(&test, "/tokenize", json!({"messages": [{"role": "user", "content": "hi"}]})).await.json();
    assert_eq!((&told["count"], &told["token_strs"]), (&json!(2), &Value::Null));
    let told = post(&test, "/detokenize", json!({"model": "bytes", "tokens": [104, 105, 256]})).await.json();
    assert_eq!(told, json!({"prompt": "hi"}));
    assert_eq!(test.in_flight(), 0);
    for (path, body, status, param) in [
        ("/tokenize", json!({"model": "other", "prompt": "x"}), 404, "model"),
        ("/tokenize", json!({}), 400, "messages"),
        ("/tokenize", json!({"prompt": 5}), 400, "prompt"),
        ("/detokenize", json!({}), 400, "tokens"),
        ("/detokenize", json!({"tokens": [1, "a"]}), 400, "tokens[1]"),
        ("/detokenize", json!({"tokens": [1, 257]}), 400, "tokens[1]"),
    ] {
        let told = post(&test, path, body.clone()).await;
        assert_eq!((told.status, told.json()["error"]["param"].as_str()), (status, Some(param)), "{body}");
    }
}
