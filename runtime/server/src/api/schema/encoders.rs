//! What clients send to encoders, and what they get.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// Texts, each alone.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
pub(in crate::api) enum Texts {
    One(String),
    Many(Vec<String>),
    Tokens(Vec<u32>),
    ManyTokens(Vec<Vec<u32>>),
}

/// What all requests to encoders may have.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct Cut {
    /// Whether texts that are too long are cut; else they are refused.
    pub truncate: Option<bool>,
    /// Any number: as `truncate`.
    #[schemars(range(min = -1, max = 4_294_967_295u64))]
    pub truncate_prompt_tokens: Option<i64>,
}

/// Texts to make vectors of.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct EmbeddingRequest {
    /// The name that `/v1/models` lists.
    pub model: String,
    pub input: Texts,
    /// `float`, or `base64` for little-endian f32.
    pub encoding_format: Option<String>,
    /// Only the first so many elements, at length 1 again.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub dimensions: Option<u32>,
    #[serde(flatten)]
    pub cut: Cut,
}

/// Documents to order by what they have to do with a query.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct RerankRequest {
    /// The name that `/v1/models` lists.
    pub model: String,
    pub query: String,
    /// Texts, or objects with `text`.
    #[schemars(length(min = 1, max = 2048))]
    pub documents: Vec<Value>,
    #[schemars(range(min = 1))]
    pub top_n: Option<u32>,
    pub return_documents: Option<bool>,
    #[serde(flatten)]
    pub cut: Cut,
}

/// Texts, or pairs of them, to label.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct ClassifyRequest {
    /// The name that `/v1/models` lists.
    pub model: String,
    /// A text, or a list of texts and pairs.
    pub input: Value,
    #[serde(flatten)]
    pub cut: Cut,
}

/// Texts with words to guess.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct FillMaskRequest {
    /// The name that `/v1/models` lists.
    pub model: String,
    pub input: Texts,
    /// How many guesses for each word.
    #[schemars(range(min = 1, max = 1000))]
    pub top_k: Option<u32>,
    #[serde(flatten)]
    pub cut: Cut,
}

/// A question, and a text that holds the answer.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct QuestionRequest {
    /// The name that `/v1/models` lists.
    pub model: String,
    pub question: String,
    pub context: String,
    #[schemars(range(min = 1, max = 1_048_576))]
    pub max_answer_tokens: Option<u32>,
    #[serde(flatten)]
    pub cut: Cut,
}

/// One entry for each text.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct ListAnswer {
    pub object: String,
    pub model: String,
    pub data: Vec<Map<String, Value>>,
    pub usage: EncoderUsage,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct EncoderUsage {
    pub prompt_tokens: u64,
    pub total_tokens: u64,
}

/// The best first.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct RerankAnswer {
    pub id: String,
    pub model: String,
    pub results: Vec<Ranked>,
    pub usage: EncoderUsage,
}

#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct Ranked {
    /// Place in the request.
    pub index: u64,
    pub relevance_score: f32,
    pub document: Option<Map<String, Value>>,
}

/// A stretch of the context, in characters.
#[derive(JsonSchema, Serialize)]
pub(in crate::api) struct QuestionAnswer {
    pub id: String,
    pub model: String,
    pub answer: String,
    pub score: f32,
    pub start: u64,
    pub end: u64,
    pub usage: EncoderUsage,
}
