//! The operations against candle's tensor operations, the reference.

mod attention;
mod elementwise;
mod packed;

use std::num::NonZeroUsize;

use alcazar_backend_candle::CandleBackend;
use alcazar_core::{Backend, RawTensor};

use crate::{CachePrecision, CpuBackend, Tensor};

/// Numbers between -1 and 1 that look like chance.
fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f32::from(u16::try_from(state >> 48).unwrap()) / 32768.0 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// Workers beside the caller, so that what is shared is seen.
fn cpu(precision: CachePrecision) -> CpuBackend {
    CpuBackend::new(NonZeroUsize::new(3).unwrap(), precision)
}

/// A backend whose tensors come from numbers.
trait FromNumbers: Backend {
    fn tensor(&self, values: &[f32], width: usize) -> Self::Tensor;
}

impl FromNumbers for CpuBackend {
    fn tensor(&self, values: &[f32], width: usize) -> Tensor {
        Tensor { values: values.to_vec(), width }
    }
}

impl FromNumbers for CandleBackend {
    fn tensor(&self, values: &[f32], width: usize) -> Self::Tensor {
        let all = self.matrix(&raw("x", &[values.len() / width, width], values)).unwrap();
        let rows: Vec<u32> = (0..u32::try_from(values.len() / width).unwrap()).collect();
        self.embedding(&all, &rows).unwrap()
    }
}

fn tensor<B: FromNumbers>(backend: &B, rows: usize, width: usize, seed: u64) -> B::Tensor {
    backend.tensor(&noise(rows * width, seed), width)
}

fn vector<B: Backend>(backend: &B, width: usize, seed: u64) -> B::Vector {
    backend.vector(&raw("v", &[width], &noise(width, seed))).unwrap()
}

fn raw(name: &str, shape: &[usize], values: &[f32]) -> RawTensor<'static> {
    RawTensor::from_f32(name, shape, values)
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The farthest that an operation is from candle's; it is a function that is generic over the backend.
macro_rules! distance {
    ($operation:expr $(, $argument:expr)*) => {
        difference(&$operation(&cpu(CachePrecision::F16) $(, $argument)*), &$operation(&CandleBackend::cpu() $(, $argument)*))
    };
}
use distance;
