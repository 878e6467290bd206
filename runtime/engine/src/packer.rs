//! Packs texts of many requests into the passes of an encoder. No IO, no clock.
//!
//! Requests take turns, one text each, so that a request of thousands of texts does not hold up one with a single text.

use std::collections::VecDeque;

use alcazar_core::PackedBatch;

/// One text of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// At least one.
    pub tokens: Vec<u32>,
    /// Of each token, 1 in the second text of a pair, else 0.
    pub types: Vec<u32>,
    /// Tokens whose rows are wanted, of heads with a row for each token.
    pub wanted: Vec<usize>,
}

/// Where the rows of a text in a pack go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose text it is.
    pub request: u64,
    /// Which of its texts.
    pub nth: usize,
}

/// Texts of one pass, and whose they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pack {
    /// In the order of `places`.
    pub texts: Vec<Text>,
    /// One for each text.
    pub places: Vec<Place>,
}

impl Pack {
    /// The batch of the pass.
    pub fn batch(&self) -> PackedBatch {
        let mut batch = PackedBatch::default();
        for text in &self.texts {
            batch.push(&text.tokens, &text.types, &text.wanted);
        }
        batch
    }
}

#[derive(Debug)]
struct Waiting {
    request: u64,
    texts: VecDeque<(usize, Text)>,
}

/// What waits, in the order of turns.
#[derive(Debug)]
pub struct Packer {
    budget: usize,
    waiting: VecDeque<Waiting>,
}

impl Packer {
    /// At most `budget` tokens in a pass; a text that is longer has one of its own.
    pub const fn new(budget: usize) -> Self {
        Self { budget, waiting: VecDeque::new() }
    }

    /// Queues the texts of a request.
    pub fn push(&mut self, request: u64, texts: Vec<Text>) {
        if !texts.is_empty() {
            self.waiting.push_back(Waiting { request, texts: texts.into_iter().enumerate().collect() });
        }
    }

    /// Forgets what is left of a request.
    pub fn remove(&mut self, request: u64) {
        self.waiting.retain(|waiting| waiting.request != request);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Requests of which something waits.
    pub fn requests(&self) -> impl Iterator<Item = u64> {
        self.waiting.iter().map(|waiting| waiting.request)
    }

    /// The texts of the next pass; none when nothing waits.
    pub fn next_pack(&mut self) -> Pack {
        let (mut pack, mut n_tokens) = (Pack::default(), 0);
        while let Some(mut turn) = self.waiting.pop_front() {
            let Some((nth, text)) = turn.texts.pop_front() else { continue };
            let length = text.tokens.len();
            if !pack.texts.is_empty() && n_tokens + length > self.budget {
                // Its turn is the first of the next pass.
                turn.texts.push_front((nth, text));
                self.waiting.push_front(turn);
                break;
            }
            n_tokens += length;
            pack.places.push(Place { request: turn.request, nth });
            pack.texts.push(text);
            if !turn.texts.is_empty() {
                self.waiting.push_back(turn);
            }
        }
        pack
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(length: usize) -> Text {
        Text { tokens: vec![1; length], types: vec![0; length], wanted: vec![] }
    }

    #[test]
    fn a_small_request_does_not_wait_for_a_large_one() {
        let mut packer = Packer::new(4);
        packer.push(1, vec![text(2); 100]);
        packer.push(2, vec![text(2)]);
        assert_eq!(packer.next_pack().places, [Place { request: 1, nth: 0 }, Place { request: 2, nth: 0 }]);
    }

    #[test]
    fn a_request_that_left_is_forgotten() {
        let mut packer = Packer::new(4);
        packer.push(1, vec![text(1), text(1)]);
        packer.push(2, vec![text(1)]);
        packer.remove(1);
        assert_eq!(packer.next_pack().places, [Place { request: 2, nth: 0 }]);
        assert!(packer.is_empty() && packer.next_pack().texts.is_empty());
    }

    proptest! {
        #[test]
        fn every_text_has_one_turn_within_the_budget(requests in prop::collection::vec(prop::collection::vec(1usize..20, 1..8), 1..8)) {
            const BUDGET: usize = 16;
            let mut packer = Packer::new(BUDGET);
            for (request, lengths) in requests.iter().enumerate() {
                packer.push(request as u64, lengths.iter().map(|length| text(*length)).collect());
            }
            let mut seen = Vec::new();
            while !packer.is_empty() {
                let pack = packer.next_pack();
                let n_tokens: usize = pack.texts.iter().map(|text| text.tokens.len()).sum();
                prop_assert!(n_tokens <= BUDGET || pack.texts.len() == 1);
                prop_assert_eq!(pack.batch().lengths.len(), pack.places.len());
                seen.extend(pack.places.iter().map(|place| (place.request, place.nth)));
            }
            seen.sort_unstable();
            let all = requests.iter().enumerate().flat_map(|(request, lengths)| (0..lengths.len()).map(move |nth| (request as u64, nth)));
            prop_assert_eq!(seen, all.collect::<Vec<_>>());
        }
    }
}
