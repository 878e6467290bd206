//! What clients get. Objects may hold more than is named here.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// `{"error": …}`.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct ErrorAnswer {
    pub error: ErrorBody,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct ErrorBody {
    /// What was found, what was expected, what to do.
    pub message: String,
    pub r#type: String,
    /// The field at fault.
    pub param: Option<String>,
    /// A stable word.
    pub code: String,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct ModelList {
    pub object: String,
    pub data: Vec<ModelAnswer>,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct ModelAnswer {
    pub id: String,
    pub object: String,
    /// Seconds since 1970.
    pub created: u64,
    pub owned_by: String,
    /// Where an adapter lies; of the model, its name.
    pub root: String,
    /// The model whose adapter it is; null: it is the model.
    pub parent: Option<String>,
    /// Tokens of prompt and answer; null while the model loads.
    pub max_model_len: Option<u64>,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct ChatAnswer {
    pub id: String,
    pub object: String,
    pub created: u64,
    pub model: String,
    pub choices: Vec<ChatChoice>,
    pub usage: UsageAnswer,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct ChatChoice {
    pub index: u32,
    pub message: ChatMessage,
    pub logprobs: Option<Value>,
    /// `stop`, `length` or `tool_calls`.
    pub finish_reason: String,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct ChatMessage {
    pub role: String,
    pub content: Option<String>,
    pub reasoning_content: Option<String>,
    pub tool_calls: Option<Vec<Map<String, Value>>>,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct CompletionAnswer {
    pub id: String,
    pub object: String,
    pub created: u64,
    pub model: String,
    pub choices: Vec<CompletionChoice>,
    pub usage: UsageAnswer,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct CompletionChoice {
    pub index: u32,
    pub text: String,
    pub logprobs: Option<Value>,
    /// `stop` or `length`.
    pub finish_reason: String,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct UsageAnswer {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
    /// `reasoning_tokens`: those of the answer that were thoughts.
    pub completion_tokens_details: Option<Map<String, Value>>,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct ResponseAnswer {
    pub id: String,
    pub object: String,
    pub created_at: u64,
    /// `completed` or `incomplete`.
    pub status: String,
    pub model: String,
    /// Messages, reasoning, function calls.
    pub output: Vec<Map<String, Value>>,
    pub usage: Option<Map<String, Value>>,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct TokenizeAnswer {
    pub count: u64,
    pub max_model_len: u64,
    pub tokens: Vec<u32>,
    pub token_strs: Option<Vec<String>>,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct DetokenizeAnswer {
    pub prompt: String,
}
