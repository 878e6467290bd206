//! Norms, activations, rotation and sums.

use alcazar_core::{Activation, Gating, RopeStyle, backend::HostAngles};
use candle_core::{D, Result, Tensor};

/// Of each piece as wide as the gain.
pub(crate) fn rms_norm(x: &Tensor, gain: &Tensor, eps: f32) -> Result<Tensor> {
    let (n_rows, width) = x.dims2()?;
    let piece = gain.dim(0)?;
    let x = x.reshape((n_rows, width / piece, piece))?;
    let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
    let x = x.broadcast_div(&(mean + f64::from(eps))?.sqrt()?)?.broadcast_mul(gain)?;
    x.reshape((n_rows, width))
}

pub(crate) fn layer_norm(x: &Tensor, gain: &Tensor, bias: Option<&Tensor>, eps: f32) -> Result<Tensor> {
    let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = x.sqr()?.mean_keepdim(D::Minus1)?;
    let x = x.broadcast_div(&(variance + f64::from(eps))?.sqrt()?)?.broadcast_mul(gain)?;
    match bias {
        Some(bias) => x.broadcast_add(bias),
        None => Ok(x),
    }
}

pub(crate) fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Silu => x.silu(),
        Activation::GeluErf => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
        Activation::Relu => x.relu(),
        Activation::Tanh => x.tanh(),
    }
}

pub(crate) fn gate(gate: &Tensor, up: &Tensor, gating: Gating) -> Result<Tensor> {
    match gating {
        Gating::Of(activation) => activate(gate, activation)?.mul(up),
        Gating::ClampedSwiglu { alpha, limit } => {
            let gate = gate.minimum(f64::from(limit))?;
            let up = up.clamp(-limit, limit)?;
            let sigmoid = ((gate.affine(-f64::from(alpha), 0.0)?.exp()? + 1.0)?).recip()?;
            (gate * sigmoid)? * (up + 1.0)?
        }
    }
}

pub(crate) fn add_rows(acc: &Tensor, rows: &[u32], weights: &[f32], y: &Tensor) -> Result<Tensor> {
    let rows = Tensor::new(rows, acc.device())?;
    let weights = Tensor::new(weights, acc.device())?.unsqueeze(1)?;
    acc.index_add(&rows, &y.broadcast_mul(&weights)?, 0)
}

/// # Shapes
/// - x: `[rows, heads · head_dim]`; angles: `[rows, pairs]`
pub(crate) fn rope(x: &Tensor, angles: &HostAngles, head_dim: usize, style: RopeStyle) -> Result<Tensor> {
    let (n_rows, width) = x.dims2()?;
    let (n_heads, n_pairs) = (width / head_dim, angles.n_pairs);
    let shape = (n_rows, 1, n_pairs);
    let cos = Tensor::from_slice(&angles.cos, shape, x.device())?;
    let sin = Tensor::from_slice(&angles.sin, shape, x.device())?;
    let x = x.reshape((n_rows, n_heads, head_dim))?;
    let rotated = x.narrow(2, 0, 2 * n_pairs)?;
    let (a, b) = match style {
        RopeStyle::Halves => (rotated.narrow(2, 0, n_pairs)?, rotated.narrow(2, n_pairs, n_pairs)?),
        RopeStyle::Interleaved => {
            let pairs = rotated.reshape((n_rows, n_heads, n_pairs, 2))?;
            (pairs.narrow(3, 0, 1)?.squeeze(3)?, pairs.narrow(3, 1, 1)?.squeeze(3)?)
        }
    };
    let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
    let second = (a.broadcast_mul(&sin)? + b.broadcast_mul(&cos)?)?;
    let rotated = match style {
        RopeStyle::Halves => Tensor::cat(&[first, second], 2)?,
        RopeStyle::Interleaved => Tensor::stack(&[first, second], 3)?.reshape((n_rows, n_heads, 2 * n_pairs))?,
    };
    let rest = x.narrow(2, 2 * n_pairs, head_dim - 2 * n_pairs)?;
    Tensor::cat(&[rotated, rest], 2)?.reshape((n_rows, width))
}

pub(crate) fn softmax(x: &Tensor) -> Result<Tensor> {
    let x = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?.exp()?;
    x.broadcast_div(&x.sum_keepdim(D::Minus1)?)
}
