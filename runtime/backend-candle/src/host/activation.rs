//! Activations and gates, element by element.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use alcazar_core::{Activation, BackendError, Gating};
use candle_core::Tensor;

use super::{
    parallel::{LEAST_ROWS, for_each_chunk},
    same_shape,
    simd::{Kernel, dispatch, erf, exp, tanh},
    to_tensor, width, with_values,
};

#[inline(always)]
fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

#[inline(always)]
fn activated<const FMA: bool>(x: f32, activation: Activation) -> f32 {
    /// sqrt(2 / π), and the factor of x³: Hendrycks and Gimpel 2016, section 2.
    const GELU: [f32; 2] = [0.797_884_6, 0.044_715];
    match activation {
        Activation::Silu => x / (1.0 + exp::<FMA>(-x)),
        Activation::GeluErf => 0.5 * x * (1.0 + erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2)),
        // (1 + tanh u) / 2 is the sigmoid of 2u.
        Activation::GeluTanh => x * sigmoid::<FMA>(2.0 * GELU[0] * (x + GELU[1] * x * x * x)),
        Activation::Relu => x.max(0.0),
        Activation::Tanh => tanh::<FMA>(x),
    }
}

/// Turns a row into its activation; the kind is chosen outside of the loop.
struct Activate<'a> {
    row: &'a mut [f32],
    activation: Activation,
}

impl Kernel for Activate<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        macro_rules! each {
            ($kind:expr) => {
                for x in self.row.iter_mut() {
                    *x = activated::<FMA>(*x, $kind);
                }
            };
        }
        match self.activation {
            Activation::Silu => each!(Activation::Silu),
            Activation::GeluErf => each!(Activation::GeluErf),
            Activation::GeluTanh => each!(Activation::GeluTanh),
            Activation::Relu => each!(Activation::Relu),
            Activation::Tanh => each!(Activation::Tanh),
        }
    }
}

pub(crate) fn activate(x: &Tensor, activation: Activation) -> Result<Tensor, BackendError> {
    let width = width("activate", x, None)?;
    let mut out = with_values("activate", x, |x| Ok(x.to_vec()))?;
    for_each_chunk(&mut out, width, LEAST_ROWS, |_, row| dispatch(Activate { row, activation }));
    to_tensor("activate", out, width)
}

struct ClampedSwiglu<'a> {
    gate: &'a mut [f32],
    up: &'a [f32],
    alpha: f32,
    limit: f32,
}

impl Kernel for ClampedSwiglu<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (gate, up) in self.gate.iter_mut().zip(self.up) {
            let g = gate.min(self.limit);
            *gate = g * sigmoid::<FMA>(self.alpha * g) * (up.clamp(-self.limit, self.limit) + 1.0);
        }
    }
}

pub(crate) fn gate(gate: &Tensor, up: &Tensor, gating: Gating) -> Result<Tensor, BackendError> {
    let width = same_shape("gate", gate, up)?;
    let mut out = with_values("gate", gate, |gate| Ok(gate.to_vec()))?;
    with_values("gate", up, |up| {
        for_each_chunk(&mut out, width, LEAST_ROWS, |row, out| {
            let up = &up[row * width..(row + 1) * width];
            match gating {
                Gating::Of(activation) => {
                    dispatch(Activate { row: out, activation });
                    out.iter_mut().zip(up).for_each(|(out, up)| *out *= up);
                }
                Gating::ClampedSwiglu { alpha, limit } => dispatch(ClampedSwiglu { gate: out, up, alpha, limit }),
            }
        });
        Ok(())
    })?;
    to_tensor("gate", out, width)
}

pub(crate) fn scale(x: &Tensor, factor: f32) -> Result<Tensor, BackendError> {
    let width = width("scale", x, None)?;
    let out = with_values("scale", x, |x| Ok(x.iter().map(|x| x * factor).collect()))?;
    to_tensor("scale", out, width)
}
