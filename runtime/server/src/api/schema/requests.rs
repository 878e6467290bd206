//! What clients send.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::knobs::{Formats, Knobs};

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
    pub tool_choice: Option<ToolChoice>,
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
    pub content: Option<Content>,
    pub name: Option<String>,
    /// Which call a message of a tool answers.
    pub tool_call_id: Option<String>,
    /// Calls that the assistant made.
    pub tool_calls: Option<Vec<Map<String, Value>>>,
    /// What the assistant thought.
    pub reasoning_content: Option<String>,
}

/// A string, or parts of it, a line each.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
pub(in crate::api) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct Part {
    pub r#type: PartKind,
    pub text: String,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum PartKind {
    Text,
    InputText,
    OutputText,
}

/// Whether the model calls.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
pub(in crate::api) enum ToolChoice {
    Word(ToolChoiceWord),
    /// `{"type": "function", "function": {"name": …}}`
    Named(Map<String, Value>),
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::api) enum ToolChoiceWord {
    None,
    Auto,
    Required,
}

/// A string, or a list of messages, calls and their outputs.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
pub(in crate::api) enum ResponseInput {
    Text(String),
    Messages(Vec<Message>),
    Items(Vec<Map<String, Value>>),
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

/// Items to answer, without a memory.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct ResponseRequest {
    /// The name that `/v1/models` lists.
    pub model: String,
    pub input: ResponseInput,
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
    pub tool_choice: Option<ToolChoice>,
    pub parallel_tool_calls: Option<bool>,
    /// `effort`, for templates that know it.
    pub reasoning: Option<Map<String, Value>>,
    pub include: Option<Vec<String>>,
    /// How many of the likeliest tokens to tell beside each of a message.
    #[schemars(range(max = 20))]
    pub top_logprobs: Option<u8>,
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
