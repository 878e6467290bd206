//! Causal attention over the cache.

use alcazar_backend_candle::CandleBackend;
use alcazar_core::{AttentionSpec, Backend, Batch, BlockId, CacheShape, SeqId, Sequence, TokenId, backend::CacheSpec};
use proptest::prelude::*;

use super::{FromNumbers, cpu, noise, tensor};
use crate::CachePrecision;

const SPEC: AttentionSpec<'_> = AttentionSpec {
    layer: 1,
    n_heads: 6,
    n_kv_heads: 2,
    head_dim: 20,
    scale: 0.2,
    window: None,
    soft_cap: None,
    slopes: &[],
    sinks: &[],
};

/// Everything that a family may ask for, one at a time and all together.
fn variants() -> [AttentionSpec<'static>; 6] {
    let (slopes, sinks) = (&[0.5, 0.25, 0.125, 0.06, 0.03, 0.01], &[0.5, -1.0, 3.0, 0.0, -20.0, 1.0]);
    [
        SPEC,
        AttentionSpec { window: Some(5), ..SPEC },
        AttentionSpec { soft_cap: Some(1.5), ..SPEC },
        AttentionSpec { slopes, ..SPEC },
        AttentionSpec { sinks, ..SPEC },
        AttentionSpec { window: Some(9), soft_cap: Some(2.0), slopes, sinks, ..SPEC },
    ]
}

fn cache_spec() -> CacheSpec {
    let shape = CacheShape { n_blocks: 40, block_tokens: 8 };
    CacheSpec { n_layers: 2, n_kv_heads: SPEC.n_kv_heads, head_dim: SPEC.head_dim, shape }
}

/// Runs the steps (for each sequence: how many tokens) and answers the rows of every sequence, in order.
fn attend<B: FromNumbers>(
    backend: &B,
    attention: &AttentionSpec<'_>,
    steps: &[Vec<usize>],
    order: &[u32],
) -> Vec<Vec<f32>> {
    let mut cache = backend.cache(&cache_spec()).unwrap();
    let n_sequences = steps[0].len();
    let mut lengths = vec![0; n_sequences];
    let mut outputs = vec![Vec::new(); n_sequences];
    let widths = [SPEC.n_heads * SPEC.head_dim, SPEC.n_kv_heads * SPEC.head_dim, SPEC.n_kv_heads * SPEC.head_dim];
    for step in steps {
        let mut batch = Batch::default();
        let mut qkv: [Vec<f32>; 3] = Default::default();
        for (sequence, n_tokens) in step.iter().copied().enumerate().filter(|(_, n)| *n > 0) {
            let start = lengths[sequence];
            lengths[sequence] += n_tokens;
            let blocks = order.iter().skip(sequence * 8).take(8).copied().map(BlockId).collect();
            let (id, first_row) = (SeqId(sequence as u64), batch.tokens.len());
            batch.sequences.push(Sequence { id, first_row, n_tokens, start, blocks, adapter: None });
            for position in start..start + n_tokens {
                batch.tokens.push(TokenId(0));
                for (part, (values, width)) in qkv.iter_mut().zip(widths).enumerate() {
                    let row = noise(width, (sequence * 1000 + position * 3 + part) as u64);
                    // Exact in f16, so that both caches hold the same.
                    values
                        .extend(row.iter().map(|x| if part > 0 { half::f16::from_f32(*x).to_f32() } else { *x * 3.0 }));
                }
            }
        }
        let [q, k, v] = [0, 1, 2].map(|part| backend.tensor(&qkv[part], widths[part]));
        let out = backend.attention([&q, &k, &v], &mut cache, attention, &batch).unwrap();
        let out = backend.to_host(&out).unwrap();
        for sequence in &batch.sequences {
            let rows = sequence.first_row * widths[0]..(sequence.first_row + sequence.n_tokens) * widths[0];
            outputs[usize::try_from(sequence.id.0).unwrap()].extend(&out[rows]);
        }
    }
    outputs
}

fn close(a: &[Vec<f32>], b: &[Vec<f32>]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-5))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn ragged_attention_over_blocks_is_the_reference(
        steps in prop::collection::vec(prop::collection::vec(0usize..12, 4), 1..5),
        order in Just((0u32..40).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        prop_assume!(steps.iter().all(|step| step.iter().sum::<usize>() > 0));
        for spec in variants() {
            let expected = attend(&CandleBackend::cpu(), &spec, &steps, &order);
            for precision in [CachePrecision::F16, CachePrecision::F32] {
                let backend = cpu(precision);
                let found = attend(&backend, &spec, &steps, &order);
                prop_assert!(close(&found, &expected), "{spec:?}");
                // All at once, each alone: to the last bit the same.
                let totals: Vec<usize> = (0..4).map(|s| steps.iter().map(|step| step[s]).sum()).collect();
                for sequence in (0..4).filter(|sequence| totals[*sequence] > 0) {
                    let mut alone = vec![0; 4];
                    alone[sequence] = totals[sequence];
                    prop_assert_eq!(&attend(&backend, &spec, &[alone], &order)[sequence], &found[sequence]);
                }
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let backend = cpu(CachePrecision::F16);
    let mut cache = backend.cache(&cache_spec()).unwrap();
    let [q, k] = [120, 40].map(|width| tensor(&backend, 1, width, 1));
    let sequence =
        Sequence { id: SeqId(0), first_row: 0, n_tokens: 1, start: 0, blocks: vec![BlockId(0)], adapter: None };
    let batch = Batch { tokens: vec![TokenId(0)], sequences: vec![sequence], logit_rows: vec![] };
    for (spec, found) in [
        (AttentionSpec { slopes: &[0.5; 5], ..SPEC }, "5 slopes"),
        (AttentionSpec { n_kv_heads: 4, ..SPEC }, "over 4"),
        (AttentionSpec { layer: 2, ..SPEC }, "layer 2"),
        (AttentionSpec { n_kv_heads: 1, ..SPEC }, "1 heads"),
    ] {
        let error = backend.attention([&q, &k, &k], &mut cache, &spec, &batch).unwrap_err().to_string();
        assert!(error.contains(found), "{error}");
    }
    let two = Batch { sequences: vec![Sequence { n_tokens: 2, ..batch.sequences[0].clone() }], ..batch.clone() };
    assert!(backend.attention([&q, &k, &k], &mut cache, &SPEC, &two).is_err());
    let nowhere = Batch { sequences: vec![Sequence { blocks: vec![], ..batch.sequences[0].clone() }], ..batch };
    assert!(backend.attention([&q, &k, &k], &mut cache, &SPEC, &nowhere).is_err());
}
