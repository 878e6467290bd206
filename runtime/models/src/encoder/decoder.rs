//! Decoders as encoders: every row sees those before it, and what stands for a text is mostly its last.

use alcazar_core::{Backend, BackendError, Batch, BlockId, DecoderConfig, PackedBatch, SeqId, Sequence, TokenId};

use super::Trunk;
use crate::{
    LoadError,
    decoder::{BLOCK_TOKENS, Rows},
    weights::Loader,
};

pub(super) struct DecoderTrunk<B: Backend>(Rows<B>);

impl<B: Backend> DecoderTrunk<B> {
    pub(super) fn load(loader: &Loader<'_, B>, config: &DecoderConfig) -> Result<Self, LoadError> {
        Rows::load(loader, config).map(Self)
    }
}

impl<B: Backend> Trunk<B> for DecoderTrunk<B> {
    fn rows(&self, backend: &B, batch: &PackedBatch) -> Result<B::Tensor, BackendError> {
        self.0.of(backend, &sequences(batch))
    }

    fn tokens(&self) -> &B::Matrix {
        self.0.table()
    }
}

/// Each text as a sequence that begins, with blocks of its own.
fn sequences(packed: &PackedBatch) -> Batch {
    let mut batch = Batch { tokens: packed.tokens.iter().copied().map(TokenId).collect(), ..Batch::default() };
    let (mut first_row, mut next) = (0, 0u32);
    for (id, n_tokens) in (0u64..).zip(packed.lengths.iter().copied()) {
        let end = next + u32::try_from(n_tokens.div_ceil(BLOCK_TOKENS)).unwrap_or(u32::MAX);
        let blocks = (next..end).map(BlockId).collect();
        batch.sequences.push(Sequence { id: SeqId(id), first_row, n_tokens, start: 0, blocks, adapter: None });
        first_row += n_tokens;
        next = end;
    }
    batch
}

#[cfg(test)]
mod tests {
    use alcazar_core::CacheShape;

    use super::*;

    #[test]
    fn every_text_has_its_own_blocks() {
        let mut packed = PackedBatch::default();
        for length in [1, 16, 17] {
            packed.push(&vec![3; length], &vec![0; length], &[]);
        }
        let batch = sequences(&packed);
        let blocks: Vec<_> = batch.sequences.iter().map(|sequence| sequence.blocks.clone()).collect();
        assert_eq!(blocks, [vec![BlockId(0)], vec![BlockId(1)], vec![BlockId(2), BlockId(3)]]);
        batch.check(&CacheShape { n_blocks: 4, block_tokens: BLOCK_TOKENS }, 4).unwrap();
    }
}
