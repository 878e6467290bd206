//! Sums of rows.

use alcazar_core::BackendError;
use candle_core::Tensor;

use super::{same_shape, to_tensor, width, with_values};

pub(crate) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor, BackendError> {
    let width = same_shape("add", a, b)?;
    let out = with_values("add", a, |a| with_values("add", b, |b| Ok(a.iter().zip(b).map(|(a, b)| a + b).collect())))?;
    to_tensor("add", out, width)
}

pub(crate) fn add_bias(x: &Tensor, bias: &[f32]) -> Result<Tensor, BackendError> {
    let width = width("bias", x, Some(bias.len()))?;
    let mut out = with_values("bias", x, |x| Ok(x.to_vec()))?;
    for row in out.chunks_exact_mut(width) {
        row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
    }
    to_tensor("bias", out, width)
}

/// See [`alcazar_core::Backend::add_rows`].
pub(crate) fn add_rows(acc: &Tensor, rows: &[usize], weights: &[f32], y: &Tensor) -> Result<Tensor, BackendError> {
    let width = width("add_rows", y, acc.dims().get(1).copied())?;
    let mut out = with_values("add_rows", acc, |acc| Ok(acc.to_vec()))?;
    with_values("add_rows", y, |y| {
        for ((row, weight), y) in rows.iter().zip(weights).zip(y.chunks_exact(width)) {
            let Some(out) = out.get_mut(row * width..(row + 1) * width) else {
                return Err(BackendError::Shape {
                    op: "add_rows",
                    found: format!("row {row}"),
                    expected: format!("a row of {:?}", acc.dims()),
                });
            };
            out.iter_mut().zip(y).for_each(|(out, y)| *out += weight * y);
        }
        Ok(())
    })?;
    to_tensor("add_rows", out, width)
}
