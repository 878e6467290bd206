//! What the engine asks of a model.

use crate::{BackendError, Batch, CacheShape};

/// A decoder with its weights and its paged cache. The engine decides which block belongs to whom.
pub trait Model: Send {
    /// Entries of the vocabulary; the width of [`Logits`].
    fn vocabulary(&self) -> usize;

    /// Blocks that the engine may hand out.
    fn cache_shape(&self) -> CacheShape;

    /// Adapters that sequences may name.
    fn n_adapters(&self) -> usize {
        0
    }

    /// One pass over the batch: stores its keys and values and answers the logits of the rows asked for.
    fn forward(&mut self, batch: &Batch) -> Result<Logits, BackendError>;
}

/// Scores over the vocabulary, one row per [`Batch::logit_rows`].
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    width: usize,
    values: Vec<f32>,
}

impl Logits {
    /// Takes values in row order; fails when they do not fill whole rows.
    pub fn new(width: usize, values: Vec<f32>) -> Result<Self, BackendError> {
        if width == 0 || !values.len().is_multiple_of(width) {
            return Err(BackendError::Shape {
                op: "logits",
                found: format!("{} values", values.len()),
                expected: format!("whole rows of {width}"),
            });
        }
        Ok(Self { width, values })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.values.len() / self.width
    }

    /// Scores of the n-th row asked for.
    pub fn row(&self, n: usize) -> Option<&[f32]> {
        self.values.get(n * self.width..(n + 1) * self.width)
    }
}
