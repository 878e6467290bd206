//! What a sequence is asked for, and why it is refused or ends.

use alcazar_core::{AdapterId, TokenId};

use crate::{Constraint, Sampling};

/// A prompt and how to go on from it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// At least one token.
    pub prompt: Vec<TokenId>,
    /// Most tokens to answer; `None`: to the end of the context. 0 only when the prompt is to be scored.
    pub max_tokens: Option<usize>,
    /// Fewest tokens to answer: stop tokens are not chosen before.
    pub min_tokens: usize,
    /// How to choose.
    pub sampling: Sampling,
    /// Tokens that end the answer and are not part of it.
    pub stop_tokens: Vec<TokenId>,
    /// Tell the probability of each token of the answer, and of so many of the likeliest in its place.
    pub logprobs: Option<usize>,
    /// Tell the same of the prompt's tokens, from the second on.
    pub scores_prompt: bool,
    /// What the answer must look like.
    pub constraint: Option<Box<dyn Constraint>>,
    /// The adapter that it is computed with; `None`: the model as it is. Requests share what is in the cache only with
    /// those of the same adapter.
    pub adapter: Option<AdapterId>,
    /// Only requests with the same salt share what is in the cache. How fast a prompt is answered tells whether somebody
    /// asked the like before: who serves several tenants gives each a salt of its own. Beside secrecy, whatever else the
    /// keys and values of the same tokens depend on belongs in here.
    pub cache_salt: Option<String>,
    /// In the queue tenants take turns; who names none is one tenant with all who do not.
    pub tenant: Option<String>,
    /// Computes each token, whatever is in the cache and however well the answer could be guessed: for who measures.
    pub computes_all: bool,
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
    /// An adapter that the model was not loaded with.
    #[error("the request names adapter {adapter} of {n_adapters}; name one that is served")]
    AdapterUnknown {
        /// Its number, from 0 on.
        adapter: u32,
        /// Adapters of the model.
        n_adapters: usize,
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
            Self::AdapterUnknown { .. } => Some("model"),
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
            Some(0) if !self.scores_prompt => Err(parameter("max_tokens", 0, "at least 1")),
            Some(max_tokens) if self.min_tokens > max_tokens => {
                Err(parameter("min_tokens", self.min_tokens, "at most max_tokens"))
            }
            Some(max_tokens) if max_tokens > context - tokens => {
                Err(Refused::MaxTokensTooLarge { max_tokens, tokens, context })
            }
            _ => self.sampling.check(vocabulary),
        }
    }
}

/// Most tokens whose probability is told in the place of one.
pub const MAX_LOGPROBS: usize = 20;

pub(crate) fn parameter(field: &'static str, found: impl std::fmt::Display, expected: &'static str) -> Refused {
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
