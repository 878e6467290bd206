//! Activations and gates, element by element.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use alcazar_core::{Activation, BackendError, Gating};

use crate::{
    parallel::for_each_row,
    pool::Pool,
    simd::{Kernel, dispatch, erf, exp, tanh},
    tensor::Tensor,
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

/// Runs a loop with the activation as a constant, so that the kind is chosen outside of it.
macro_rules! for_kind {
    ($activation:expr, $run:ident) => {
        match $activation {
            Activation::Silu => $run!(Activation::Silu),
            Activation::GeluErf => $run!(Activation::GeluErf),
            Activation::GeluTanh => $run!(Activation::GeluTanh),
            Activation::Relu => $run!(Activation::Relu),
            Activation::Tanh => $run!(Activation::Tanh),
        }
    };
}

/// Turns a row into its activation.
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
        for_kind!(self.activation, each);
    }
}

pub(crate) fn activate(mut x: Tensor, activation: Activation, pool: &Pool) -> Tensor {
    let width = x.width;
    for_each_row(pool, &mut x.values, width, |_, row| dispatch(Activate { row, activation }));
    x
}

/// Turns a row of gates into what they let through.
struct Gate<'a> {
    row: &'a mut [f32],
    up: &'a [f32],
    gating: Gating,
}

impl Kernel for Gate<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let pairs = self.row.iter_mut().zip(self.up);
        macro_rules! each {
            ($kind:expr) => {
                for (gate, up) in pairs {
                    *gate = activated::<FMA>(*gate, $kind) * up;
                }
            };
        }
        match self.gating {
            Gating::Of(activation) => for_kind!(activation, each),
            Gating::ClampedSwiglu { alpha, limit } => {
                for (gate, up) in pairs {
                    let g = gate.min(limit);
                    *gate = g * sigmoid::<FMA>(alpha * g) * (up.clamp(-limit, limit) + 1.0);
                }
            }
        }
    }
}

pub(crate) fn gate(mut gate: Tensor, up: &Tensor, gating: Gating, pool: &Pool) -> Result<Tensor, BackendError> {
    gate.check_same("gate", up)?;
    let width = gate.width;
    for_each_row(pool, &mut gate.values, width, |nth, row| {
        dispatch(Gate { row, up: &up.values[nth * width..(nth + 1) * width], gating });
    });
    Ok(gate)
}
