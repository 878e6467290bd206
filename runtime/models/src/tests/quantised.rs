//! Every weight type through a whole model: as it is stored, against the numbers that it stands for, in f32.
//!
//! The weights are random and candle rounds them to the type; MXFP4, which candle does not make, is made of random codes.
//! What is left of the difference is the rounding of the activations to 8 bits, which unquantised types do not have.

use alcazar_backend_cpu::CachePrecision;
use alcazar_core::{Batch, DecoderConfig, Logits, RawTensor, SourceError, WeightSource, WeightType, config::Position};
use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QTensor},
};

use super::{CACHE, On, batch, testdata};

/// Columns of the K types' blocks.
const WIDTH: usize = 256;
const N_TOKENS: u32 = 24;

/// The root of the mean square of the scores' differences, as a part of the scores' own: measured, times 1.5.
const BOUNDS: [(WeightType, f64); 14] = [
    (WeightType::F32, 1e-6),
    (WeightType::F16, 1e-6),
    (WeightType::BF16, 1e-6),
    (WeightType::Q4_0, 0.032),
    (WeightType::Q4_1, 0.032),
    (WeightType::Q5_0, 0.032),
    (WeightType::Q5_1, 0.032),
    (WeightType::Q8_0, 0.032),
    (WeightType::Q2_K, 0.032),
    (WeightType::Q3_K, 0.032),
    (WeightType::Q4_K, 0.032),
    (WeightType::Q5_K, 0.032),
    (WeightType::Q6_K, 0.032),
    (WeightType::MXFP4, 0.02),
];

/// Numbers that look random, the same in every run.
fn random(name: &str, n: usize) -> impl Iterator<Item = u32> {
    let seed = name.bytes().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let mut state = u64::from(seed) << 1 | 1;
    (0..n).map(move |_| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        u32::try_from(state >> 33).unwrap()
    })
}

/// Between -1 and 1, more often near 0.
fn values(name: &str, n: usize) -> Vec<f32> {
    let uniform = |bits: u32| f64::from(bits) / f64::from(1u32 << 31);
    let all: Vec<f64> = random(name, 2 * n).map(uniform).collect();
    #[expect(clippy::cast_possible_truncation, reason = "any near number will do")]
    all.chunks(2).map(|pair| (pair[0] - pair[1]) as f32).collect()
}

/// A llama with random weights of one type.
struct Rounded {
    weight_type: WeightType,
    /// The numbers that the type's bytes stand for, in f32.
    is_exact: bool,
}

fn shape(name: &str) -> Vec<usize> {
    let of = |role: &str| name.contains(role);
    if of("norm") {
        vec![WIDTH]
    } else if of("token_embd") {
        vec![40, WIDTH]
    } else if of("attn_k") || of("attn_v") {
        vec![WIDTH / 2, WIDTH]
    } else if of("ffn_down") {
        vec![WIDTH, 2 * WIDTH]
    } else if of("ffn") {
        vec![2 * WIDTH, WIDTH]
    } else {
        vec![WIDTH, WIDTH]
    }
}

impl Rounded {
    fn matrix(&self, name: &str, shape: &[usize]) -> RawTensor<'static> {
        let n = shape.iter().product();
        if self.weight_type == WeightType::MXFP4 {
            return self.mxfp4(name, shape);
        }
        // So that rows of activations keep their size.
        let values: Vec<f32> = values(name, n).iter().map(|x| x * 0.15).collect();
        let rounded = Tensor::from_vec(values, shape, &Device::Cpu)
            .and_then(|x| QTensor::quantize(&x, dtype(self.weight_type)))
            .unwrap();
        if self.is_exact {
            let exact = rounded.dequantize(&Device::Cpu).and_then(|x| x.flatten_all()?.to_vec1::<f32>()).unwrap();
            return RawTensor::from_f32(name, shape, &exact);
        }
        let data = rounded.data().unwrap().into_owned();
        RawTensor { name: name.to_owned(), weight_type: self.weight_type, shape: shape.to_owned(), data: data.into() }
    }

    fn mxfp4(&self, name: &str, shape: &[usize]) -> RawTensor<'static> {
        const NUMBERS: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
        let n_blocks = shape.iter().product::<usize>() / 32;
        let mut bytes: Vec<u8> = random(name, 17 * n_blocks).map(|bits| (bits >> 8).to_le_bytes()[0]).collect();
        bytes.chunks_mut(17).for_each(|block| block[0] = 120 + block[0] % 2);
        if !self.is_exact {
            return RawTensor {
                name: name.to_owned(),
                weight_type: WeightType::MXFP4,
                shape: shape.to_owned(),
                data: bytes.into(),
            };
        }
        let number = |code: u8| NUMBERS[usize::from(code % 8)] * if code < 8 { 1.0 } else { -1.0 };
        let block = |block: &[u8]| {
            let factor = (f32::from(block[0]) - 127.0).exp2();
            let codes = block[1..].iter().map(|byte| byte & 15).chain(block[1..].iter().map(|byte| byte >> 4));
            codes.map(|code| factor * number(code)).collect::<Vec<_>>()
        };
        RawTensor::from_f32(name, shape, &bytes.chunks(17).flat_map(block).collect::<Vec<_>>())
    }
}

