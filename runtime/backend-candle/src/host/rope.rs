//! Rotary embedding, row by row.

use alcazar_core::{BackendError, RopeStyle};
use candle_core::Tensor;

use super::{
    parallel::{LEAST_ROWS, for_each_chunk},
    to_tensor, width, with_values,
};
use crate::backend::Angles;

pub(crate) fn rope(x: &Tensor, angles: &Angles, head_dim: usize, style: RopeStyle) -> Result<Tensor, BackendError> {
    let n_pairs = angles.n_pairs;
    let width = width("rope", x, None)?;
    let n_rows = x.elem_count() / width;
    if head_dim == 0
        || !width.is_multiple_of(head_dim)
        || 2 * n_pairs > head_dim
        || angles.cos.len() != n_rows * n_pairs
    {
        return Err(BackendError::Shape {
            op: "rope",
            found: format!("{:?} with {} angles", x.dims(), angles.cos.len()),
            expected: format!("heads of {head_dim}, {n_pairs} angles for each row"),
        });
    }
    let mut out = with_values("rope", x, |x| Ok(x.to_vec()))?;
    for_each_chunk(&mut out, width, LEAST_ROWS, |row, out| {
        let range = row * n_pairs..(row + 1) * n_pairs;
        let (cos, sin) = (&angles.cos[range.clone()], &angles.sin[range]);
        for head in out.chunks_exact_mut(head_dim) {
            rotate(head, cos, sin, style);
        }
    });
    to_tensor("rope", out, width)
}

fn rotate(head: &mut [f32], cos: &[f32], sin: &[f32], style: RopeStyle) {
    match style {
        RopeStyle::Interleaved => {
            let (pairs, _) = head.as_chunks_mut::<2>();
            for ((pair, cos), sin) in pairs.iter_mut().zip(cos).zip(sin) {
                let [a, b] = *pair;
                *pair = [a * cos - b * sin, a * sin + b * cos];
            }
        }
        RopeStyle::Halves => {
            let (first, rest) = head.split_at_mut(cos.len());
            for (((a, b), cos), sin) in first.iter_mut().zip(rest).zip(cos).zip(sin) {
                (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
            }
        }
    }
}
