//! Blocks are conserved, and whoever finds one finds what it would have computed.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const SHAPE: CacheShape = CacheShape { n_blocks: 12, block_tokens: 2 };

/// Sequences that compute, and what each block really holds: all tokens up to each of its places.
struct World {
    pool: BlockPool,
    chains: Vec<(Chain, Vec<TokenId>)>,
    cells: HashMap<(BlockId, usize), (Arc<str>, Vec<TokenId>)>,
}

impl World {
    fn new() -> Self {
        Self { pool: BlockPool::new(SHAPE), chains: Vec::new(), cells: HashMap::new() }
    }

    /// Starts a sequence with what is kept of its tokens; `None`: the rest does not fit.
    fn start(&mut self, root: &str, tokens: &[TokenId]) -> Option<usize> {
        let mut chain = Chain::new(root.into());
        let found = self.pool.find(&chain.root, tokens);
        self.pool.share(&mut chain, found);
        let n_found = chain.blocks.len();
        self.chains.push((chain, tokens[..n_found * SHAPE.block_tokens].to_vec()));
        self.extend(self.chains.len() - 1, &tokens[n_found * SHAPE.block_tokens..]).then_some(n_found)
    }

    fn extend(&mut self, at: usize, more: &[TokenId]) -> bool {
        let (chain, tokens) = &mut self.chains[at];
        if !self.pool.grow(chain, tokens.len() + more.len()) {
            return false;
        }
        for token in more {
            tokens.push(*token);
            let place =
                (chain.blocks[(tokens.len() - 1) / SHAPE.block_tokens], (tokens.len() - 1) % SHAPE.block_tokens);
            self.cells.insert(place, (Arc::clone(&chain.root), tokens.clone()));
        }
        self.pool.publish(chain, tokens);
        true
    }

    fn end(&mut self, at: usize, is_trusted: bool) {
        let (mut chain, _) = self.chains.swap_remove(at);
        let take_back = if is_trusted { BlockPool::release } else { BlockPool::discard };
        take_back(&mut self.pool, &mut chain);
        assert!(chain.blocks.is_empty() && chain.n_known == 0);
    }

    fn check(&self) {
        let mut holders: HashMap<BlockId, usize> = HashMap::new();
        for (chain, tokens) in &self.chains {
            for block in &chain.blocks {
                *holders.entry(*block).or_default() += 1;
            }
            for at in 0..tokens.len() {
                let cell = &self.cells[&(chain.blocks[at / SHAPE.block_tokens], at % SHAPE.block_tokens)];
                assert_eq!((cell.0.as_ref(), cell.1.as_slice()), (chain.root.as_ref(), &tokens[..=at]));
            }
            assert_eq!(chain.n_known, tokens.len() / SHAPE.block_tokens);
        }
        for (n, state) in self.pool.states.iter().enumerate() {
            let block = BlockId(u32::try_from(n).unwrap());
            let n_holders = holders.get(&block).copied().unwrap_or_default();
            assert_eq!(state.n_holders, n_holders);
            assert!(n_holders < 2 || state.content.is_some(), "only full blocks are shared");
            let is_idle = self.pool.idle.values().any(|idle| *idle == block);
            let is_free = self.pool.free.contains(&block);
            assert_eq!(usize::from(is_idle) + usize::from(is_free) + usize::from(n_holders > 0), 1, "{block:?}");
            if let Some((_, content)) = &state.content {
                assert_eq!(self.pool.known[content], block);
            }
        }
        assert_eq!(self.pool.n_used(), holders.len());
        assert_eq!(self.pool.known.len(), self.pool.states.iter().filter(|state| state.content.is_some()).count());
        assert!(self.pool.idle.len() <= self.pool.known.len());
    }
}

#[derive(Clone, Debug)]
enum Action {
    Start(bool, Vec<u32>),
    Extend(usize, Vec<u32>),
    End(usize, bool),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let tokens = || prop::collection::vec(0u32..2, 1..9);
    let action = prop_oneof![
        3 => (any::<bool>(), tokens()).prop_map(|(root, tokens)| Action::Start(root, tokens)),
        2 => (0usize..6, tokens()).prop_map(|(at, tokens)| Action::Extend(at, tokens)),
        3 => (0usize..6, prop::bool::weighted(0.8)).prop_map(|(at, is_trusted)| Action::End(at, is_trusted)),
    ];
    prop::collection::vec(action, 0..60)
}

fn ids(tokens: &[u32]) -> Vec<TokenId> {
    tokens.iter().copied().map(TokenId).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn blocks_are_conserved_and_hold_what_their_holders_think(actions in actions()) {
        let mut world = World::new();
        for action in actions {
            let n_chains = world.chains.len();
            match action {
                Action::Start(root, tokens) => {
                    world.start(if root { "a" } else { "b" }, &ids(&tokens));
                }
                Action::Extend(at, tokens) if n_chains > 0 => {
                    world.extend(at % n_chains, &ids(&tokens));
                }
                Action::End(at, is_trusted) if n_chains > 0 => world.end(at % n_chains, is_trusted),
                Action::Extend(..) | Action::End(..) => {}
            }
            world.check();
        }
        while !world.chains.is_empty() {
            world.end(0, true);
        }
        world.check();
        prop_assert_eq!(world.pool.n_free(), SHAPE.n_blocks);
    }
}

#[test]
fn what_ended_is_found_again_under_its_own_root_only() {
    let mut world = World::new();
    assert_eq!(world.start("", &ids(&[1, 2, 3, 4, 5])), Some(0));
    assert_eq!(world.start("", &ids(&[1, 2, 3, 4, 9])), Some(2), "while it runs");
    assert_eq!(world.pool.n_used(), 4, "two shared, one each of their own");
    world.end(0, true);
    world.end(0, true);
    assert_eq!(world.start("", &ids(&[1, 2, 9, 4])), Some(1), "as far as they are the same");
    assert_eq!(world.start("", &ids(&[3, 4])), Some(0), "the same tokens after others are not the same");
    assert_eq!(world.start("salt", &ids(&[1, 2, 3, 4])), Some(0));
    world.check();
}

#[test]
fn what_two_computed_at_once_is_kept_once() {
    let mut world = World::new();
    world.start("", &ids(&[1]));
    world.start("", &ids(&[1]));
    assert!(world.extend(0, &ids(&[2, 3])) && world.extend(1, &ids(&[2, 4])));
    world.check();
    assert_eq!(world.pool.n_used(), 3);
}

#[test]
fn the_end_of_the_longest_unused_goes_first() {
    let mut world = World::new();
    world.start("", &ids(&[1, 1, 1, 1, 1, 1]));
    world.start("", &ids(&[2, 2, 2, 2]));
    world.end(0, true);
    world.end(0, true);
    // Seven were never used: two more are needed.
    world.start("", &ids(&[0; 18]));
    let n_left = |token: u32, n: usize| world.pool.find(&"".into(), &ids(&vec![token; n])).len();
    assert_eq!((n_left(1, 6), n_left(2, 4)), (1, 2));
}

#[test]
fn what_is_not_trusted_is_not_found() {
    let mut world = World::new();
    world.start("", &ids(&[1, 2, 3, 4]));
    world.start("", &ids(&[1, 2, 5, 6]));
    world.end(1, false);
    assert_eq!(world.pool.find(&"".into(), &ids(&[1, 2, 5, 6])).len(), 1, "the other one still holds the first");
    world.end(0, false);
    assert_eq!(world.pool.find(&"".into(), &ids(&[1, 2, 3, 4])), []);
    assert_eq!(world.pool.n_free(), SHAPE.n_blocks);
}
