//! Norms, rotation, activations and sums: the host's against plain tensor operations.

use alcazar_core::{Activation, Backend, Gating, RawTensor, RopeStyle};

use super::{HOST, PLAIN, difference, noise, raw, tensor};
use crate::CandleBackend;

#[test]
fn norms_rotation_and_sums_are_the_plain_ones() {
    for rows in [1, 3, 40] {
        let (x, y) = (tensor(rows, 48, 1), tensor(rows, 48, 2));
        let gain = HOST.vector(&raw("gain", &[48], &noise(48, 3))).unwrap();
        let norm = |backend: &CandleBackend| backend.rms_norm(&x, &gain, 1e-5).unwrap();
        assert!(difference(&norm(&HOST), &norm(&PLAIN)) < 1e-5);
        let scale = |backend: &CandleBackend| backend.scale(x.clone(), -0.7).unwrap();
        assert!(difference(&scale(&HOST), &scale(&PLAIN)) < 1e-6);
        // Each head by itself, as Qwen3 does with queries and keys.
        let short = HOST.vector(&raw("gain", &[16], &noise(16, 3))).unwrap();
        let heads = |backend: &CandleBackend| backend.rms_norm(&x, &short, 1e-5).unwrap();
        assert!(difference(&heads(&HOST), &heads(&PLAIN)) < 1e-5);
        let bias = HOST.vector(&raw("bias", &[48], &noise(48, 4))).unwrap();
        for bias in [None, Some(&bias)] {
            let norm = |backend: &CandleBackend| backend.layer_norm(&x, &gain, bias, 1e-5).unwrap();
            assert!(difference(&norm(&HOST), &norm(&PLAIN)) < 1e-5);
        }
        let add = |backend: &CandleBackend| backend.add(x.clone(), &y).unwrap();
        assert!(difference(&add(&HOST), &add(&PLAIN)) < 1e-6);
        let positions: Vec<u32> = (0..u32::try_from(rows).unwrap()).map(|row| row * 7).collect();
        for style in [RopeStyle::Interleaved, RopeStyle::Halves] {
            for n_pairs in [8, 6] {
                let frequencies: Vec<f32> = (0..n_pairs).map(|pair| 0.7f32.powi(pair)).collect();
                let rope = |backend: &CandleBackend| {
                    let angles = backend.angles(&positions, &frequencies, 1.3).unwrap();
                    backend.rope(x.clone(), &angles, 16, style).unwrap()
                };
                assert!(difference(&rope(&HOST), &rope(&PLAIN)) < 1e-5);
            }
        }
    }
}

#[test]
fn a_bias_is_added_to_every_row() {
    let weight = HOST.matrix(&raw("w", &[5, 8], &noise(40, 1))).unwrap();
    let bias = HOST.vector(&raw("b", &[5], &noise(5, 2))).unwrap();
    let x = tensor(3, 8, 3);
    let linear = |backend: &CandleBackend| backend.linear(&x, &weight, Some(&bias)).unwrap();
    assert!(difference(&linear(&HOST), &linear(&PLAIN)) < 1e-6);
}

#[test]
fn operands_that_do_not_fit_are_errors_with_their_shapes() {
    let weight = HOST.matrix(&raw("w", &[5, 8], &noise(40, 1))).unwrap();
    let gain = HOST.vector(&raw("g", &[7], &noise(7, 1))).unwrap();
    let x = tensor(3, 9, 3);
    for error in [
        HOST.linear(&x, &weight, None).unwrap_err(),
        HOST.rms_norm(&x, &gain, 1e-5).unwrap_err(),
        HOST.layer_norm(&x, &gain, None, 1e-5).unwrap_err(),
        HOST.add(x.clone(), &tensor(2, 9, 1)).unwrap_err(),
        HOST.gate(x.clone(), &tensor(2, 9, 1), Gating::Of(Activation::Silu)).unwrap_err(),
        HOST.add_rows(x.clone(), &[3], &[1.0], &tensor(1, 9, 1)).unwrap_err(),
        HOST.add_rows(x.clone(), &[0, 1], &[1.0], &tensor(1, 9, 1)).unwrap_err(),
        HOST.matrix(&RawTensor { data: vec![0; 8].into(), ..raw("w", &[5, 8], &[]) }).unwrap_err(),
        HOST.vector(&raw("v", &[2, 2], &[0.0; 4])).unwrap_err(),
    ] {
        assert!(error.to_string().contains("expected"), "{error}");
    }
}

#[test]
fn activations_and_gates_are_the_plain_ones() {
    // Wide enough that every kind saturates on both sides, and the clamp cuts.
    let x = HOST.scale(tensor(20, 48, 1), 12.0).unwrap();
    let up = HOST.scale(tensor(20, 48, 2), 9.0).unwrap();
    let kinds = [Activation::Silu, Activation::GeluErf, Activation::GeluTanh, Activation::Relu, Activation::Tanh];
    for activation in kinds {
        let found = |backend: &CandleBackend| backend.activate(x.clone(), activation).unwrap();
        assert!(difference(&found(&HOST), &found(&PLAIN)) < 4e-6, "{activation:?}");
    }
    let gatings = kinds.map(Gating::Of).into_iter().chain([Gating::ClampedSwiglu { alpha: 1.702, limit: 7.0 }]);
    for gating in gatings {
        let found = |backend: &CandleBackend| backend.gate(x.clone(), &up, gating).unwrap();
        assert!(difference(&found(&HOST), &found(&PLAIN)) < 4e-5, "{gating:?}");
    }
}

#[test]
fn rows_are_added_to_their_places() {
    let (acc, y) = (tensor(6, 8, 1), tensor(3, 8, 2));
    let found = |backend: &CandleBackend| backend.add_rows(acc.clone(), &[4, 0, 5], &[0.5, -2.0, 1.0], &y).unwrap();
    assert!(difference(&found(&HOST), &found(&PLAIN)) < 1e-6);
    let [found, acc, y] = [&found(&HOST), &acc, &y].map(|x| HOST.to_host(x).unwrap());
    assert!((found[0] - (acc[0] - 2.0 * y[8])).abs() < 1e-6);
    assert_eq!(found[8..16], acc[8..16], "a row that nothing was added to");
}
