//! Norms, rotation, activations and sums.

use alcazar_backend_candle::CandleBackend;
use alcazar_core::{Activation, Backend, Gating, RawTensor, RopeStyle, WeightType};

use super::{FromNumbers, cpu, difference, distance, noise, raw, tensor, vector};
use crate::CachePrecision;

fn rms_norm<B: FromNumbers>(backend: &B, rows: usize, piece: usize) -> Vec<f32> {
    let gain = vector(backend, piece, 3);
    backend.to_host(&backend.rms_norm(&tensor(backend, rows, 48, 1), &gain, 1e-5).unwrap()).unwrap()
}

fn layer_norm<B: FromNumbers>(backend: &B, rows: usize, has_bias: bool) -> Vec<f32> {
    let (gain, bias) = (vector(backend, 48, 3), vector(backend, 48, 4));
    let x = tensor(backend, rows, 48, 1);
    backend.to_host(&backend.layer_norm(&x, &gain, has_bias.then_some(&bias), 1e-5).unwrap()).unwrap()
}

fn sums<B: FromNumbers>(backend: &B, rows: usize) -> Vec<f32> {
    let (x, y) = (tensor(backend, rows, 48, 1), tensor(backend, rows, 48, 2));
    backend.to_host(&backend.add(backend.scale(x, -0.7).unwrap(), &y).unwrap()).unwrap()
}

fn rope<B: FromNumbers>(backend: &B, rows: usize, style: RopeStyle, n_pairs: i32) -> Vec<f32> {
    let positions: Vec<u32> = (0..u32::try_from(rows).unwrap()).map(|row| row * 7).collect();
    let frequencies: Vec<f32> = (0..n_pairs).map(|pair| 0.7f32.powi(pair)).collect();
    let angles = backend.angles(&positions, &frequencies, 1.3).unwrap();
    backend.to_host(&backend.rope(tensor(backend, rows, 48, 1), &angles, 16, style).unwrap()).unwrap()
}

#[test]
fn norms_rotation_and_sums_are_the_reference() {
    for rows in [1, 3, 40] {
        // Whole rows, and each head by itself as Qwen3 does with queries and keys.
        for piece in [48, 16] {
            assert!(distance!(rms_norm, rows, piece) < 1e-5);
        }
        for has_bias in [false, true] {
            assert!(distance!(layer_norm, rows, has_bias) < 1e-5);
        }
        assert!(distance!(sums, rows) < 1e-6);
        for style in [RopeStyle::Interleaved, RopeStyle::Halves] {
            for n_pairs in [8, 6] {
                assert!(distance!(rope, rows, style, n_pairs) < 1e-5);
            }
        }
    }
}

fn linear<B: FromNumbers>(backend: &B) -> Vec<f32> {
    let weight = backend.matrix(&raw("w", &[5, 32], &noise(160, 1))).unwrap();
    let x = tensor(backend, 20, 32, 3);
    backend.to_host(&backend.linear(&x, &weight, Some(&vector(backend, 5, 2))).unwrap()).unwrap()
}

#[test]
fn a_bias_is_added_to_every_row() {
    assert!(distance!(linear) < 1e-5);
}

fn three<B: FromNumbers>(backend: &B) -> Vec<f32> {
    let weights = [(5, 1), (40, 2), (7, 3)].map(|(n, seed)| backend.matrix(&raw("w", &[n, 32], &noise(n * 32, seed))));
    let [a, b, c] = weights.map(Result::unwrap);
    let (x, bias) = (tensor(backend, 20, 32, 4), vector(backend, 40, 5));
    let products = backend.linear_each(&x, [(&a, None), (&b, Some(&bias)), (&c, None)]).unwrap();
    products.iter().flat_map(|product| backend.to_host(product).unwrap()).collect()
}

#[test]
fn products_of_the_same_rows_are_those_of_each() {
    assert!(distance!(three) < 1e-5);
}

