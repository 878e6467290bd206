//! How families put distances between tokens into buckets.

/// T5's and MPNet's buckets of `query − key`: half of them for each direction, of which the nearer half are exact and the
/// others logarithmic up to a distance of 128. Entry `reach + distance` for each distance within `reach`.
///
/// Source: Raffel et al. 2020, section 2.1, as transformers computes it.
pub(super) fn halves(n_buckets: usize, reach: usize) -> Vec<usize> {
    const FARTHEST: f32 = 128.0;
    let half = n_buckets / 2;
    let exact = half / 2;
    let bucket = |distance: usize| {
        if distance < exact {
            return distance;
        }
        let steps = (float(distance) / float(exact)).ln() / (FARTHEST / float(exact)).ln() * float(half - exact);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
        let steps = steps as usize;
        (exact + steps).min(half - 1)
    };
    table(reach, |distance, is_ahead| bucket(distance) + if is_ahead { half } else { 0 })
}

/// DeBERTa's entries of `query − key` in a table of `2 · span` rows: exact near the middle; with buckets logarithmic from
/// half of the span on, up to `max_distance`. Entry `reach + distance` for each distance within `reach`.
///
/// Source: He et al. 2021, appendix A.3, as transformers computes it.
pub(super) fn around_the_middle(n_buckets: Option<usize>, max_distance: usize, reach: usize) -> Vec<usize> {
    let span = n_buckets.unwrap_or(max_distance);
    let bucket = |distance: usize| match n_buckets {
        Some(n_buckets) if distance > n_buckets / 2 => {
            let middle = n_buckets / 2;
            let share = (float(distance) / float(middle)).ln() / (float(max_distance - 1) / float(middle)).ln();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
            let steps = (share * float(middle - 1)).ceil() as usize;
            middle + steps
        }
        _ => distance,
    };
    table(reach, |distance, is_ahead| {
        let offset = bucket(distance);
        if is_ahead { span.saturating_sub(offset) } else { (span + offset).min(2 * span - 1) }
    })
}

/// `is_ahead`: the key comes after the query.
fn table(reach: usize, entry: impl Fn(usize, bool) -> usize) -> Vec<usize> {
    let ahead = (1..=reach).rev().map(|distance| entry(distance, true));
    ahead.chain((0..=reach).map(|distance| entry(distance, false))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "distances are far below 2^23")]
const fn float(n: usize) -> f32 {
    n as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_distances_have_buckets_of_their_own_in_each_direction() {
        let found = halves(32, 200);
        assert_eq!(found[200..205], [0, 1, 2, 3, 4], "the key is behind");
        assert_eq!(found[196..200], [20, 19, 18, 17], "the key is ahead");
        assert_eq!((found[400], found[0]), (15, 31), "far away");
        // transformers' relative_position_bucket for 8, 12 and 40.
        assert_eq!((found[208], found[212], found[240]), (8, 9, 12));
    }

    #[test]
    fn the_middle_is_linear_and_the_rest_logarithmic() {
        let plain = around_the_middle(None, 4, 6);
        assert_eq!(plain, [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7]);
        let found = around_the_middle(Some(8), 40, 39);
        assert_eq!(found[39..45], [8, 9, 10, 11, 12, 13], "exact up to 4, then in steps");
        assert_eq!((found[0], found[78]), (1, 15), "the ends");
    }
}