impl WeightSource for Rounded {
    fn describe(&self, name: &str) -> Option<(WeightType, Vec<usize>)> {
        let is_there = name.starts_with("blk.") && !name.contains("attn_qkv")
            || name.starts_with("token_embd")
            || name.starts_with("output_norm");
        (is_there && name.ends_with(".weight")).then(|| (self.weight_type, shape(name)))
    }

    fn read(&self, name: &str) -> Result<RawTensor<'_>, SourceError> {
        let shape = shape(name);
        if let [width] = shape[..] {
            let gains: Vec<f32> = values(name, width).iter().map(|x| 1.0 + 0.1 * x).collect();
            return Ok(RawTensor::from_f32(name, &shape, &gains));
        }
        Ok(self.matrix(name, &shape))
    }
}

const fn dtype(weight_type: WeightType) -> GgmlDType {
    match weight_type {
        WeightType::F16 => GgmlDType::F16,
        WeightType::BF16 => GgmlDType::BF16,
        WeightType::Q4_0 => GgmlDType::Q4_0,
        WeightType::Q4_1 => GgmlDType::Q4_1,
        WeightType::Q5_0 => GgmlDType::Q5_0,
        WeightType::Q5_1 => GgmlDType::Q5_1,
        WeightType::Q8_0 => GgmlDType::Q8_0,
        WeightType::Q2_K => GgmlDType::Q2K,
        WeightType::Q3_K => GgmlDType::Q3K,
        WeightType::Q4_K => GgmlDType::Q4K,
        WeightType::Q5_K => GgmlDType::Q5K,
        WeightType::Q6_K => GgmlDType::Q6K,
        WeightType::F32 | WeightType::MXFP4 | WeightType::U8 => GgmlDType::F32,
    }
}

fn config() -> DecoderConfig {
    let files = alcazar_formats::open(&testdata("llama.gguf")).unwrap();
    let mut config = files.config().decoder().unwrap().clone();
    (config.hidden, config.feed_forward) = (WIDTH, 2 * WIDTH);
    (config.n_heads, config.n_kv_heads, config.head_dim) = (4, 2, WIDTH / 4);
    config.attention.scale = 1.0 / 8.0;
    if let Position::Rotary { global, .. } = &mut config.position {
        global.dims = config.head_dim;
    }
    config
}

fn scores(config: &DecoderConfig, source: &Rounded) -> Logits {
    let prompt: Vec<_> = (0..N_TOKENS).map(|n| alcazar_core::TokenId(n * 7 % 40)).collect();
    let mut model = On::Cpu(CachePrecision::F32).load(config, source, CACHE).unwrap();
    let batch: Batch = batch(&prompt, 0, (0..prompt.len()).collect());
    model.forward(&batch).unwrap()
}

#[test]
fn each_type_is_the_numbers_it_stands_for_but_for_the_rounding_of_activations() {
    let config = config();
    assert_eq!(BOUNDS.map(|(weight_type, _)| weight_type), WeightType::ALL);
    for (weight_type, most) in BOUNDS {
        let [found, exact] = [false, true].map(|is_exact| scores(&config, &Rounded { weight_type, is_exact }));
        let rows = (0..found.n_rows()).map(|nth| (found.row(nth).unwrap(), exact.row(nth).unwrap()));
        let pairs: Vec<(f32, f32)> =
            rows.flat_map(|(found, exact)| found.iter().copied().zip(exact.iter().copied())).collect();
        let mean_square = |of: fn(&(f32, f32)) -> f32| pairs.iter().map(of).map(|x| f64::from(x * x)).sum::<f64>();
        let error = (mean_square(|(found, exact)| found - exact) / mean_square(|(_, exact)| *exact)).sqrt();
        println!("{weight_type}: {error:.4}");
        assert!(error <= most, "{weight_type}: {error}, at most {most}");
    }
}