fn activate<B: FromNumbers>(backend: &B, activation: Activation) -> Vec<f32> {
    // Wide enough that every kind saturates on both sides, and the clamp cuts.
    let x = backend.scale(tensor(backend, 20, 48, 1), 12.0).unwrap();
    backend.to_host(&backend.activate(x, activation).unwrap()).unwrap()
}

fn gate<B: FromNumbers>(backend: &B, gating: Gating) -> Vec<f32> {
    let x = backend.scale(tensor(backend, 20, 48, 1), 12.0).unwrap();
    let up = backend.scale(tensor(backend, 20, 48, 2), 9.0).unwrap();
    backend.to_host(&backend.gate(x, &up, gating).unwrap()).unwrap()
}

#[test]
fn activations_and_gates_are_the_reference() {
    let kinds = [Activation::Silu, Activation::GeluErf, Activation::GeluTanh, Activation::Relu, Activation::Tanh];
    for activation in kinds {
        assert!(distance!(activate, activation) < 4e-6, "{activation:?}");
    }
    let gatings = kinds.map(Gating::Of).into_iter().chain([Gating::ClampedSwiglu { alpha: 1.702, limit: 7.0 }]);
    for gating in gatings {
        assert!(distance!(gate, gating) < 4e-5, "{gating:?}");
    }
}

fn add_rows<B: FromNumbers>(backend: &B) -> Vec<f32> {
    let (acc, y) = (tensor(backend, 6, 8, 1), tensor(backend, 3, 8, 2));
    backend.to_host(&backend.add_rows(acc, &[4, 0, 5], &[0.5, -2.0, 1.0], &y).unwrap()).unwrap()
}

#[test]
fn rows_are_added_to_their_places() {
    assert!(distance!(add_rows) < 1e-6);
    let (found, acc, y) = (add_rows(&cpu(CachePrecision::F16)), noise(48, 1), noise(24, 2));
    assert!((found[0] - (acc[0] - 2.0 * y[8])).abs() < 1e-6);
    assert_eq!(found[8..16], acc[8..16], "a row that nothing was added to");
}

#[test]
fn a_vector_may_be_quantised() {
    let mut data = half::f16::from_f32(0.5).to_le_bytes().to_vec();
    data.extend((0..32i8).flat_map(i8::to_le_bytes));
    let raw = RawTensor { name: "v".into(), weight_type: WeightType::Q8_0, shape: vec![32], data: data.into() };
    let expected: Vec<f32> = (0..32u8).map(|n| f32::from(n) / 2.0).collect();
    assert_eq!(cpu(CachePrecision::F16).vector(&raw).unwrap().values, expected);
}

#[test]
fn operands_that_do_not_fit_are_errors_with_their_shapes() {
    let backend = cpu(CachePrecision::F16);
    let weight = backend.matrix(&raw("w", &[5, 8], &noise(40, 1))).unwrap();
    let gain = vector(&backend, 7, 1);
    let x = tensor(&backend, 3, 9, 3);
    let other = tensor(&backend, 2, 9, 1);
    for error in [
        backend.linear(&x, &weight, None).unwrap_err(),
        backend.embedding(&weight, &[5]).unwrap_err(),
        backend.rms_norm(&x, &gain, 1e-5).unwrap_err(),
        backend.layer_norm(&x, &gain, None, 1e-5).unwrap_err(),
        backend.add(x.clone(), &other).unwrap_err(),
        backend.gate(x.clone(), &other, Gating::Of(Activation::Silu)).unwrap_err(),
        backend.rows(&x, &[3]).unwrap_err(),
        backend.add_rows(x.clone(), &[3], &[1.0], &tensor(&backend, 1, 9, 1)).unwrap_err(),
        backend.add_rows(x.clone(), &[0, 1], &[1.0], &tensor(&backend, 1, 9, 1)).unwrap_err(),
        backend.matrix(&RawTensor { data: vec![0; 8].into(), ..raw("w", &[5, 8], &[]) }).unwrap_err(),
        backend.vector(&raw("v", &[2, 2], &[0.0; 4])).unwrap_err(),
    ] {
        assert!(error.to_string().contains("expected"), "{error}");
    }
}
