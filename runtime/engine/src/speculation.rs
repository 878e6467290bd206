//! Guesses the next tokens of a sequence from what it said before (prompt lookup): texts repeat names, code, quotations.
//!
//! A guess only saves passes, it decides nothing: each token is chosen from the scores of its own place, with its own
//! number of the seed, as it would be without; what was guessed is used as far as it is what was chosen.

use alcazar_core::TokenId;

/// Shortest end of a sequence that is looked for; a single token is found again by mere chance.
const MIN_MATCH: usize = 2;
/// Longest rest after guesses that were all wrong, in steps.
const MAX_REST: u32 = 32;

/// How a sequence is guessed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speculation {
    /// Tokens of the sequence's end that are looked for in what came before, at most.
    pub max_match: usize,
    /// Tokens that are guessed at once, at most; 0: none are.
    pub max_tokens: usize,
}

impl Speculation {
    /// Nothing is guessed.
    pub const OFF: Self = Self { max_match: 0, max_tokens: 0 };
}

impl Default for Speculation {
    fn default() -> Self {
        Self { max_match: 4, max_tokens: 8 }
    }
}

/// One sequence's guesses, and how good they were.
#[derive(Clone, Debug)]
pub(crate) struct Guesser {
    config: Speculation,
    /// Tokens to guess at once from now on.
    width: usize,
    /// Guesses in a row of which no token was right.
    n_wrong: u32,
    /// Steps to come without a guess.
    rest: u32,
    /// What this step computes ahead of the choice, and how much of it was chosen.
    guess: Vec<TokenId>,
    n_right: usize,
}

impl Guesser {
    pub(crate) const fn new(config: Speculation) -> Self {
        Self { config, width: config.max_tokens, n_wrong: 0, rest: 0, guess: Vec::new(), n_right: 0 }
    }

    /// Guesses what follows these tokens in this step, at most so many; often nothing. What was guessed before is done
    /// with.
    pub(crate) fn guess(&mut self, tokens: &[TokenId], at_most: usize) -> &[TokenId] {
        self.learn();
        let width = self.width.min(at_most);
        if width > 0 && self.rest == 0 {
            self.guess = follow(tokens, self.config.max_match, width);
        } else if width > 0 {
            self.rest -= 1;
        }
        &self.guess
    }

    /// What was guessed in this step.
    pub(crate) fn current(&self) -> &[TokenId] {
        &self.guess
    }

    /// There is no room for what was guessed.
    pub(crate) fn withdraw(&mut self) {
        self.guess.clear();
    }

    /// Whether the token that was chosen is the next of the guess: then its place is computed already.
    pub(crate) fn confirms(&mut self, token: TokenId) -> bool {
        let is_right = self.guess.get(self.n_right) == Some(&token);
        self.n_right += usize::from(is_right);
        is_right
    }

    /// Who is often wrong guesses less, and less often: a wrong token costs a row of the batch.
    fn learn(&mut self) {
        let (n_guessed, n_right) = (self.guess.len(), std::mem::take(&mut self.n_right));
        if n_guessed == 0 {
            return;
        }
        self.guess.clear();
        let width = if n_right == n_guessed { self.width.max(n_guessed * 2) } else { n_right + 1 };
        self.width = width.min(self.config.max_tokens);
        if n_right > 0 {
            self.n_wrong = 0;
        } else {
            self.rest = 1u32.checked_shl(self.n_wrong).unwrap_or(MAX_REST).min(MAX_REST) - 1;
            self.n_wrong += 1;
        }
    }
}

