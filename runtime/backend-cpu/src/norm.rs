//! Norms, piece by piece.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use alcazar_core::BackendError;

use crate::{
    parallel::{LEAST_ROWS, for_each_chunk, for_each_row},
    pool::Pool,
    simd::{Kernel, dispatch, dot, sum},
    tensor::{Tensor, misfit},
};

/// Of a piece; the result goes to `out`.
struct RmsNorm<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl Kernel for RmsNorm<'_> {
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

/// Of each piece as wide as the gain.
pub(crate) fn rms_norm(x: &Tensor, gain: &[f32], eps: f32, pool: &Pool) -> Result<Tensor, BackendError> {
    let piece = gain.len();
    if piece == 0 || !x.width.is_multiple_of(piece) {
        return Err(misfit("rms_norm", format!("{:?}", x.dims()), format!("rows of whole pieces of {piece}")));
    }
    let mut out = Tensor::zeros(x.n_rows(), x.width);
    for_each_chunk(pool, &mut out.values, piece, LEAST_ROWS * (x.width / piece), |nth, out| {
        dispatch(RmsNorm { x: &x.values[nth * piece..(nth + 1) * piece], gain, eps, out });
    });
    Ok(out)
}

/// Of a row; the result goes to `out`.
struct LayerNorm<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    bias: Option<&'a [f32]>,
    eps: f32,
    out: &'a mut [f32],
}

impl Kernel for LayerNorm<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { x, gain, bias, eps, out } = self;
        #[expect(clippy::cast_precision_loss, reason = "a row has far fewer than 2^23 elements")]
        let n = x.len() as f32;
        let mean = sum(x) / n;
        for (out, x) in out.iter_mut().zip(x) {
            *out = x - mean;
        }
        let factor = 1.0 / (dot::<FMA>(out, out) / n + eps).sqrt();
        for (out, gain) in out.iter_mut().zip(gain) {
            *out = *out * factor * gain;
        }
        if let Some(bias) = bias {
            out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
        }
    }
}

pub(crate) fn layer_norm(
    x: &Tensor,
    gain: &[f32],
    bias: Option<&[f32]>,
    eps: f32,
    pool: &Pool,
) -> Result<Tensor, BackendError> {
    let width = gain.len();
    x.check_width("layer_norm", width)?;
    if let Some(found) = bias.map(<[f32]>::len).filter(|found| *found != width) {
        return Err(misfit("layer_norm", format!("a bias of {found}"), format!("a bias of {width}")));
    }
    let mut out = Tensor::zeros(x.n_rows(), width);
    for_each_row(pool, &mut out.values, width, |row, out| {
        dispatch(LayerNorm { x: &x.values[row * width..(row + 1) * width], gain, bias, eps, out });
    });
    Ok(out)
}
