//! The host's operations against plain tensor operations, and weights of every type against their dequantised selves.

mod attention;
mod elementwise;
mod packed;
mod weights;

use alcazar_core::{RawTensor, WeightType};
use candle_core::{Device, Tensor};

use crate::CandleBackend;

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

fn tensor(rows: usize, width: usize, seed: u64) -> Tensor {
    Tensor::from_vec(noise(rows * width, seed), (rows, width), &Device::Cpu).unwrap()
}

fn raw(name: &str, shape: &[usize], values: &[f32]) -> RawTensor<'static> {
    RawTensor {
        name: name.to_owned(),
        weight_type: WeightType::F32,
        shape: shape.to_owned(),
        data: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

fn difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let values = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values(a).iter().zip(values(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

const HOST: CandleBackend = CandleBackend::cpu();
const PLAIN: CandleBackend = CandleBackend::plain();
