//! The host's operations against plain tensor operations, and weights of every type against their dequantised selves.

use alcazar_core::{
    AttentionSpec, Backend, Batch, BlockId, CacheShape, RawTensor, RopeStyle, SeqId, Sequence, TokenId, WeightType,
    backend::CacheSpec,
};
use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QTensor},
};
use proptest::prelude::*;

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

#[test]
fn norms_rotation_and_activation_are_the_plain_ones() {
    for rows in [1, 3, 40] {
        let (x, y) = (tensor(rows, 48, 1), tensor(rows, 48, 2));
        let gain = HOST.vector(&raw("gain", &[48], &noise(48, 3))).unwrap();
        let norm = |backend: &CandleBackend| backend.rms_norm(&x, &gain, 1e-5).unwrap();
        assert!(difference(&norm(&HOST), &norm(&PLAIN)) < 1e-5);
        let silu = |backend: &CandleBackend| backend.silu_mul(x.clone(), &y).unwrap();
        assert!(difference(&silu(&HOST), &silu(&PLAIN)) < 1e-5);
        let add = |backend: &CandleBackend| backend.add(x.clone(), &y).unwrap();
        assert!(difference(&add(&HOST), &add(&PLAIN)) < 1e-6);
        let positions: Vec<u32> = (0..u32::try_from(rows).unwrap()).map(|row| row * 7).collect();
        for style in [RopeStyle::Interleaved, RopeStyle::Halves] {
            for n_pairs in [8, 6] {
                let frequencies: Vec<f32> = (0..n_pairs).map(|pair| 0.7f32.powi(pair)).collect();
                let rope = |backend: &CandleBackend| {
                    let angles = backend.angles(&positions, &frequencies).unwrap();
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
        HOST.add(x.clone(), &tensor(2, 9, 1)).unwrap_err(),
        HOST.matrix(&RawTensor { data: vec![0; 8].into(), ..raw("w", &[5, 8], &[]) }).unwrap_err(),
        HOST.vector(&raw("v", &[2, 2], &[0.0; 4])).unwrap_err(),
    ] {
        assert!(error.to_string().contains("expected"), "{error}");
    }
}

fn quantised(weight_type: WeightType, dtype: GgmlDType, shape: &[usize; 2]) -> RawTensor<'static> {
    let source = tensor(shape[0], shape[1], 5);
    let data = QTensor::quantize(&source, dtype).unwrap().data().unwrap().into_owned();
    RawTensor { name: "w".to_owned(), weight_type, shape: shape.to_vec(), data: data.into() }
}

#[test]
fn every_weight_type_multiplies_as_its_dequantised_self() {
    use GgmlDType as G;
    for (weight_type, dtype, tolerance) in [
        (WeightType::F32, G::F32, 1e-5),
        (WeightType::F16, G::F16, 1e-3),
        (WeightType::BF16, G::BF16, 1e-3),
        // The activations are rounded to 8 bits as well: about 0.4 % of the products' size.
        (WeightType::Q4_0, G::Q4_0, 0.01),
        (WeightType::Q4_1, G::Q4_1, 0.01),
        (WeightType::Q5_0, G::Q5_0, 0.01),
        (WeightType::Q5_1, G::Q5_1, 0.01),
        (WeightType::Q8_0, G::Q8_0, 0.01),
        (WeightType::Q2_K, G::Q2K, 0.01),
        (WeightType::Q3_K, G::Q3K, 0.01),
        (WeightType::Q4_K, G::Q4K, 0.01),
        (WeightType::Q5_K, G::Q5K, 0.01),
        (WeightType::Q6_K, G::Q6K, 0.01),
    ] {
        let raw = quantised(weight_type, dtype, &[48, 512]);
        let matrix = HOST.matrix(&raw).unwrap();
        let all: Vec<TokenId> = (0..48).map(TokenId).collect();
        // Rows of the table are the dequantised weights.
        let table = HOST.embedding(&matrix, &all).unwrap();
        for rows in [1, 2, 19] {
            let x = tensor(rows, 512, 7);
            let expected = x.matmul(&table.t().unwrap()).unwrap();
            let found = HOST.linear(&x, &matrix, None).unwrap();
            let size = expected.sqr().unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
            let error = difference(&found, &expected) / size;
            assert!(error < tolerance * 4.0, "{weight_type} with {rows} rows: {error}");
        }
    }
}

/// The other test takes the rows of the table for the truth; Q4_1 is not kept as it is in the file.
#[test]
fn rows_of_q4_1_are_those_of_the_file() {
    let source = tensor(200, 96, 5);
    let expected = QTensor::quantize(&source, GgmlDType::Q4_1).unwrap().dequantize(&Device::Cpu).unwrap();
    let matrix = HOST.matrix(&quantised(WeightType::Q4_1, GgmlDType::Q4_1, &[200, 96])).unwrap();
    let all: Vec<TokenId> = (0..200).map(TokenId).collect();
    assert!(difference(&HOST.embedding(&matrix, &all).unwrap(), &expected) < 1e-6);
}

const SPEC: AttentionSpec = AttentionSpec { layer: 1, n_heads: 6, n_kv_heads: 2, head_dim: 20, scale: 0.2 };

fn cache_spec() -> CacheSpec {
    let shape = CacheShape { n_blocks: 40, block_tokens: 8 };
    CacheSpec { n_layers: 2, n_kv_heads: SPEC.n_kv_heads, head_dim: SPEC.head_dim, shape }
}

/// Runs the steps (for each sequence: how many tokens) and answers the rows of every sequence, in order.
fn attend(backend: &CandleBackend, steps: &[Vec<usize>], order: &[u32]) -> Vec<Vec<f32>> {
    let spec = cache_spec();
    let mut cache = backend.cache(&spec).unwrap();
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
            batch.sequences.push(Sequence { id, first_row, n_tokens, start, blocks });
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
        let rows = batch.tokens.len();
        let [q, k, v] =
            [0, 1, 2].map(|part| Tensor::from_vec(qkv[part].clone(), (rows, widths[part]), &Device::Cpu).unwrap());
        let out = backend.attention([&q, &k, &v], &mut cache, &SPEC, &batch).unwrap();
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
    fn ragged_attention_over_blocks_is_the_plain_one(
        steps in prop::collection::vec(prop::collection::vec(0usize..12, 4), 1..5),
        order in Just((0u32..40).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        prop_assume!(steps.iter().all(|step| step.iter().sum::<usize>() > 0));
        let host = attend(&HOST, &steps, &order);
        prop_assert!(close(&host, &attend(&PLAIN, &steps, &order)));
        // All at once, each alone: to the last bit the same.
        let totals: Vec<usize> = (0..4).map(|s| steps.iter().map(|step| step[s]).sum()).collect();
        for sequence in (0..4).filter(|sequence| totals[*sequence] > 0) {
            let mut alone = vec![0; 4];
            alone[sequence] = totals[sequence];
            prop_assert_eq!(&attend(&HOST, &[alone], &order)[sequence], &host[sequence]);
        }
    }
}
