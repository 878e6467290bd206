//! Speed of products with every type of weights, against candle's, on the shapes of SmolLM2-135M.
//!
//! `cargo bench -p alcazar-backend-cpu --bench products -- [--ours] [--threads N] [TYPE…] [OUTxIN…] [ROWS…]`: without
//! names of types all, without shapes and rows those below, `--ours` without candle. Both are measured in turns and the
//! median of the rounds is shown: GMAC/s, GB/s of weights, and ours by candle's.
#![expect(clippy::print_stdout, reason = "a program for people")]
#![expect(clippy::unwrap_used, reason = "a program for those who know it")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{borrow::Cow, hint::black_box, num::NonZeroUsize, time::Instant};

use alcazar_backend_cpu::matrix::Measured;
use alcazar_core::{RawTensor, WeightType};
use candle_core::{
    Device, Module as _, Tensor,
    quantized::{GgmlDType, QMatMul, QStorage, QTensor},
};

const SHAPES: [[usize; 2]; 5] = [[576, 576], [192, 576], [1536, 576], [576, 1536], [49152, 576]];
const ROWS: [usize; 4] = [1, 4, 16, 256];
const ROUNDS: usize = 7;
/// Seconds that a round of one of the two takes at least.
const ROUND: f64 = 0.02;
/// SmolLM2's width is no multiple of these types' blocks.
const WIDER: usize = 768;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let value = arguments.iter().position(|argument| argument == "--threads").and_then(|at| arguments.get(at + 1));
    let n_threads = value.map_or(1, |value| value.parse().unwrap());
    let named: Vec<WeightType> = WeightType::ALL.into_iter().filter(|name| has(&name.to_string())).collect();
    let shape = |argument: &String| argument.split_once('x').map(|(a, b)| [a.parse().unwrap(), b.parse().unwrap()]);
    let shapes: Vec<[usize; 2]> = arguments.iter().filter_map(shape).collect();
    let after_threads = |at: usize| at > 0 && arguments[at - 1] == "--threads";
    let rows = arguments.iter().enumerate().filter(|(at, _)| !after_threads(*at));
    let rows: Vec<usize> = rows.filter_map(|(_, argument)| argument.parse().ok()).collect();
    println!("type   threads    out x in    rows |  GMAC/s   GB/s | candle | ratio");
    for weight_type in if named.is_empty() { &WeightType::ALL } else { named.as_slice() } {
        for [n_out, n_in] in if shapes.is_empty() { &SHAPES } else { shapes.as_slice() } {
            let n_in = if n_in.is_multiple_of(weight_type.block_elements()) { *n_in } else { WIDER };
            let bench = Bench::new(*weight_type, [*n_out, n_in], n_threads, !has("--ours"));
            for n_rows in if rows.is_empty() { &ROWS } else { rows.as_slice() } {
                bench.compare(*n_rows);
            }
        }
    }
}

struct Bench {
    weight_type: WeightType,
    shape: [usize; 2],
    n_threads: usize,
    ours: Measured,
    candle: Option<QMatMul>,
}

impl Bench {
    fn new(weight_type: WeightType, shape: [usize; 2], n_threads: usize, with_candle: bool) -> Self {
        let n_bytes = usize::try_from(weight_type.tensor_bytes(&shape).unwrap()).unwrap();
        // Numbers of ordinary size, whatever the type: denormal ones would be slower.
        let data: Vec<u8> = (0..n_bytes).map(|at| [0x21, 0x3c][at % 2] ^ (at / 34 % 2).to_le_bytes()[0]).collect();
        let raw = RawTensor { name: "w".into(), weight_type, shape: shape.to_vec(), data: data.into() };
        let ours = Measured::new(&raw, NonZeroUsize::new(n_threads).unwrap()).unwrap();
        let candle = dtype(weight_type).filter(|_| with_candle).map(|dtype| {
            let storage = QStorage::from_data(Cow::Borrowed(&raw.data), &Device::Cpu, dtype).unwrap();
            QMatMul::from_qtensor(QTensor::new(storage, shape.to_vec()).unwrap()).unwrap()
        });
        Self { weight_type, shape, n_threads, ours, candle }
    }

    fn compare(&self, n_rows: usize) {
        let [n_out, n_in] = self.shape;
        let x: Vec<f32> = (0..n_rows * n_in).map(|at| ((at * 7919 % 1000) as f32 - 500.0) / 500.0).collect();
        let mut out = vec![0.0; n_rows * n_out];
        let tensor = Tensor::from_slice(&x, (n_rows, n_in), &Device::Cpu).unwrap();
        let (mut ours, mut candle) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(seconds(|| self.ours.multiply(black_box(&x), n_rows, black_box(&mut out))));
            if let Some(product) = &self.candle {
                candle.push(seconds(|| {
                    black_box(product.forward(&tensor).unwrap());
                }));
            }
        }
        let (seconds, work) = (median(ours), (n_rows * n_out * n_in) as f64);
        let (rate, bytes) = (work / seconds / 1e9, self.ours.memory_bytes() as f64 / seconds / 1e9);
        let type_name = self.weight_type.to_string();
        print!("{type_name:6} {:7} {n_out:6} x {n_in:4} {n_rows:6} | {rate:7.2} {bytes:6.2}", self.n_threads);
        if candle.is_empty() {
            println!(" |");
        } else {
            let theirs = median(candle);
            println!(" | {:6.2} | {:5.2}", work / theirs / 1e9, theirs / seconds);
        }
    }
}

/// Of one call, among so many that they take a while.
fn seconds(mut f: impl FnMut()) -> f64 {
    let (start, mut n) = (Instant::now(), 0);
    while n < 3 || start.elapsed().as_secs_f64() < ROUND {
        f();
        n += 1;
    }
    start.elapsed().as_secs_f64() / f64::from(n)
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

const fn dtype(weight_type: WeightType) -> Option<GgmlDType> {
    Some(match weight_type {
        WeightType::F32 => GgmlDType::F32,
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
        WeightType::MXFP4 | WeightType::U8 => return None,
    })
}
