//! What a step leads to, and how busy an engine is.

use alcazar_core::{SeqId, TokenId};

use crate::{FinishReason, TokenLogprobs, Usage};

/// What happened to a sequence in a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The model works on it from now on.
    Started {
        /// Which sequence.
        id: SeqId,
    },
    /// Tokens of its prompt were scored; before any token of the answer.
    Scored {
        /// Which sequence.
        id: SeqId,
        /// One token of the prompt, in their order.
        logprobs: TokenLogprobs,
    },
    /// It has one token more.
    Token {
        /// Which sequence.
        id: SeqId,
        /// The token; never a stop token.
        token: TokenId,
        /// How likely it was, when that was asked for.
        logprobs: Option<TokenLogprobs>,
    },
    /// It ended; nothing follows.
    Finished {
        /// Which sequence.
        id: SeqId,
        /// Why.
        reason: FinishReason,
        /// What it took.
        usage: Usage,
    },
    /// It cannot go on; nothing follows. The others do.
    Failed {
        /// Which sequence.
        id: SeqId,
        /// For the log; no prompt in it.
        error: String,
    },
}

/// How busy an engine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Sequences that wait.
    pub waiting: usize,
    /// Sequences that run.
    pub running: usize,
    /// Cache blocks that are taken.
    pub blocks_used: usize,
    /// Cache blocks in all.
    pub blocks_total: usize,
    /// Tokens of a block.
    pub block_tokens: usize,
    /// Sequences that gave their blocks up to older ones, since the start.
    pub preemptions_total: u64,
    /// Tokens of prompts that were looked for in the cache, since the start.
    pub cache_sought_total: u64,
    /// Tokens of prompts that were in the cache already, since the start.
    pub cache_found_total: u64,
    /// Tokens of prompts that were computed, since the start.
    pub prompt_tokens_total: u64,
    /// Tokens of answers, since the start.
    pub generated_tokens_total: u64,
    /// Tokens of answers that were guessed, since the start.
    pub guessed_tokens_total: u64,
    /// Those of them that were right, since the start.
    pub guessed_right_total: u64,
    /// Tokens that the last step computed.
    pub last_step_tokens: usize,
}
