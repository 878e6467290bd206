//! Attention both ways: the host's against plain tensor operations.

use alcazar_core::{Backend, Disentangled, DistanceBias, PackedAttention};
use candle_core::Tensor;

use super::{HOST, PLAIN, difference, noise, tensor};
use crate::CandleBackend;

const HEADS: usize = 3;
const DIM: usize = 20;
const LENGTHS: [usize; 4] = [9, 1, 30, 2];
const REACH: usize = 6;

fn plain() -> PackedAttention<'static, Tensor> {
    let (window, bias, relative) = (None, None, None);
    PackedAttention { lengths: &LENGTHS, n_heads: HEADS, head_dim: DIM, scale: 0.3, window, bias, relative }
}

fn attend(backend: &CandleBackend, spec: &PackedAttention<'_, Tensor>) -> Tensor {
    let [q, k, v] = [1, 2, 3].map(|seed| tensor(spec.lengths.iter().sum(), HEADS * DIM, seed));
    backend.packed_attention([&q, &k, &v], spec).unwrap()
}

#[test]
fn packed_attention_is_the_plain_one() {
    let values = noise(HEADS * (2 * REACH + 1), 4);
    let bias = Some(DistanceBias { values: &values, reach: REACH });
    let (keys, queries) = (tensor(5, HEADS * DIM, 5), tensor(5, HEADS * DIM, 6));
    let buckets = [0, 0, 0, 0, 1, 1, 2, 3, 3, 4, 4, 4, 4];
    let relative = |keys, queries| Some(Disentangled { buckets: &buckets, reach: REACH, keys, queries });
    for spec in [
        plain(),
        PackedAttention { window: Some(4), ..plain() },
        PackedAttention { bias, ..plain() },
        PackedAttention { relative: relative(Some(&keys), None), ..plain() },
        PackedAttention { relative: relative(None, Some(&queries)), ..plain() },
        PackedAttention { window: Some(7), bias, relative: relative(Some(&keys), Some(&queries)), ..plain() },
    ] {
        assert!(difference(&attend(&HOST, &spec), &attend(&PLAIN, &spec)) < 2e-5, "{spec:?}");
    }
}

/// Both paths might agree on what is wrong: one score by hand.
#[test]
fn a_score_is_made_of_content_and_distance() {
    let one = |values: &[f32]| Tensor::new(values, &candle_core::Device::Cpu).unwrap().unsqueeze(1).unwrap();
    let (q, k, v) = (one(&[2.0, 3.0]), one(&[5.0, 7.0]), one(&[0.0, 1.0]));
    let (keys, queries) = (one(&[0.1, 0.2, 0.3]), one(&[0.01, 0.02, 0.03]));
    // Distances query - key of -1, 0 and 1.
    let relative = Disentangled { buckets: &[0, 1, 2], reach: 1, keys: Some(&keys), queries: Some(&queries) };
    let bias = DistanceBias { values: &[0.5, 0.6, 0.7], reach: 1 };
    let spec = PackedAttention {
        lengths: &[2],
        n_heads: 1,
        head_dim: 1,
        scale: 0.1,
        window: None,
        bias: Some(bias),
        relative: Some(relative),
    };
    // Row 1: key 0 at distance 1, key 1 at distance 0.
    let near = 0.1 * (3.0 * 7.0 + 3.0 * 0.2 + 7.0 * 0.02) + 0.6f32;
    let far = 0.1 * (3.0 * 5.0 + 3.0 * 0.3 + 5.0 * 0.03) + 0.7f32;
    let expected = near.exp() / (near.exp() + far.exp());
    for backend in [&HOST, &PLAIN] {
        let out = backend.packed_attention([&q, &k, &v], &spec).unwrap();
        assert!((backend.to_host(&out).unwrap()[1] - expected).abs() < 1e-6);
    }
}

#[test]
fn a_sequence_does_not_see_its_neighbours() {
    let together = HOST.to_host(&attend(&HOST, &plain())).unwrap();
    let alone = HOST.to_host(&attend(&HOST, &PackedAttention { lengths: &LENGTHS[..1], ..plain() })).unwrap();
    assert_eq!(together[..alone.len()], alone);
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    let [q, k, v] = [1, 2, 3].map(|seed| tensor(42, HEADS * DIM, seed));
    let keys = tensor(4, HEADS * DIM, 5);
    let relative = |buckets| Some(Disentangled { buckets, reach: 1, keys: Some(&keys), queries: None });
    for spec in [
        PackedAttention { lengths: &[42, 1], ..plain() },
        PackedAttention { lengths: &[42, 0], ..plain() },
        PackedAttention { bias: Some(DistanceBias { values: &[0.0; 4], reach: 1 }), ..plain() },
        PackedAttention { relative: relative(&[0, 1]), ..plain() },
        PackedAttention { relative: relative(&[0, 1, 4]), ..plain() },
    ] {
        assert!(HOST.packed_attention([&q, &k, &v], &spec).is_err(), "{spec:?}");
    }
}
