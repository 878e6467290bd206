//! One pass of the model, and who is at fault when it fails.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use alcazar_core::{BackendError, Batch, Logits, Sequence};

use super::Engine;
use crate::Effect;

/// Passes in a row that may panic whatever they are given; after so many it is the model that is broken.
const MAX_PANICS: u32 = 3;

/// What a pass ended in, if not in scores.
enum Fault {
    Error(BackendError),
    Panic(Box<dyn std::any::Any + Send>),
}

impl Engine {
    /// Computes a batch and hands each row to its sequence. A batch that fails as a whole says nothing about who is at
    /// fault, so each of its sequences is computed again alone: a pass writes the same places with the same values.
    pub(super) fn forward(&mut self, batch: &Batch, effects: &mut Vec<Effect>) {
        match self.pass(batch) {
            Ok(logits) => self.take_rows(batch, &logits, effects),
            Err(fault) if batch.sequences.len() == 1 => self.fail_alone(batch, fault, effects),
            Err(fault) => {
                tracing::error!(error = fault.text(), n_sequences = batch.sequences.len(), "a step failed; each alone");
                for sequence in &batch.sequences {
                    let part = part(batch, sequence);
                    match self.pass(&part) {
                        Ok(logits) => self.take_rows(&part, &logits, effects),
                        Err(fault) => self.fail_alone(&part, fault, effects),
                    }
                }
            }
        }
    }

    fn pass(&mut self, batch: &Batch) -> Result<Logits, Fault> {
        // The model keeps nothing across passes but its cache, whose blocks the failed sequences give back.
        match catch_unwind(AssertUnwindSafe(|| self.model.forward(batch))) {
            Ok(Ok(logits)) => {
                self.n_panics = 0;
                Ok(logits)
            }
            Ok(Err(error)) => Err(Fault::Error(error)),
            Err(panic) => Err(Fault::Panic(panic)),
        }
    }

    fn take_rows(&mut self, batch: &Batch, logits: &Logits, effects: &mut Vec<Effect>) {
        let mut sequences = batch.sequences.iter().peekable();
        for (nth, row) in batch.logit_rows.iter().enumerate() {
            while sequences.next_if(|sequence| sequence.first_row + sequence.n_tokens <= *row).is_some() {}
            let Some(sequence) = sequences.peek() else { return };
            self.take_row(sequence.id, sequence.start + row - sequence.first_row, logits.row(nth), effects);
        }
    }

    fn fail_alone(&mut self, batch: &Batch, fault: Fault, effects: &mut Vec<Effect>) {
        let text = fault.text();
        for sequence in &batch.sequences {
            tracing::error!(error = text, sequence = %sequence.id, "a sequence fails alone");
            self.fail(sequence.id, &text, effects);
        }
        if let Fault::Panic(panic) = fault {
            self.n_panics += 1;
            // A lock that a panic poisoned stays so: better to start again than to fail for ever.
            if self.n_panics >= MAX_PANICS {
                resume_unwind(panic);
            }
        }
    }
}

impl Fault {
    fn text(&self) -> String {
        match self {
            Self::Error(error) => error.to_string(),
            Self::Panic(_) => "the model panicked".to_owned(),
        }
    }
}

/// One sequence of a batch, as a batch.
fn part(batch: &Batch, sequence: &Sequence) -> Batch {
    let rows = sequence.first_row..sequence.first_row + sequence.n_tokens;
    let within = |row: &&usize| rows.contains(row);
    Batch {
        tokens: batch.tokens.get(rows.clone()).unwrap_or_default().to_vec(),
        logit_rows: batch.logit_rows.iter().filter(within).map(|row| row - sequence.first_row).collect(),
        sequences: vec![Sequence { first_row: 0, ..sequence.clone() }],
    }
}
