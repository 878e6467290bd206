//! Norms, piece by piece.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use alcazar_core::BackendError;
use candle_core::Tensor;

use super::{
    parallel::{LEAST_ROWS, for_each_chunk},
    simd::{Kernel, dispatch, dot, sum},
    to_tensor, width, with_values,
};

/// Of each piece as wide as the gain.
pub(crate) fn rms_norm(x: &Tensor, gain: &[f32], eps: f32) -> Result<Tensor, BackendError> {
    struct Norm<'a> {
        gain: &'a [f32],
        eps: f32,
        /// The piece, which the result takes the place of.
        piece: &'a mut [f32],
    }
    impl Kernel for Norm<'_> {
        #[inline(always)]
        fn run<const FMA: bool>(self) {
            #[expect(clippy::cast_precision_loss, reason = "a row has far fewer than 2^23 elements")]
            let mean = dot::<FMA>(self.piece, self.piece) / self.piece.len() as f32;
            let factor = 1.0 / (mean + self.eps).sqrt();
            for (x, gain) in self.piece.iter_mut().zip(self.gain) {
                *x = *x * factor * gain;
            }
        }
    }
    let width = width("rms_norm", x, None)?;
    if gain.is_empty() || !width.is_multiple_of(gain.len()) {
        return Err(BackendError::Shape {
            op: "rms_norm",
            found: format!("{:?}", x.dims()),
            expected: format!("rows of whole pieces of {}", gain.len()),
        });
    }
    let mut out = with_values("rms_norm", x, |x| Ok(x.to_vec()))?;
    for_each_chunk(&mut out, gain.len(), LEAST_ROWS * (width / gain.len()), |_, piece| {
        dispatch(Norm { gain, eps, piece });
    });
    to_tensor("rms_norm", out, width)
}

pub(crate) fn layer_norm(x: &Tensor, gain: &[f32], bias: Option<&[f32]>, eps: f32) -> Result<Tensor, BackendError> {
    struct Norm<'a> {
        gain: &'a [f32],
        bias: Option<&'a [f32]>,
        eps: f32,
        /// The row, which the result takes the place of.
        row: &'a mut [f32],
    }
    impl Kernel for Norm<'_> {
        #[inline(always)]
        fn run<const FMA: bool>(self) {
            let Self { gain, bias, eps, row } = self;
            #[expect(clippy::cast_precision_loss, reason = "a row has far fewer than 2^23 elements")]
            let n = row.len() as f32;
            let mean = sum(row) / n;
            for x in row.iter_mut() {
                *x -= mean;
            }
            let factor = 1.0 / (dot::<FMA>(row, row) / n + eps).sqrt();
            for (x, gain) in row.iter_mut().zip(gain) {
                *x = *x * factor * gain;
            }
            if let Some(bias) = bias {
                row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
            }
        }
    }
    let width = width("layer_norm", x, Some(gain.len()))?;
    if bias.is_some_and(|bias| bias.len() != width) {
        return Err(BackendError::Shape {
            op: "layer_norm",
            found: format!("a bias of {:?}", bias.map(<[f32]>::len)),
            expected: format!("a bias of {width}"),
        });
    }
    let mut out = with_values("layer_norm", x, |x| Ok(x.to_vec()))?;
    for_each_chunk(&mut out, width, LEAST_ROWS, |_, row| dispatch(Norm { gain, bias, eps, row }));
    to_tensor("layer_norm", out, width)
}