/// What followed the last place with the longest end, up to `max_match` tokens, of these tokens.
fn follow(tokens: &[TokenId], max_match: usize, width: usize) -> Vec<TokenId> {
    let Some(last) = tokens.last() else { return Vec::new() };
    let (mut best, mut length) = (None, MIN_MATCH - 1);
    // The nearest place wins among equals: it comes first from the end.
    for at in (0..tokens.len() - 1).rev().filter(|at| tokens.get(*at) == Some(last)) {
        let pairs = tokens.iter().take(at + 1).rev().zip(tokens.iter().rev());
        let matched = pairs.take(max_match).take_while(|(before, end)| before == end).count();
        if matched > length {
            (best, length) = (Some(at), matched);
        }
        if length >= max_match {
            break;
        }
    }
    let Some(at) = best else { return Vec::new() };
    // What repeats itself goes on in the guess: its period is copied again and again.
    let period = tokens.len() - 1 - at;
    (0..width).filter_map(|n| tokens.get(at + 1 + n % period).copied()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(tokens: &[u32]) -> Vec<TokenId> {
        tokens.iter().copied().map(TokenId).collect()
    }

    #[test]
    fn what_followed_the_longest_end_is_guessed() {
        for (tokens, width, guess) in [
            (&[][..], 4, &[][..]),
            (&[1], 4, &[]),
            (&[1, 2, 3, 1], 4, &[]),
            (&[1, 2, 3, 4, 1, 2], 4, &[3, 4, 1, 2]),
            (&[1, 2, 3, 4, 1, 2], 1, &[3]),
            (&[9, 1, 2, 5, 8, 1, 2, 6, 9, 1, 2], 1, &[5]),
            (&[9, 1, 2, 5, 9, 1, 2, 6, 9, 1, 2], 1, &[6]),
            (&[7, 7, 7], 4, &[7, 7, 7, 7]),
            (&[3, 5, 6, 5, 6], 5, &[5, 6, 5, 6, 5]),
        ] {
            assert_eq!(follow(&ids(tokens), 4, width), ids(guess), "{tokens:?}");
        }
    }

    #[test]
    fn who_is_wrong_guesses_less() {
        let mut guesser = Guesser::new(Speculation { max_match: 4, max_tokens: 8 });
        let tokens = ids(&[7; 9]);
        let mut n_steps = 0;
        let mut widths = |n_right: usize, n: usize| -> Vec<usize> {
            let mut widths = Vec::new();
            while widths.len() < n {
                n_steps += 1;
                let width = guesser.guess(&tokens, 20).len();
                if width > 0 {
                    assert!((0..n_right.min(width)).all(|_| guesser.confirms(TokenId(7))));
                    assert!(!guesser.confirms(TokenId(8)));
                    widths.push(width);
                }
            }
            widths
        };
        assert_eq!(widths(2, 3), [8, 3, 3]);
        assert_eq!(widths(0, 7), [3, 1, 1, 1, 1, 1, 1]);
        assert_eq!(widths(8, 4), [1, 2, 4, 8]);
        assert_eq!(n_steps, 14 + 1 + 3 + 7 + 15 + 31 + 31, "rests between wrong guesses");
        assert_eq!(guesser.guess(&tokens, 3).len(), 3);
        assert_eq!(guesser.guess(&tokens, 0), []);
        assert_eq!(Guesser::new(Speculation { max_match: 4, max_tokens: 0 }).guess(&tokens, 9), []);
    }

    proptest! {
        #[test]
        fn a_guess_is_the_rest_of_a_place_that_ends_alike(
            tokens in prop::collection::vec(0u32..3, 0..30), max_match in 2usize..6, width in 1usize..9,
        ) {
            let tokens = ids(&tokens);
            let guess = follow(&tokens, max_match, width);
            let ends_alike = |n: usize| (1..tokens.len()).any(|at| at >= n && tokens[..at].ends_with(&tokens[tokens.len() - n..]));
            prop_assert_eq!(guess.is_empty(), tokens.len() < 3 || !ends_alike(2));
            if let Some(first) = guess.first() {
                prop_assert_eq!(guess.len(), width);
                let longest = (2..=max_match.min(tokens.len() - 1)).rev().find(|n| ends_alike(*n)).unwrap();
                let alike = [&tokens[tokens.len() - longest..], &[*first]].concat();
                prop_assert!(tokens.windows(longest + 1).any(|window| window == alike));
            }
        }
    }
}
