//! How the next token is chosen.

use alcazar_core::TokenId;

use crate::{Refused, request::parameter};

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
    /// Choose among the tokens whose surprise is nearest to the expected one, that together have this probability
    /// (Meister et al., 2022); 1: all.
    pub typical_p: f32,
    /// Added to the scores of these tokens, before anything else is done with them.
    pub logit_bias: Vec<(TokenId, f32)>,
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
            typical_p: 1.0,
            logit_bias: Vec::new(),
        }
    }
}

impl Sampling {
    /// Checks every parameter's range; what is not a number is in none. `vocabulary`: how many tokens there are.
    pub fn check(&self, vocabulary: usize) -> Result<(), Refused> {
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
        if !(self.typical_p > 0.0 && self.typical_p <= 1.0) {
            return Err(parameter("typical_p", self.typical_p, "more than 0, at most 1"));
        }
        if let Some((token, _)) = self.logit_bias.iter().find(|(token, _)| token.index() >= vocabulary) {
            return Err(parameter("logit_bias", format!("for token {token}"), "tokens of the vocabulary"));
        }
        if let Some((_, bias)) = self.logit_bias.iter().find(|(_, bias)| !(-100.0..=100.0).contains(bias)) {
            return Err(parameter("logit_bias", bias, "-100 to 100"));
        }
        Ok(())
    }
}
