//! What clients send.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// A conversation to answer.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct ChatRequest {
    /// The name that `/v1/models` lists.
    pub model: String,
    /// At least one.
    #[schemars(length(min = 1))]
    pub messages: Vec<Message>,
    #[serde(flatten)]
    pub knobs: Knobs,
    #[serde(flatten)]
    pub chat: ChatKnobs,
    #[serde(flatten)]
    pub formats: Formats,
    /// Whether to tell how likely each token was.
    pub logprobs: Option<bool>,
    /// How many of the likeliest tokens to tell in the place of each; needs `logprobs`.
    #[schemars(range(min = 0, max = 20))]
    pub top_logprobs: Option<u8>,
}

/// What a conversation has beside its messages.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct ChatKnobs {
    /// Functions that the model may call.
    pub tools: Option<Vec<Tool>>,
    /// `none`, `auto`, `required`, or an object that names a function.
    pub tool_choice: Option<Value>,
    /// Whether one answer may hold several calls.
    pub parallel_tool_calls: Option<bool>,
    /// Whether the answer is to follow; templates put the assistant's beginning then.
    pub add_generation_prompt: Option<bool>,
    /// Variables for the model's template.
    pub chat_template_kwargs: Option<Map<String, Value>>,
    /// For templates that know it.
    pub reasoning_effort: Option<String>,
}

/// Prompts to continue.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct CompletionRequest {
    /// The name that `/v1/models` lists.
    pub model: String,
    pub prompt: Prompt,
    #[serde(flatten)]
    pub knobs: Knobs,
    #[serde(flatten)]
    pub formats: Formats,
    /// Whether the answer begins with its prompt; with `logprobs` the prompt's tokens are told, too.
    pub echo: Option<bool>,
    /// How many of the likeliest tokens to tell in the place of each.
    #[schemars(range(min = 0, max = 20))]
    pub logprobs: Option<u8>,
    /// Whether the model's own beginning is put before a prompt of text.
    pub add_special_tokens: Option<bool>,
}

/// Text, several texts, tokens, or several lists of tokens.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
pub(in crate::api) enum Prompt {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

/// One message of a conversation.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct Message {
    pub role: Role,
    /// A string, or parts of the type `text`.
    pub content: Option<Value>,
    pub name: Option<String>,
    /// Which call a message of a tool answers.
    pub tool_call_id: Option<String>,
    /// Calls that the assistant made.
    pub tool_calls: Option<Vec<Map<String, Value>>>,
    /// What the assistant thought.
    pub reasoning_content: Option<String>,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::api) enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

/// A function that the model may call.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct Tool {
    pub r#type: ToolKind,
    pub function: Function,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::api) enum ToolKind {
    Function,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct Function {
    #[schemars(regex(pattern = r"^[a-zA-Z0-9_-]{1,64}$"))]
    pub name: String,
    pub description: Option<String>,
    /// A JSON schema.
    pub parameters: Option<Map<String, Value>>,
    pub strict: Option<bool>,
}

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

/// Items to answer, without a memory.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct ResponseRequest {
    /// The name that `/v1/models` lists.
    pub model: String,
    /// A string, or a list of messages, calls and their outputs.
    pub input: Value,
    pub instructions: Option<String>,
    #[schemars(range(min = 1))]
    pub max_output_tokens: Option<u32>,
    #[schemars(range(min = 0, max = 2))]
    pub temperature: Option<f32>,
    #[schemars(range(max = 1))]
    pub top_p: Option<f32>,
    pub stream: Option<bool>,
    /// `format`: as `response_format` of the chat route, the schema beside its name.
    pub text: Option<Map<String, Value>>,
    /// Functions, their fields beside the type.
    pub tools: Option<Vec<Map<String, Value>>>,
    pub tool_choice: Option<Value>,
    pub parallel_tool_calls: Option<bool>,
    /// `effort`, for templates that know it.
    pub reasoning: Option<Map<String, Value>>,
    pub include: Option<Vec<String>>,
    /// Only false: nothing is kept.
    pub store: Option<bool>,
    /// Only `disabled`.
    pub truncation: Option<String>,
    pub metadata: Option<Map<String, Value>>,
    pub user: Option<String>,
}

/// Text or a conversation to count.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct TokenizeRequest {
    pub model: Option<String>,
    pub prompt: Option<String>,
    /// In the place of a prompt.
    pub messages: Option<Vec<Message>>,
    pub add_special_tokens: Option<bool>,
    pub return_token_strs: Option<bool>,
    pub add_generation_prompt: Option<bool>,
    pub chat_template_kwargs: Option<Map<String, Value>>,
}

/// Tokens to turn into text.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct DetokenizeRequest {
    pub model: Option<String>,
    pub tokens: Vec<u32>,
}
