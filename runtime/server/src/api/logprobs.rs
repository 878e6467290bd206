//! Pure: probabilities as the routes word them.

use serde_json::{Value, json};

use crate::{answer::Told, language::Language};

/// Chat: a list of [`entries`].
pub(super) fn chat(tokens: &[Told], language: &dyn Language) -> Value {
    json!({"content": entries(tokens, language), "refusal": null})
}

/// One object for each token.
pub(super) fn entries(tokens: &[Told], language: &dyn Language) -> Vec<Value> {
    let entry = |token, logprob: f32| {
        let told = language.token(token);
        json!({"token": told.text, "logprob": finite(logprob), "bytes": told.bytes})
    };
    let tokens = tokens.iter().filter_map(|told| {
        let logprobs = told.logprobs.as_ref()?;
        let mut one = entry(told.token, logprobs.logprob);
        one["top_logprobs"] = logprobs.top.iter().map(|(token, logprob)| entry(*token, *logprob)).collect();
        Some(one)
    });
    tokens.collect()
}

/// Completions: lists side by side. `offset`: characters of the answer before the first token; moves behind the last.
pub(super) fn completion(tokens: &[Told], offset: &mut usize, language: &dyn Language) -> Value {
    let (mut texts, mut own, mut top, mut offsets) = (vec![], vec![], vec![], vec![]);
    for told in tokens {
        let text = language.token(told.token).text;
        offsets.push(*offset);
        *offset += text.chars().count();
        texts.push(text);
        own.push(told.logprobs.as_ref().map(|logprobs| finite(logprobs.logprob)));
        top.push(told.logprobs.as_ref().map(|logprobs| {
            let likeliest = logprobs.top.iter();
            likeliest
                .map(|(token, logprob)| (language.token(*token).text, json!(finite(*logprob))))
                .collect::<serde_json::Map<_, _>>()
        }));
    }
    json!({"tokens": texts, "token_logprobs": own, "top_logprobs": top, "text_offset": offsets})
}

/// JSON knows no infinity; OpenAI writes this number where a token is out of the question.
const fn finite(logprob: f32) -> f32 {
    logprob.max(-9999.0)
}
