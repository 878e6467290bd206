//! What a sequence is asked for, and why it is refused or ends.

use alcazar_core::TokenId;

/// A prompt and how to go on from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// At least one token.
    pub prompt: Vec<TokenId>,
    /// Most tokens to answer; `None`: to the end of the context.
    pub max_tokens: Option<usize>,
    /// How to choose.
    pub sampling: Sampling,
    /// Tokens that end the answer and are not part of it.
    pub stop_tokens: Vec<TokenId>,
}

/// How the next token is chosen. The defaults are those of OpenAI's API.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0: always the likeliest token.
    pub temperature: f32,
    /// Choose among so many of the likeliest; 0: all.
    pub top_k: usize,
    /// Choose among the likeliest that together have this probability.
    pub top_p: f32,
    /// Leave out tokens that are less likely than this share of the likeliest.
    pub min_p: f32,
    /// Same seed, same prompt: same answer, whatever else is served. `None`: the engine's own.
    pub seed: Option<u64>,
    /// Divides the scores of tokens of the prompt and the answer; 1: off.
    pub repetition_penalty: f32,
    /// Subtracted from a score for each time the token is in the answer.
    pub frequency_penalty: f32,
    /// Subtracted from a score when the token is in the answer.
    pub presence_penalty: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: None,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
        }
    }
}

/// Why a request was not taken. Each text names the field of the API that it is about.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// As many wait as may.
    #[error("the queue is full: {waiting} requests wait, the limit is {limit}; try again later")]
    QueueFull {
        /// Requests that wait.
        waiting: usize,
        /// How many may.
        limit: usize,
    },
    /// So many tokens wait as may.
    #[error("the queue is full: {tokens} prompt tokens wait, the limit is {limit}; try again later")]
    QueueTokensFull {
        /// Tokens of the requests that wait, with this one.
        tokens: usize,
        /// How many may.
        limit: usize,
    },
    /// Nothing to go on from.
    #[error("the prompt has no tokens; send at least one character")]
    PromptEmpty,
    /// No room for an answer.
    #[error("the prompt has {tokens} tokens, the context of {context} leaves no room for an answer; shorten it")]
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens of the context.
        context: usize,
    },
    /// Less room than asked for.
    #[error(
        "max_tokens is {max_tokens}, but the prompt's {tokens} tokens leave {} of the context of {context}; ask for less",
        context - tokens
    )]
    MaxTokensTooLarge {
        /// Tokens asked for.
        max_tokens: usize,
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens of the context.
        context: usize,
    },
    /// A number that is not in the vocabulary.
    #[error("token {token} is not in the vocabulary of {vocabulary}")]
    TokenUnknown {
        /// The number.
        token: u32,
        /// Entries of the vocabulary.
        vocabulary: usize,
    },
    /// A parameter out of its range.
    #[error("{field} is {found}, expected {expected}")]
    Parameter {
        /// As the API calls it.
        field: &'static str,
        /// What came.
        found: String,
        /// What may come.
        expected: &'static str,
    },
}

impl Refused {
    /// Whether the same request may be taken later.
    pub const fn is_overload(&self) -> bool {
        matches!(self, Self::QueueFull { .. } | Self::QueueTokensFull { .. })
    }

    /// The field of the API that the refusal is about, if there is one.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::QueueFull { .. } | Self::QueueTokensFull { .. } => None,
            Self::PromptEmpty | Self::PromptTooLong { .. } | Self::TokenUnknown { .. } => Some("prompt"),
            Self::MaxTokensTooLarge { .. } => Some("max_tokens"),
            Self::Parameter { field, .. } => Some(field),
        }
    }
}

impl Request {
    /// Checks what can be checked without a queue.
    pub fn check(&self, context: usize, vocabulary: usize) -> Result<(), Refused> {
        let tokens = self.prompt.len();
        if tokens == 0 {
            return Err(Refused::PromptEmpty);
        }
        if tokens >= context {
            return Err(Refused::PromptTooLong { tokens, context });
        }
        if let Some(token) = self.prompt.iter().find(|token| token.index() >= vocabulary) {
            return Err(Refused::TokenUnknown { token: token.0, vocabulary });
        }
        match self.max_tokens {
            Some(0) => Err(parameter("max_tokens", 0, "at least 1")),
            Some(max_tokens) if max_tokens > context - tokens => {
                Err(Refused::MaxTokensTooLarge { max_tokens, tokens, context })
            }
            _ => self.sampling.check(),
        }
    }
}

impl Sampling {
    /// Checks every parameter's range; what is not a number is in none.
    pub fn check(&self) -> Result<(), Refused> {
        if !(0.0..=10.0).contains(&self.temperature) {
            return Err(parameter("temperature", self.temperature, "0 to 10"));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(parameter("top_p", self.top_p, "more than 0, at most 1"));
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return Err(parameter("min_p", self.min_p, "0 to 1"));
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty <= 10.0) {
            return Err(parameter("repetition_penalty", self.repetition_penalty, "more than 0, at most 10"));
        }
        if !(-2.0..=2.0).contains(&self.frequency_penalty) {
            return Err(parameter("frequency_penalty", self.frequency_penalty, "-2 to 2"));
        }
        if !(-2.0..=2.0).contains(&self.presence_penalty) {
            return Err(parameter("presence_penalty", self.presence_penalty, "-2 to 2"));
        }
        Ok(())
    }
}

fn parameter(field: &'static str, found: impl std::fmt::Display, expected: &'static str) -> Refused {
    Refused::Parameter { field, found: found.to_string(), expected }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// A stop token.
    Stop,
    /// `max_tokens`, or the end of the context.
    Length,
}

impl FinishReason {
    /// As OpenAI's API calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// What a sequence took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the answer; a stop token is not counted.
    pub completion_tokens: usize,
    /// Tokens of the prompt that were in the cache already.
    pub cached_tokens: usize,
}
