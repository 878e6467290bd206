//! What a step did, for whoever owns the streams.

use alcazar_core::{SeqId, TokenId};

/// One thing that happened to one sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A token for the reader. A stop token is never emitted.
    Token {
        /// Whose.
        id: SeqId,
        /// Which.
        token: TokenId,
    },
    /// The sequence is complete; nothing follows.
    Finished {
        /// Whose.
        id: SeqId,
        /// Why.
        reason: FinishReason,
        /// What it cost.
        usage: Usage,
    },
    /// The model failed on it; nothing follows.
    Failed {
        /// Whose.
        id: SeqId,
        /// For the log: no text of the user.
        error: String,
    },
}

/// Why a sequence is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model said so by a stop token.
    Stop,
    /// `max_tokens`, or the context is full.
    Length,
}

impl FinishReason {
    /// As the OpenAI API spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// Tokens of one sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens generated, the stop token not counted.
    pub completion_tokens: usize,
    /// Tokens of the prompt that were found in the cache.
    pub cached_tokens: usize,
}

/// The engine's gauges and counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Sequences that wait for room.
    pub waiting: usize,
    /// Sequences in the batch.
    pub running: usize,
    /// Cache blocks in use.
    pub blocks_used: usize,
    /// Cache blocks in all.
    pub blocks_total: usize,
    /// Tokens per block.
    pub block_tokens: usize,
    /// Sequences put back because an older one needed their blocks.
    pub preemptions_total: u64,
    /// Tokens of accepted prompts.
    pub prompt_tokens_total: u64,
    /// Tokens emitted.
    pub generated_tokens_total: u64,
}
