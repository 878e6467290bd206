//! Rotary embedding, row by row.

use alcazar_core::{BackendError, RopeStyle, backend::HostAngles};

use crate::{
    parallel::for_each_row,
    pool::Pool,
    tensor::{Tensor, misfit},
};

pub(crate) fn rope(
    mut x: Tensor,
    angles: &HostAngles,
    head_dim: usize,
    style: RopeStyle,
    pool: &Pool,
) -> Result<Tensor, BackendError> {
    let (n_pairs, width) = (angles.n_pairs, x.width);
    if head_dim == 0
        || !width.is_multiple_of(head_dim)
        || 2 * n_pairs > head_dim
        || angles.cos.len() != x.n_rows() * n_pairs
    {
        let found = format!("{:?} with {} angles", x.dims(), angles.cos.len());
        return Err(misfit("rope", found, format!("heads of {head_dim}, {n_pairs} angles for each row")));
    }
    for_each_row(pool, &mut x.values, width, |row, x| {
        let range = row * n_pairs..(row + 1) * n_pairs;
        let (cos, sin) = (&angles.cos[range.clone()], &angles.sin[range]);
        for head in x.chunks_exact_mut(head_dim) {
            rotate(head, cos, sin, style);
        }
    });
    Ok(x)
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
