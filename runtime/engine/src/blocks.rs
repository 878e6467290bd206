//! The pool of cache blocks. Each block is free or has one owner; taking and giving back are O(1) per block.

use alcazar_core::{BlockId, CacheShape};

/// Which blocks are free.
#[derive(Clone, Debug)]
pub struct BlockPool {
    shape: CacheShape,
    free: Vec<BlockId>,
}

impl BlockPool {
    /// All blocks free.
    pub fn new(shape: CacheShape) -> Self {
        let n_blocks = u32::try_from(shape.n_blocks).unwrap_or(u32::MAX);
        // Low numbers are taken first, so that memory which was never touched stays untouched.
        Self { shape, free: (0..n_blocks).rev().map(BlockId).collect() }
    }

    /// How the cache is cut.
    pub const fn shape(&self) -> CacheShape {
        self.shape
    }

    /// Blocks that nobody has.
    pub const fn n_free(&self) -> usize {
        self.free.len()
    }

    /// Blocks that somebody has.
    pub const fn n_used(&self) -> usize {
        self.shape.n_blocks - self.free.len()
    }

    /// Makes `blocks` hold `n_tokens`; all of it or nothing. `false`: there are not enough.
    pub fn grow(&mut self, blocks: &mut Vec<BlockId>, n_tokens: usize) -> bool {
        let n_missing = self.shape.blocks_for(n_tokens).saturating_sub(blocks.len());
        let Some(n_left) = self.free.len().checked_sub(n_missing) else { return false };
        blocks.extend(self.free.drain(n_left..).rev());
        true
    }

    /// Takes blocks back.
    pub fn release(&mut self, blocks: &mut Vec<BlockId>) {
        self.free.extend(blocks.drain(..).rev());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_are_conserved_and_have_one_owner(
            actions in prop::collection::vec((0usize..4, 0usize..40), 0..60),
        ) {
            let shape = CacheShape { n_blocks: 12, block_tokens: 4 };
            let mut pool = BlockPool::new(shape);
            let mut owners: [Vec<BlockId>; 4] = Default::default();
            for (owner, n_tokens) in actions {
                let blocks = &mut owners[owner];
                let before = (blocks.clone(), pool.n_free());
                if n_tokens == 0 {
                    pool.release(blocks);
                } else if pool.grow(blocks, n_tokens) {
                    prop_assert!(blocks.len() * shape.block_tokens >= n_tokens);
                    prop_assert!(blocks.starts_with(&before.0), "what was held stays");
                } else {
                    prop_assert_eq!((blocks.clone(), pool.n_free()), before, "all or nothing");
                }
                let held: Vec<BlockId> = owners.iter().flatten().copied().collect();
                prop_assert_eq!(held.iter().collect::<BTreeSet<_>>().len(), held.len());
                prop_assert_eq!(held.len() + pool.n_free(), shape.n_blocks);
                prop_assert_eq!(held.len(), pool.n_used());
            }
        }
    }
}
