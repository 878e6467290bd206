//! Pure: which bytes of a file are on the volume.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Sorted, disjoint, non-touching half-open ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds a range, merging it with its neighbours.
    pub(crate) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        self.0.retain(|&(from, to)| {
            let touches = from <= end && to >= start;
            if touches {
                start = start.min(from);
                end = end.max(to);
            }
            !touches
        });
        let at = self.0.partition_point(|&(from, _)| from < start);
        self.0.insert(at, (start, end));
    }

    /// Sum of the lengths.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from).sum()
    }

    /// How far the file is whole from its start.
    pub(crate) fn prefix(&self) -> u64 {
        match self.0.first() {
            Some(&(0, to)) => to,
            _ => 0,
        }
    }

    /// What is missing of a file of `size` bytes, in pieces of at most `piece` bytes.
    pub(crate) fn gaps(&self, size: u64, piece: u64) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = 0;
        for &(from, to) in self.0.iter().chain(std::iter::once(&(size, size))) {
            let until = from.min(size);
            while at < until {
                let end = (at + piece.max(1)).min(until);
                gaps.push(at..end);
                at = end;
            }
            at = at.max(to);
        }
        gaps
    }

    /// Whether what was read from disk can be true of a file of `size` bytes.
    pub(crate) fn is_sound(&self, size: u64) -> bool {
        let ordered = self.0.windows(2).all(|pair| pair[0].1 < pair[1].0);
        ordered && self.0.iter().all(|&(from, to)| from < to && to <= size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_and_gaps_cover_the_file_once(parts in proptest::collection::vec((0u64..60, 0u64..20), 0..12), piece in 1u64..9) {
            let size = 80;
            let mut ranges = Ranges::default();
            let mut have = [false; 80];
            for (start, len) in parts {
                ranges.insert(start..start + len);
                (start..start + len).for_each(|at| have[usize::try_from(at).expect("small")] = true);
            }
            prop_assert!(ranges.is_sound(size));
            prop_assert_eq!(ranges.len(), have.iter().filter(|&&bit| bit).count() as u64);
            prop_assert_eq!(ranges.prefix(), have.iter().take_while(|&&bit| bit).count() as u64);
            for gap in ranges.gaps(size, piece) {
                prop_assert!(gap.end - gap.start <= piece);
                for at in gap {
                    let bit = &mut have[usize::try_from(at).expect("small")];
                    prop_assert!(!*bit, "byte {} is both there and missing", at);
                    *bit = true;
                }
            }
            prop_assert!(have.iter().all(|&bit| bit), "a byte is neither there nor missing");
        }
    }

    #[test]
    fn nonsense_from_disk_is_noticed() {
        let read = |text: &str| serde_json::from_str::<Ranges>(text).expect("shape is right");
        assert!(read("[[0,4],[6,8]]").is_sound(8));
        for bad in ["[[0,9]]", "[[4,4]]", "[[6,8],[0,4]]", "[[0,5],[4,8]]"] {
            assert!(!read(bad).is_sound(8), "{bad}");
        }
    }
}
