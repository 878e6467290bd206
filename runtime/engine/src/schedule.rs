//! Which tokens go into the next step. Pure.

/// What a step may take, and what each running sequence has pending, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Demand<'a> {
    /// Tokens that a step may compute.
    pub(crate) budget: usize,
    /// Tokens per sequence that are not in the cache yet.
    pub(crate) pending: &'a [usize],
}

/// How many tokens of each sequence the next step computes.
///
/// Sequences with one token pending (those that decode) come first, because people read them; what is left of the
/// budget goes to prompts, oldest first, in chunks. The budget is at least the number of sequences, so none starves.
pub(crate) fn plan(demand: &Demand<'_>) -> Vec<usize> {
    let mut left = demand.budget.max(demand.pending.len());
    let mut chunks: Vec<usize> = demand.pending.iter().map(|pending| usize::from(*pending == 1)).collect();
    left -= chunks.iter().sum::<usize>();
    for (chunk, pending) in chunks.iter_mut().zip(demand.pending) {
        if *chunk == 0 {
            *chunk = (*pending).min(left);
            left -= *chunk;
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decoding_comes_first_and_prompts_share_the_rest() {
        assert_eq!(plan(&Demand { budget: 10, pending: &[1, 100, 1, 5] }), [1, 8, 1, 0]);
        assert_eq!(plan(&Demand { budget: 10, pending: &[4, 1, 30] }), [4, 1, 5]);
        assert_eq!(plan(&Demand { budget: 1, pending: &[1, 1, 1] }), [1, 1, 1]);
    }

    proptest! {
        #[test]
        fn the_budget_holds_and_something_always_moves(
            budget in 1_usize..64, pending in prop::collection::vec(1_usize..200, 1..20),
        ) {
            let chunks = plan(&Demand { budget, pending: &pending });
            prop_assert!(chunks.iter().sum::<usize>() <= budget.max(pending.len()));
            prop_assert!(chunks.iter().zip(&pending).all(|(chunk, pending)| chunk <= pending));
            prop_assert!(chunks.iter().any(|chunk| *chunk > 0));
            // Whoever decodes is never held up, and the oldest always moves.
            prop_assert!(chunks.iter().zip(&pending).all(|(chunk, pending)| *pending != 1 || *chunk == 1));
            prop_assert!(chunks[0] > 0);
        }
    }
}
