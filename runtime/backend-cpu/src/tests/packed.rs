//! Attention both ways.

use alcazar_backend_candle::CandleBackend;
use alcazar_core::{Disentangled, DistanceBias, PackedAttention};

use super::{FromNumbers, cpu, difference, noise, tensor};
use crate::CachePrecision;

const HEADS: usize = 3;
const DIM: usize = 20;
/// One is longer than what is gone through in one stretch.
const LENGTHS: [usize; 5] = [9, 1, 30, 2, 70];
const REACH: usize = 6;
const BUCKETS: [u32; 13] = [0, 0, 0, 0, 1, 1, 2, 3, 3, 4, 4, 4, 4];

fn plain<T>() -> PackedAttention<'static, T> {
    let (window, bias, relative) = (None, None, None);
    PackedAttention { lengths: &LENGTHS, n_heads: HEADS, head_dim: DIM, scale: 0.3, window, bias, relative }
}

fn attend<B: FromNumbers>(backend: &B, spec: &PackedAttention<'_, B::Tensor>) -> Vec<f32> {
    let [q, k, v] = [1, 2, 3].map(|seed| tensor(backend, spec.lengths.iter().sum(), HEADS * DIM, seed));
    backend.to_host(&backend.packed_attention([&q, &k, &v], spec).unwrap()).unwrap()
}

/// What every variant that a family may ask for answers.
fn variants<B: FromNumbers>(backend: &B) -> Vec<Vec<f32>> {
    let values = noise(HEADS * (2 * REACH + 1), 4);
    let bias = Some(DistanceBias { values: &values, reach: REACH });
    let (keys, queries) = (tensor(backend, 5, HEADS * DIM, 5), tensor(backend, 5, HEADS * DIM, 6));
    let relative = |keys, queries| Some(Disentangled { buckets: &BUCKETS, reach: REACH, keys, queries });
    let specs = [
        plain(),
        PackedAttention { window: Some(4), ..plain() },
        PackedAttention { bias, ..plain() },
        PackedAttention { relative: relative(Some(&keys), None), ..plain() },
        PackedAttention { relative: relative(None, Some(&queries)), ..plain() },
        PackedAttention { window: Some(7), bias, relative: relative(Some(&keys), Some(&queries)), ..plain() },
    ];
    specs.iter().map(|spec| attend(backend, spec)).collect()
}

#[test]
fn packed_attention_is_the_reference() {
    let (found, expected) = (variants(&cpu(CachePrecision::F16)), variants(&CandleBackend::cpu()));
    for (nth, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert!(difference(found, expected) < 2e-5, "variant {nth}");
    }
}

/// The second row's answer to one score that is made of content and distance.
fn second_of_two<B: FromNumbers>(backend: &B) -> f32 {
    let one = |values: &[f32]| backend.tensor(values, 1);
    let (q, k, v) = (one(&[2.0, 3.0]), one(&[5.0, 7.0]), one(&[0.0, 1.0]));
    let (keys, queries) = (one(&[0.1, 0.2, 0.3]), one(&[0.01, 0.02, 0.03]));
    // Distances query - key of -1, 0 and 1.
    let relative = Some(Disentangled { buckets: &[0, 1, 2], reach: 1, keys: Some(&keys), queries: Some(&queries) });
    let bias = Some(DistanceBias { values: &[0.5, 0.6, 0.7], reach: 1 });
    let (n_heads, head_dim, scale, window) = (1, 1, 0.1, None);
    let spec = PackedAttention { lengths: &[2], n_heads, head_dim, scale, window, bias, relative };
    backend.to_host(&backend.packed_attention([&q, &k, &v], &spec).unwrap()).unwrap()[1]
}

/// Both backends might agree on what is wrong: one score by hand.
#[test]
fn a_score_is_made_of_content_and_distance() {
    // Row 1: key 0 at distance 1, key 1 at distance 0.
    let near = 0.1 * (3.0 * 7.0 + 3.0 * 0.2 + 7.0 * 0.02) + 0.6f32;
    let far = 0.1 * (3.0 * 5.0 + 3.0 * 0.3 + 5.0 * 0.03) + 0.7f32;
    let expected = near.exp() / (near.exp() + far.exp());
    for found in [second_of_two(&cpu(CachePrecision::F16)), second_of_two(&CandleBackend::cpu())] {
        assert!((found - expected).abs() < 1e-6);
    }
}

#[test]
fn a_sequence_does_not_see_its_neighbours() {
    let backend = cpu(CachePrecision::F16);
    let together = attend(&backend, &plain());
    let alone = attend(&backend, &PackedAttention { lengths: &LENGTHS[..1], ..plain() });
    assert_eq!(together[..alone.len()], alone);
}
