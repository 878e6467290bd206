//! The pool of cache blocks: who holds which, and what the full ones hold, so that a prompt that begins like one before
//! it is not computed again.
//!
//! - A full block never changes. It is known by its tokens and the block before it, back to the start of the sequence:
//!   its keys and values follow from exactly that. Tokens are compared, not only their hashes.
//! - Several sequences may hold one full block; a block that is being filled has one holder.
//! - A full block that nobody holds any more stays until its place is needed: the longest unused goes first, and of a
//!   chain its end, so that what is left can still be found.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alcazar_core::{BlockId, CacheShape, TokenId};

#[cfg(test)]
mod tests;

/// One sequence's blocks, in the order of its positions.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Sequences with different roots share nothing.
    root: Arc<str>,
    blocks: Vec<BlockId>,
    /// Blocks from the first on that are full and known to the pool.
    n_known: usize,
}

impl Chain {
    /// No blocks yet.
    pub const fn new(root: Arc<str>) -> Self {
        Self { root, blocks: Vec::new(), n_known: 0 }
    }

    /// What it shares blocks under.
    pub const fn root(&self) -> &Arc<str> {
        &self.root
    }

    /// The blocks.
    pub const fn blocks(&self) -> &[BlockId] {
        self.blocks.as_slice()
    }
}

/// What a block's keys and values follow from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Content {
    before: Before,
    tokens: Arc<[TokenId]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Before {
    Start(Arc<str>),
    /// A content by its number; a number is never given twice.
    Content(u64),
}

#[derive(Clone, Debug, Default)]
struct State {
    n_holders: usize,
    /// Its number and the content; `None` while it is not full.
    content: Option<(u64, Content)>,
    /// When its last holder left; its place in the order of those that may go.
    idle_since: u64,
}

/// Which blocks are free, held or kept.
#[derive(Clone, Debug)]
pub struct BlockPool {
    shape: CacheShape,
    free: Vec<BlockId>,
    states: Vec<State>,
    known: HashMap<Content, BlockId>,
    /// Known blocks that nobody holds, the longest unused first.
    idle: BTreeMap<u64, BlockId>,
    /// Counts contents and departures.
    n_events: u64,
}

impl BlockPool {
    /// All blocks free.
    pub fn new(shape: CacheShape) -> Self {
        let n_blocks = u32::try_from(shape.n_blocks).unwrap_or(u32::MAX);
        Self {
            shape,
            // Low numbers are taken first, so that memory which was never touched stays untouched.
            free: (0..n_blocks).rev().map(BlockId).collect(),
            states: vec![State::default(); n_blocks as usize],
            known: HashMap::new(),
            idle: BTreeMap::new(),
            n_events: 0,
        }
    }

    /// How the cache is cut.
    pub const fn shape(&self) -> CacheShape {
        self.shape
    }

    /// Blocks that nobody holds, whatever they keep.
    pub fn n_free(&self) -> usize {
        self.free.len() + self.idle.len()
    }

    /// Blocks that somebody holds.
    pub fn n_used(&self) -> usize {
        self.shape.n_blocks - self.n_free()
    }

    /// Makes `chain` hold `n_tokens`; all of it or nothing. `false`: there are not enough.
    pub fn grow(&mut self, chain: &mut Chain, n_tokens: usize) -> bool {
        let n_missing = self.shape.blocks_for(n_tokens).saturating_sub(chain.blocks.len());
        if n_missing > self.n_free() {
            return false;
        }
        for _ in 0..n_missing {
            let Some(block) = self.free.pop().or_else(|| self.evict()) else { return false };
            self.hold(block);
            chain.blocks.push(block);
        }
        true
    }

    /// Takes blocks back; the full ones are kept as long as there is room.
    pub fn release(&mut self, chain: &mut Chain) {
        chain.n_known = 0;
        // The end goes first, so it is the first to be needed for others.
        while let Some(block) = chain.blocks.pop() {
            self.let_go(block);
        }
    }

    /// Takes blocks back whose keys and values are not to be trusted.
    pub fn discard(&mut self, chain: &mut Chain) {
        for block in &chain.blocks {
            if self.states.get(block.index()).is_some_and(|state| state.n_holders == 1) {
                self.forget(*block);
            }
        }
        self.release(chain);
    }

