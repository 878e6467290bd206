//! Norms, rotation and activation, row by row.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use alcazar_core::{BackendError, RopeStyle};
use candle_core::Tensor;

use super::{
    parallel::for_each_chunk,
    simd::{Kernel, dispatch, dot, exp},
    to_tensor, width, with_values,
};
use crate::backend::Angles;

/// Rows from which on threads pay.
const LEAST_ROWS: usize = 16;

pub(crate) fn rms_norm(x: &Tensor, gain: &[f32], eps: f32) -> Result<Tensor, BackendError> {
    struct Norm<'a> {
        x: &'a [f32],
        gain: &'a [f32],
        eps: f32,
        out: &'a mut [f32],
    }
    impl Kernel for Norm<'_> {
        #[inline(always)]
        fn run<const FMA: bool>(self) {
            #[expect(clippy::cast_precision_loss, reason = "a row has far fewer than 2^23 elements")]
            let mean = dot::<FMA>(self.x, self.x) / self.x.len() as f32;
            let factor = 1.0 / (mean + self.eps).sqrt();
            for ((out, x), gain) in self.out.iter_mut().zip(self.x).zip(self.gain) {
                *out = x * factor * gain;
            }
        }
    }
    let width = width("rms_norm", x, Some(gain.len()))?;
    let out = with_values("rms_norm", x, |x| {
        let mut out = vec![0f32; x.len()];
        for_each_chunk(&mut out, width, LEAST_ROWS, |row, out| {
            dispatch(Norm { x: &x[row * width..(row + 1) * width], gain, eps, out });
        });
        Ok(out)
    })?;
    to_tensor("rms_norm", out, width)
}

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

pub(crate) fn silu_mul(gate: &Tensor, up: &Tensor) -> Result<Tensor, BackendError> {
    struct SiluMul<'a> {
        up: &'a [f32],
        out: &'a mut [f32],
    }
    impl Kernel for SiluMul<'_> {
        #[inline(always)]
        fn run<const FMA: bool>(self) {
            for (out, up) in self.out.iter_mut().zip(self.up) {
                *out = *out / (1.0 + exp::<FMA>(-*out)) * up;
            }
        }
    }
    let width = same_shape("silu_mul", gate, up)?;
    let mut out = with_values("silu_mul", gate, |gate| Ok(gate.to_vec()))?;
    with_values("silu_mul", up, |up| {
        for_each_chunk(&mut out, width, LEAST_ROWS, |row, out| {
            dispatch(SiluMul { up: &up[row * width..(row + 1) * width], out });
        });
        Ok(())
    })?;
    to_tensor("silu_mul", out, width)
}

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

fn same_shape(op: &'static str, a: &Tensor, b: &Tensor) -> Result<usize, BackendError> {
    if a.dims() == b.dims() {
        return width(op, a, None);
    }
    Err(BackendError::Shape {
        op,
        found: format!("{:?} and {:?}", a.dims(), b.dims()),
        expected: "equal shapes".to_owned(),
    })
}
