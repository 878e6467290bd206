//! A grammar as the engine's constraint.

use std::sync::Arc;

use alcazar_core::TokenId;
use alcazar_engine::{Constraint, ConstraintError, Progress};
use alcazar_text::{GrammarError, GrammarState};

use crate::language::Language;

/// Ends a model's thoughts; the grammar is for what follows.
const THOUGHTS_END: &str = "</think>";

/// What one answer must look like.
#[derive(Clone)]
pub(crate) struct GrammarConstraint {
    state: GrammarState,
    /// While the model thinks: its language, and the end of what it thought.
    thoughts: Option<(Arc<dyn Language>, String)>,
}

impl GrammarConstraint {
    /// From the first token on.
    pub(crate) const fn new(state: GrammarState) -> Self {
        Self { state, thoughts: None }
    }

    /// From the end of the model's thoughts on, in which it is when the answer begins.
    pub(crate) const fn after_thoughts(state: GrammarState, language: Arc<dyn Language>) -> Self {
        Self { state, thoughts: Some((language, String::new())) }
    }
}

impl Constraint for GrammarConstraint {
    fn mask(&mut self, scores: &mut [f32]) -> Result<(), ConstraintError> {
        if self.thoughts.is_some() {
            return Ok(());
        }
        self.state.mask(scores).map_err(|error| failed(&error))
    }

    fn may_end(&mut self) -> Result<bool, ConstraintError> {
        if self.thoughts.is_some() {
            return Ok(false);
        }
        self.state.may_end().map_err(|error| failed(&error))
    }

    fn advance(&mut self, token: TokenId) -> Result<Progress, ConstraintError> {
        if let Some((language, thought)) = &mut self.thoughts {
            thought.push_str(&language.token(token).text);
            if thought.contains(THOUGHTS_END) {
                self.thoughts = None;
            } else if let Some(old) = thought.len().checked_sub(THOUGHTS_END.len()) {
                thought.drain(..thought.floor_char_boundary(old));
            }
            return Ok(Progress::Open);
        }
        let is_complete = self.state.advance(token).map_err(|error| failed(&error))?;
        Ok(if is_complete { Progress::Complete } else { Progress::Open })
    }

    fn boxed_clone(&self) -> Box<dyn Constraint> {
        Box::new(self.clone())
    }
}

fn failed(error: &GrammarError) -> ConstraintError {
    ConstraintError { message: error.to_string() }
}

impl std::fmt::Debug for GrammarConstraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrammarConstraint").field("thinks", &self.thoughts.is_some()).finish_non_exhaustive()
    }
}
