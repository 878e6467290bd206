//! What one forward pass works on: a ragged, flat list of tokens.

use crate::{AdapterId, BackendError, BlockId, SeqId, TokenId};

/// The tokens of one step: prompt chunks and single decoded tokens of all sequences, one after the other, never padded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// All tokens; [`Sequence::first_row`] says where each sequence's part begins.
    pub tokens: Vec<TokenId>,
    /// The sequences, in the order of their rows, without gaps.
    pub sequences: Vec<Sequence>,
    /// Rows whose logits are wanted, ascending.
    pub logit_rows: Vec<usize>,
}

/// One sequence's part of a [`Batch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Whose tokens these are.
    pub id: SeqId,
    /// First row in [`Batch::tokens`].
    pub first_row: usize,
    /// Rows, at least one.
    pub n_tokens: usize,
    /// Tokens of this sequence that are in the cache already; the position of its first row.
    pub start: usize,
    /// Cache blocks in the order of positions; they have room for `start + n_tokens` tokens.
    pub blocks: Vec<BlockId>,
    /// What its rows add to the model's own matrices; `None`: nothing.
    pub adapter: Option<AdapterId>,
}

/// How the paged cache is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheShape {
    /// Blocks in the pool.
    pub n_blocks: usize,
    /// Tokens per block.
    pub block_tokens: usize,
}

impl CacheShape {
    /// Blocks that hold `n_tokens`.
    pub const fn blocks_for(&self, n_tokens: usize) -> usize {
        n_tokens.div_ceil(self.block_tokens)
    }

    /// Tokens that all blocks together hold.
    pub const fn n_tokens(&self) -> usize {
        self.n_blocks * self.block_tokens
    }
}

impl Batch {
    /// The tokens as numbers of rows of the embedding.
    pub fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|token| token.0).collect()
    }

    /// The position in its sequence of every row.
    pub fn positions(&self) -> Vec<u32> {
        let mut positions = Vec::with_capacity(self.tokens.len());
        for sequence in &self.sequences {
            let end = sequence.start + sequence.n_tokens;
            positions.extend((sequence.start..end).map(|p| u32::try_from(p).unwrap_or(u32::MAX)));
        }
        positions
    }

    /// Checks the shape once per step, so that kernels may index without a second thought.
    pub fn check(&self, cache: &CacheShape, vocabulary: usize) -> Result<(), BackendError> {
        let invalid = |message: String| Err(BackendError::Batch { message });
        let mut row = 0;
        for sequence in &self.sequences {
            let needed = cache.blocks_for(sequence.start + sequence.n_tokens);
            if sequence.first_row != row || sequence.n_tokens == 0 {
                return invalid(format!("{} begins at row {}, expected {row}", sequence.id, sequence.first_row));
            }
            if sequence.blocks.len() < needed {
                let found = sequence.blocks.len();
                return invalid(format!("{} has {found} cache blocks, needs {needed}", sequence.id));
            }
            if let Some(block) = sequence.blocks.iter().find(|block| block.index() >= cache.n_blocks) {
                return invalid(format!("{} names block {} of {}", sequence.id, block.0, cache.n_blocks));
            }
            row += sequence.n_tokens;
        }
        if row != self.tokens.len() {
            return invalid(format!("sequences have {row} rows, tokens {}", self.tokens.len()));
        }
        if let Some(token) = self.tokens.iter().find(|token| token.index() >= vocabulary) {
            return invalid(format!("token {token} is not in the vocabulary of {vocabulary}"));
        }
        if !self.logit_rows.is_sorted_by(|a, b| a < b) || self.logit_rows.last().is_some_and(|last| *last >= row) {
            return invalid(format!("logit rows are not ascending below {row}"));
        }
        Ok(())
    }

    /// Checks that each sequence's adapter is one of the model's.
    pub fn check_adapters(&self, n_adapters: usize) -> Result<(), BackendError> {
        let is_unknown = |sequence: &&Sequence| sequence.adapter.is_some_and(|adapter| adapter.index() >= n_adapters);
        match self.sequences.iter().find(is_unknown) {
            None => Ok(()),
            Some(sequence) => {
                let message = format!("{} names an adapter that is none of {n_adapters}", sequence.id);
                Err(BackendError::Batch { message })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHE: CacheShape = CacheShape { n_blocks: 4, block_tokens: 2 };

    fn batch(first_row: usize, n_tokens: usize, start: usize, blocks: &[u32]) -> Batch {
        Batch {
            tokens: vec![TokenId(1); 3],
            sequences: vec![Sequence {
                id: SeqId(7),
                first_row,
                n_tokens,
                start,
                blocks: blocks.iter().copied().map(BlockId).collect(),
                adapter: None,
            }],
            logit_rows: vec![2],
        }
    }

    #[test]
    fn a_sound_batch_passes_and_knows_its_positions() {
        let batch = batch(0, 3, 1, &[3, 0]);
        batch.check(&CACHE, 2).unwrap();
        assert_eq!(batch.positions(), [1, 2, 3]);
    }

    #[test]
    fn an_adapter_that_is_not_there_is_refused() {
        let mut batch = batch(0, 3, 1, &[3, 0]);
        batch.check_adapters(0).unwrap();
        batch.sequences[0].adapter = Some(AdapterId(1));
        batch.check_adapters(2).unwrap();
        assert!(batch.check_adapters(1).unwrap_err().to_string().contains("none of 1"));
    }

    #[test]
    fn every_way_to_index_out_of_range_is_refused() {
        for (broken, reason) in [
            (batch(1, 3, 0, &[0, 1]), "begins at row"),
            (batch(0, 0, 0, &[0, 1]), "begins at row"),
            (batch(0, 3, 2, &[0, 1]), "needs 3"),
            (batch(0, 3, 0, &[0, 4]), "names block 4"),
            (batch(0, 2, 0, &[0, 1]), "sequences have 2 rows"),
            (Batch { tokens: vec![TokenId(2); 3], ..batch(0, 3, 0, &[0, 1]) }, "not in the vocabulary"),
            (Batch { logit_rows: vec![3], ..batch(0, 3, 0, &[0, 1]) }, "logit rows"),
            (Batch { logit_rows: vec![1, 1], ..batch(0, 3, 0, &[0, 1]) }, "logit rows"),
        ] {
            let error = broken.check(&CACHE, 2).unwrap_err().to_string();
            assert!(error.contains(reason), "{error} should say {reason}");
        }
    }
}
