//! The seam to whatever knows which texts are allowed: a grammar, a schema. The engine names no library.

use alcazar_core::TokenId;

/// One answer's rules, and how far the answer has come in them.
pub trait Constraint: Send + std::fmt::Debug {
    /// Sets the scores of tokens that may not come next to minus infinity. Tokens that end an answer are the caller's.
    fn mask(&mut self, scores: &mut [f32]) -> Result<(), ConstraintError>;

    /// Whether the answer may end here.
    fn may_end(&mut self) -> Result<bool, ConstraintError>;

    /// Takes the token that was chosen.
    fn advance(&mut self, token: TokenId) -> Result<Progress, ConstraintError>;

    /// An answer of its own from here on.
    fn boxed_clone(&self) -> Box<dyn Constraint>;
}

/// Where an answer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More may come.
    Open,
    /// Nothing may: the answer is complete.
    Complete,
}

/// The rules cannot go on: they are too large to follow, or nothing that the model has fits them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to follow the answer's grammar: {message}")]
pub struct ConstraintError {
    /// For the log; nothing of the answer in it.
    pub message: String,
}

impl Clone for Box<dyn Constraint> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}
