//! Which endpoint takes a request: consistent hashing with bounded load. Pure.
//!
//! Prompts that begin alike go to one endpoint, which has the beginning in its cache. Endpoints are ranked for each prefix
//! by rendezvous hashing, so one that comes or goes moves only what was its own; the first in rank whose load is at most a
//! quarter over the mean takes it (Mirrokni, Thorup, Zadimoghaddam: Consistent Hashing with Bounded Loads, 2016).

/// One that may take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Told apart by; equal in every replica of the gateway.
    pub(crate) id: u64,
    /// Requests that it has of us.
    pub(crate) in_flight: usize,
}

/// The most that one endpoint takes before the next in rank does: a quarter over the mean, the new request counted.
fn bound(total: usize, endpoints: usize) -> usize {
    ((total + 1) * 5).div_ceil(endpoints * 4)
}

/// Place of the chosen one; `None` where there is none to choose from. `tie` is random: equals share what has no prefix.
pub(crate) fn pick(prefix: Option<u64>, candidates: &[Candidate], tie: u64) -> Option<usize> {
    let total = candidates.iter().map(|candidate| candidate.in_flight).sum();
    let places = candidates.iter().enumerate();
    let Some(prefix) = prefix else {
        return places.min_by_key(|(_, one)| (one.in_flight, mix(one.id, tie))).map(|(place, _)| place);
    };
    let bound = bound(total, candidates.len().max(1));
    let free = places.filter(|(_, one)| one.in_flight < bound);
    free.max_by_key(|(_, one)| mix(one.id, prefix)).map(|(place, _)| place)
}

/// SplitMix64's finaliser over both: every bit of either reaches every bit of the rank.
pub(crate) fn mix(id: u64, key: u64) -> u64 {
    let mut x = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ key;
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidates(loads: &[usize]) -> Vec<Candidate> {
        let ids = (1_u64..).map(|n| mix(n, 99));
        ids.zip(loads).map(|(id, in_flight)| Candidate { id, in_flight: *in_flight }).collect()
    }

    #[test]
    fn without_a_prefix_the_least_loaded_is_taken() {
        assert_eq!(pick(None, &candidates(&[3, 1, 2]), 0), Some(1));
        assert_eq!(pick(None, &[], 0), None);
        assert_eq!(pick(Some(1), &[], 0), None);
    }

    #[test]
    fn prefixes_spread_evenly() {
        let idle = candidates(&[0; 8]);
        let mut taken = [0_u32; 8];
        for prefix in 0..8000 {
            taken[pick(Some(prefix), &idle, 0).expect("one should be picked")] += 1;
        }
        assert!(taken.iter().all(|n| (850..1150).contains(n)), "{taken:?}");
    }

    #[test]
    fn a_popular_prefix_is_shared() {
        let mut all = candidates(&[0; 4]);
        for _ in 0..100 {
            let place = pick(Some(7), &all, 0).expect("one should be picked");
            all[place].in_flight += 1;
        }
        assert!(all.iter().all(|one| one.in_flight <= 32), "{all:?}");
    }

    proptest! {
        #[test]
        fn one_is_always_found_and_none_is_overloaded(loads in prop::collection::vec(0_usize..50, 1..20), prefix: u64) {
            let all = candidates(&loads);
            let place = pick(Some(prefix), &all, 0).expect("one should be picked");
            let total: usize = loads.iter().sum();
            prop_assert!(loads[place] < bound(total, loads.len()));
        }

        #[test]
        fn one_that_goes_moves_only_its_own(n in 2_usize..12, gone: prop::sample::Index, prefix: u64) {
            let before = candidates(&vec![0; n]);
            let gone = gone.index(n);
            let mut after = before.clone();
            after.remove(gone);
            let was = pick(Some(prefix), &before, 0).expect("one should be picked");
            let is = pick(Some(prefix), &after, 0).expect("one should be picked");
            if was != gone {
                prop_assert_eq!(before[was].id, after[is].id);
            }
        }
    }
}
