//! Many rows to one, on the host.

use alcazar_core::encoder::Pooling;

/// # Shapes
/// - rows: `[sum of lengths, width]`; output: `[lengths, width]`
pub(super) fn pool(rows: &[f32], lengths: &[usize], pooling: Pooling) -> Vec<f32> {
    let n_rows: usize = lengths.iter().sum();
    let width = rows.len() / n_rows.max(1);
    let (mut pooled, mut rest) = (Vec::with_capacity(lengths.len() * width), rows);
    for length in lengths {
        let (own, behind) = rest.split_at((length * width).min(rest.len()));
        pooled.extend(text(own, width, pooling));
        rest = behind;
    }
    pooled
}

fn text(rows: &[f32], width: usize, pooling: Pooling) -> Vec<f32> {
    let n_rows = rows.len() / width.max(1);
    #[expect(clippy::cast_precision_loss, reason = "texts are far shorter than 2^23 tokens")]
    let count = n_rows as f32;
    let row = |nth: usize| rows.get(nth * width..(nth + 1) * width).unwrap_or_default();
    let fold = |first: f32, join: fn(f32, f32) -> f32| {
        let mut sums = vec![first; width];
        for nth in 0..n_rows {
            sums.iter_mut().zip(row(nth)).for_each(|(sum, x)| *sum = join(*sum, *x));
        }
        sums
    };
    let shared = |divisor: f32| fold(0.0, |sum, x| sum + x).into_iter().map(|sum| sum / divisor).collect();
    match pooling {
        Pooling::Mean => shared(count),
        Pooling::MeanSqrtLength => shared(count.sqrt()),
        Pooling::Max => fold(f32::NEG_INFINITY, f32::max),
        Pooling::First => row(0).to_vec(),
        Pooling::Last => row(n_rows.saturating_sub(1)).to_vec(),
    }
}

/// Divides by the length; a vector of zeros stays one.
pub(super) fn normalise(row: &mut [f32]) {
    let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        for x in row {
            *x /= length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_pooled_by_itself() {
        let rows = [1.0, 4.0, 3.0, 2.0, 9.0, -9.0];
        let found = |pooling| pool(&rows, &[2, 1], pooling);
        assert_eq!(found(Pooling::Mean), [2.0, 3.0, 9.0, -9.0]);
        assert_eq!(found(Pooling::Max), [3.0, 4.0, 9.0, -9.0]);
        assert_eq!(found(Pooling::First), [1.0, 4.0, 9.0, -9.0]);
        assert_eq!(found(Pooling::Last), [3.0, 2.0, 9.0, -9.0]);
        let sqrt = found(Pooling::MeanSqrtLength);
        assert!((sqrt[0] - 4.0 / 2f32.sqrt()).abs() < 1e-6 && (sqrt[2] - 9.0).abs() < 1e-6);
    }

    #[test]
    fn a_vector_has_length_one_afterwards() {
        let (mut row, mut zeros) = ([3.0, 4.0], [0.0, 0.0]);
        normalise(&mut row);
        normalise(&mut zeros);
        assert_eq!((row, zeros), ([0.6, 0.8], [0.0, 0.0]));
    }
}