    /// The kept blocks that a sequence of these tokens can begin with; not held yet.
    pub fn find(&self, root: &Arc<str>, tokens: &[TokenId]) -> Vec<BlockId> {
        let mut before = Before::Start(Arc::clone(root));
        let mut found = Vec::new();
        for tokens in tokens.chunks_exact(self.shape.block_tokens) {
            let content = Content { before, tokens: tokens.into() };
            let Some(block) = self.known.get(&content) else { break };
            let Some((number, _)) = self.states.get(block.index()).and_then(|state| state.content.as_ref()) else {
                break;
            };
            before = Before::Content(*number);
            found.push(*block);
        }
        found
    }

    /// How many of these nobody holds: so many fewer are free once they are shared.
    pub fn n_idle(&self, blocks: &[BlockId]) -> usize {
        let is_idle = |block: &&BlockId| self.states.get(block.index()).is_some_and(|state| state.n_holders == 0);
        blocks.iter().filter(is_idle).count()
    }

    /// Gives an empty chain blocks that were found for it.
    pub fn share(&mut self, chain: &mut Chain, found: Vec<BlockId>) {
        for block in &found {
            self.hold(*block);
        }
        chain.n_known = found.len();
        chain.blocks = found;
    }

    /// Continues a chain of known blocks with those that are kept of its tokens.
    pub fn extend(&mut self, chain: &mut Chain, tokens: &[TokenId]) {
        if chain.n_known < chain.blocks.len() {
            return;
        }
        let found = self.find(&chain.root, tokens);
        for block in found.into_iter().skip(chain.n_known) {
            self.hold(block);
            chain.blocks.push(block);
            chain.n_known += 1;
        }
    }

    /// Makes the full blocks of a sequence known. `tokens`: those whose keys and values are in the chain. A block that
    /// holds what another one does gives way to it.
    pub fn publish(&mut self, chain: &mut Chain, tokens: &[TokenId]) {
        let full = tokens.chunks_exact(self.shape.block_tokens).skip(chain.n_known);
        for tokens in full {
            let before = match chain.n_known.checked_sub(1).and_then(|last| chain.blocks.get(last)) {
                None => Before::Start(Arc::clone(&chain.root)),
                Some(last) => match self.states.get(last.index()).and_then(|state| state.content.as_ref()) {
                    Some((number, _)) => Before::Content(*number),
                    None => return,
                },
            };
            let Some(slot) = chain.blocks.get_mut(chain.n_known) else { return };
            let content = Content { before, tokens: tokens.into() };
            if let Some(same) = self.known.get(&content).copied() {
                self.hold(same);
                self.let_go(std::mem::replace(slot, same));
            } else {
                self.n_events += 1;
                if let Some(state) = self.states.get_mut(slot.index()) {
                    state.content = Some((self.n_events, content.clone()));
                    self.known.insert(content, *slot);
                }
            }
            chain.n_known += 1;
        }
    }

    fn hold(&mut self, block: BlockId) {
        let Some(state) = self.states.get_mut(block.index()) else { return };
        if state.n_holders == 0 && state.content.is_some() {
            self.idle.remove(&state.idle_since);
        }
        state.n_holders += 1;
    }

    fn let_go(&mut self, block: BlockId) {
        let Some(state) = self.states.get_mut(block.index()) else { return };
        state.n_holders = state.n_holders.saturating_sub(1);
        if state.n_holders > 0 {
            return;
        }
        if state.content.is_some() {
            self.n_events += 1;
            state.idle_since = self.n_events;
            self.idle.insert(self.n_events, block);
        } else {
            self.free.push(block);
        }
    }

    /// The block that was not used for longest, with nothing in it.
    fn evict(&mut self) -> Option<BlockId> {
        let (_, block) = self.idle.pop_first()?;
        self.forget(block);
        Some(block)
    }

    fn forget(&mut self, block: BlockId) {
        let content = self.states.get_mut(block.index()).and_then(|state| state.content.take());
        if let Some((_, content)) = content {
            self.known.remove(&content);
        }
    }
}
