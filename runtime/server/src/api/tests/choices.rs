//! Several answers, probabilities, echoes, biases: what a request may ask to be told.

use super::*;

/// Texts by the index of their choice.
fn texts(answer: &Value) -> Vec<&str> {
    let choices = answer["choices"].as_array().unwrap();
    assert!(choices.iter().enumerate().all(|(n, choice)| choice["index"] == n));
    choices.iter().map(|choice| choice["text"].as_str().or(choice["message"]["content"].as_str()).unwrap()).collect()
}

#[tokio::test]
async fn one_request_may_have_several_answers() {
    let test = TestApp::serving(Setup::default());
    let answer = post(&test, CHAT, chat("w", json!({"n": 3}))).await.json();
    assert_eq!(texts(&answer), ["xyz"; 3]);
    assert_eq!(
        answer["usage"],
        json!({
            "prompt_tokens": 1, "completion_tokens": 9, "total_tokens": 10, "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        })
    );
    let body = completion(json!(["w", "X", "u"]), json!({"n": 2, "max_tokens": 3, "stop": "C"}));
    let answer = post(&test, COMPLETIONS, body).await.json();
    assert_eq!(texts(&answer), ["xyz", "xyz", "YZA", "YZA", "vwx", "vwx"]);
    assert_eq!(answer["usage"]["prompt_tokens"], 3, "each prompt once");
    let answer = post(&test, COMPLETIONS, completion(json!([[119], [88]]), json!({"max_tokens": 2}))).await.json();
    assert_eq!(texts(&answer), ["xy", "YZ"]);
}

#[tokio::test]
async fn several_answers_are_streamed_by_their_index() {
    let test = TestApp::serving(Setup::default());
    let more = json!({"n": 3, "stream": true, "stream_options": {"include_usage": true}});
    let events = post(&test, CHAT, chat("w", more)).await.events();
    for index in 0..3 {
        let of: Vec<&Value> = events.iter().map(|event| &event["choices"][0]).filter(|c| c["index"] == index).collect();
        assert_eq!(of[0]["delta"]["role"], "assistant");
        let whole: String = of.iter().filter_map(|choice| choice["delta"]["content"].as_str()).collect();
        assert_eq!((whole.as_str(), &of.last().unwrap()["finish_reason"]), ("xyz", &json!("stop")));
    }
    assert_eq!(events.last().unwrap()["usage"]["completion_tokens"], 9);
}

#[tokio::test]
async fn seeds_give_each_choice_its_own_answer_and_always_the_same() {
    let test = TestApp::serving(Setup::default());
    let ask = async |n: usize, seed: u32| {
        let more = json!({"seed": seed, "n": n, "max_tokens": 12});
        let answer = post(&test, COMPLETIONS, completion("0", more)).await.json();
        texts(&answer).into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let ((one, three), (again, other)) =
        tokio::join!(async { tokio::join!(ask(1, 5), ask(3, 5)) }, async { (ask(3, 5).await, ask(1, 9).await) },);
    assert_eq!((&one[0], &three), (&three[0], &again), "whatever else is served");
    assert!(three[0] != three[1] && three[1] != three[2] && one != other);
}

#[tokio::test]
async fn chat_tells_probabilities_token_by_token() {
    let test = TestApp::serving(Setup::default());
    let more = json!({"logprobs": true, "top_logprobs": 2, "stop": "z"});
    let answer = post(&test, CHAT, chat("w", more.clone())).await.json();
    let content = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "xy");
    assert_eq!(content.len(), 2, "what the stop string took is not told");
    assert_eq!(
        (&content[0]["token"], &content[0]["bytes"], &content[0]["logprob"]),
        (&json!("x"), &json!([120]), &json!(0.0))
    );
    assert_eq!(content[0]["top_logprobs"].as_array().unwrap().len(), 2);
    assert_eq!(content[0]["top_logprobs"][0]["token"], "x");
    let mut body = chat("w", more);
    merge(&mut body, json!({"stream": true}));
    let events = post(&test, CHAT, body).await.events();
    let streamed: Vec<Value> = events
        .iter()
        .filter_map(|event| event["choices"][0]["logprobs"]["content"].as_array())
        .flatten()
        .cloned()
        .collect();
    assert_eq!(&streamed, content);
    let plain = post(&test, CHAT, chat("w", json!({}))).await.json();
    assert_eq!(plain["choices"][0]["logprobs"], Value::Null);
}

#[tokio::test]
async fn completions_tell_probabilities_of_prompt_and_answer() {
    let test = TestApp::serving(Setup::default());
    let body = completion("ab", json!({"echo": true, "logprobs": 1, "max_tokens": 2}));
    let answer = post(&test, COMPLETIONS, body).await.json();
    let (choice, told) = (&answer["choices"][0], &answer["choices"][0]["logprobs"]);
    assert_eq!(choice["text"], "abcd");
    assert_eq!(told["tokens"], json!(["a", "b", "c", "d"]));
    assert_eq!(told["token_logprobs"], json!([null, 0.0, 0.0, 0.0]));
    assert_eq!(told["text_offset"], json!([0, 1, 2, 3]));
    assert_eq!((&told["top_logprobs"][0], &told["top_logprobs"][1]), (&Value::Null, &json!({"b": 0.0})));
    // As evaluations ask: nothing but the prompt's own probabilities.
    let body = completion(json!([97, 120, 121]), json!({"echo": true, "logprobs": 0, "max_tokens": 0}));
    let answer = post(&test, COMPLETIONS, body).await.json();
    let told = &answer["choices"][0]["logprobs"]["token_logprobs"];
    assert_eq!((&told[1], &told[2]), (&json!(-1000.0), &json!(0.0)));
    assert_eq!(answer["usage"]["completion_tokens"], 0);
}

#[tokio::test]
async fn an_echo_comes_first() {
    let test = TestApp::serving(Setup::default());
    for more in [json!({}), json!({"logprobs": 1})] {
        let mut more = more;
        merge(&mut more, json!({"echo": true, "max_tokens": 2, "stream": true}));
        let events = post(&test, COMPLETIONS, completion(json!([[65, 66]]), more)).await.events();
        let pieces: Vec<&str> = events.iter().filter_map(|event| event["choices"][0]["text"].as_str()).collect();
        assert_eq!((pieces[0], pieces.concat().as_str()), ("AB", "ABCD"));
    }
    let only = post(&test, COMPLETIONS, completion("AB", json!({"echo": true, "max_tokens": 0}))).await.json();
    assert_eq!((&only["choices"][0]["text"], &only["choices"][0]["logprobs"]), (&json!("AB"), &Value::Null));
}

#[tokio::test]
async fn ends_may_be_added_and_put_off() {
    let test = TestApp::serving(Setup::default());
    let check = async |more: Value, text: &str, reason: &str| {
        let answer = post(&test, CHAT, chat("t", more.clone())).await.json();
        let choice = &answer["choices"][0];
        assert_eq!(
            (choice["message"]["content"].as_str(), choice["finish_reason"].as_str()),
            (Some(text), Some(reason)),
            "{more}"
        );
    };
    check(json!({"stop_token_ids": [120]}), "uvw", "stop").await;
    check(json!({"stop": "w"}), "uv", "stop").await;
    check(json!({"stop": ["w", "y"], "min_tokens": 3}), "uvwx", "stop").await;
    check(json!({"logit_bias": {"117": -100, "250": 100}, "temperature": 0, "max_tokens": 1}), "u", "length").await;
    let answer = post(&test, CHAT, chat("y", json!({"min_tokens": 5, "max_tokens": 8}))).await.json();
    assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() >= 5, "{answer}");
    let answer = post(&test, CHAT, chat("y", json!({"ignore_eos": true, "max_tokens": 8}))).await.json();
    assert_eq!(answer["usage"]["completion_tokens"], 8);
}

#[tokio::test]
async fn a_prompt_that_was_sent_before_is_found_by_who_has_the_same_salt() {
    let test = TestApp::serving(Setup::default());
    let cached = async |salt: Value| {
        let body = completion(json!("w".repeat(100)), json!({"max_tokens": 1, "cache_salt": salt}));
        post(&test, COMPLETIONS, body).await.json()["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap()
    };
    assert_eq!((cached(json!(null)).await, cached(json!("a")).await), (0, 0));
    let found = cached(json!("a")).await;
    assert!((50..100).contains(&found), "{found}");
    assert_eq!(cached(json!("b")).await, 0);
    assert_eq!(test.metric("vllm:prefix_cache_queries_total", &[]), 400);
    assert_eq!(test.metric("vllm:prefix_cache_hits_total", &[]), found);
}
