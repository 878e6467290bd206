//! What chat and completions share: how answers are made, and what they must look like.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// What an answer must look like; at most one of these.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct Formats {
    /// `{"type": "text"}`, `json_object`, or `json_schema` with the schema.
    pub response_format: Option<Map<String, Value>>,
    /// vLLM's form: an object with one of `json`, `regex`, `choice`, `grammar`, `json_object`.
    pub structured_outputs: Option<Map<String, Value>>,
    /// A JSON schema.
    pub guided_json: Option<Map<String, Value>>,
    /// A regular expression for the whole answer.
    pub guided_regex: Option<String>,
    /// Answers to choose among.
    pub guided_choice: Option<Vec<String>>,
    /// A grammar in llguidance's form of Lark.
    pub guided_grammar: Option<String>,
}

/// How answers are made.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct Knobs {
    /// Most tokens to answer.
    #[schemars(range(min = 0))]
    pub max_tokens: Option<u32>,
    /// The newer name of `max_tokens`.
    #[schemars(range(min = 1))]
    pub max_completion_tokens: Option<u32>,
    /// Fewest tokens to answer.
    pub min_tokens: Option<u32>,
    /// 0: always the likeliest token.
    #[schemars(range(min = 0, max = 2))]
    pub temperature: Option<f32>,
    /// Choose among so many of the likeliest; 0 and -1: all.
    #[schemars(range(min = -1))]
    pub top_k: Option<i64>,
    /// Choose among the likeliest that together have this probability.
    #[schemars(range(max = 1))]
    pub top_p: Option<f32>,
    /// Leave out tokens less likely than this share of the likeliest.
    #[schemars(range(min = 0, max = 1))]
    pub min_p: Option<f32>,
    /// Choose among the least surprising in the sense of locally typical sampling.
    #[schemars(range(max = 1))]
    pub typical_p: Option<f32>,
    /// Same seed, same request: same answer, whatever else is served.
    pub seed: Option<i64>,
    /// Divides the scores of tokens of prompt and answer; 1: off.
    #[schemars(range(min = 0.01, max = 10))]
    pub repetition_penalty: Option<f32>,
    #[schemars(range(min = -2, max = 2))]
    pub frequency_penalty: Option<f32>,
    #[schemars(range(min = -2, max = 2))]
    pub presence_penalty: Option<f32>,
    /// Bias of tokens, by their numbers, from -100 to 100.
    pub logit_bias: Option<BTreeMap<String, f32>>,
    /// A string or up to 16 strings that end the answer.
    pub stop: Option<Value>,
    /// Tokens that end the answer.
    #[schemars(length(max = 64))]
    pub stop_token_ids: Option<Vec<u32>>,
    /// Whether the model's own end is not one.
    pub ignore_eos: Option<bool>,
    /// Answers to each prompt.
    #[schemars(range(min = 1, max = 128))]
    pub n: Option<u8>,
    /// Whether the answer is sent as it comes.
    pub stream: Option<bool>,
    pub stream_options: Option<StreamOptions>,
    /// Only requests with the same salt share the cache of prompts, whose effect on speed can be seen from outside.
    pub cache_salt: Option<String>,
    /// While requests wait, those of different users take turns.
    pub user: Option<String>,
    /// Checked, and nothing follows from it.
    pub metadata: Option<Map<String, Value>>,
    pub store: Option<bool>,
    pub service_tier: Option<String>,
    pub safety_identifier: Option<String>,
    pub prompt_cache_key: Option<String>,
}

/// Only with `stream`.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct StreamOptions {
    /// Whether a last chunk tells what the request took.
    pub include_usage: Option<bool>,
}
