//! SmolLM2-135M-Instruct on given texts, position by position, against llama.cpp and exact arithmetic on the same weights
//! (tests/reference/forced.py). `make test-model` fetches the file and runs it.

use std::{num::NonZeroUsize, path::Path};

use alcazar_backend_cpu::{CachePrecision, CpuBackend};
use alcazar_core::{
    Batch, BlockId, CacheShape, Logits, Model, RawTensor, SeqId, Sequence, SourceError, TokenId, WeightSource,
    WeightType,
};
use alcazar_formats::ModelFiles;
use candle_core::{
    Device,
    quantized::{GgmlDType, QStorage, QTensor},
};
use serde::Deserialize;

const CACHE: CacheShape = CacheShape { n_blocks: 32, block_tokens: 16 };
/// Rows of a pass, as the server has them.
const STEP: usize = 256;

#[derive(Deserialize)]
struct Case {
    tokens: Vec<u32>,
    llama_cpp: Choices,
    exact: Choices,
}

/// What one implementation makes of each position.
#[derive(Default, Deserialize)]
struct Choices {
    best: Vec<u32>,
    /// Logarithms of the probabilities of the tokens that do come next.
    logs: Vec<f64>,
}

impl Choices {
    fn add(&mut self, more: &Self) {
        self.best.extend(&more.best);
        self.logs.extend(&more.logs);
    }

    #[expect(clippy::cast_precision_loss, reason = "a few thousand positions")]
    fn perplexity(&self) -> f64 {
        (-self.logs.iter().sum::<f64>() / self.logs.len() as f64).exp()
    }

    #[expect(clippy::cast_precision_loss, reason = "a few thousand positions")]
    fn agreement(&self, other: &Self) -> f64 {
        assert_eq!(self.best.len(), other.best.len());
        let same = self.best.iter().zip(&other.best).filter(|(a, b)| a == b).count();
        same as f64 / self.best.len() as f64
    }
}

fn files() -> ModelFiles {
    let path = std::env::var_os("ALCAZAR_SMOLLM2")
        .expect("ALCAZAR_SMOLLM2 should name the model file: `make test-model` fetches it and says so");
    alcazar_formats::open(Path::new(&path)).expect("the model should open")
}

fn load(files: &ModelFiles, source: &dyn WeightSource, precision: CachePrecision) -> Box<dyn Model> {
    let config = files.config().decoder().expect("it is a decoder");
    let n_threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    alcazar_models::load(CpuBackend::new(n_threads, precision), config, source, CACHE).expect("the model should load")
}

/// The numbers that the file stands for, as candle reads them.
struct Dequantised<'a>(&'a ModelFiles);

impl WeightSource for Dequantised<'_> {
    fn describe(&self, name: &str) -> Option<(WeightType, Vec<usize>)> {
        self.0.describe(name)
    }

    fn read(&self, name: &str) -> Result<RawTensor<'_>, SourceError> {
        let raw = self.0.read(name)?;
        let dtype = match raw.weight_type {
            WeightType::Q4_1 => GgmlDType::Q4_1,
            WeightType::Q6_K => GgmlDType::Q6K,
            WeightType::Q8_0 => GgmlDType::Q8_0,
            _ => return Ok(raw),
        };
        let values = QStorage::from_data(raw.data.to_vec().into(), &Device::Cpu, dtype)
            .and_then(|data| QTensor::new(data, raw.shape.as_slice()))
            .and_then(|tensor| tensor.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>());
        Ok(RawTensor::from_f32(name, &raw.shape, &values.expect("candle should read it")))
    }
}

/// `start`: position of the first of `inputs`; `nexts`: what follows each.
fn pass(model: &mut dyn Model, start: usize, inputs: &[u32], nexts: &[u32]) -> Choices {
    let blocks = (0..32).map(BlockId).collect();
    let sequence = Sequence { id: SeqId(0), first_row: 0, n_tokens: inputs.len(), start, blocks, adapter: None };
    let tokens = inputs.iter().copied().map(TokenId).collect();
    let batch = Batch { tokens, sequences: vec![sequence], logit_rows: (0..inputs.len()).collect() };
    let logits = model.forward(&batch).expect("the pass should work");
    let rows = nexts.iter().enumerate().map(|(nth, next)| row(&logits, nth, *next));
    let (best, logs) = rows.unzip();
    Choices { best, logs }
}

fn row(logits: &Logits, nth: usize, next: u32) -> (u32, f64) {
    let scores = logits.row(nth).expect("there should be a row for each position");
    let (best, highest) = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).expect("there should be scores");
    let sum: f64 = scores.iter().map(|score| f64::from(score - highest).exp()).sum();
    let next = scores.get(next as usize).expect("it should be a token");
    (u32::try_from(best).expect("should be a token"), f64::from(next - highest) - sum.ln())
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/smollm2-forced.json");
    let text = std::fs::read(path).expect("the reference should be there");
    serde_json::from_slice(&text).expect("the reference should be JSON")
}

/// All texts one after the other: the model's, llama.cpp's and exact arithmetic's.
fn all(model: &mut dyn Model) -> [Choices; 3] {
    let mut all: [Choices; 3] = Default::default();
    for case in cases() {
        let (inputs, nexts) = (&case.tokens[..case.tokens.len() - 1], &case.tokens[1..]);
        for (nth, (inputs, nexts)) in inputs.chunks(STEP).zip(nexts.chunks(STEP)).enumerate() {
            all[0].add(&pass(model, nth * STEP, inputs, nexts));
        }
        all[1].add(&case.llama_cpp);
        all[2].add(&case.exact);
    }
    assert!(all[0].best.len() >= 2000);
    all
}

fn told(all: &[Choices; 3]) -> String {
    let line = |(name, choices): (&str, &Choices)| {
        let (perplexity, llama_cpp) = (choices.perplexity(), choices.agreement(&all[1]));
        let exact = choices.agreement(&all[2]);
        format!(
            "{name}: perplexity {perplexity:.4}, chooses as llama.cpp {llama_cpp:.4}, as exact arithmetic {exact:.4}\n"
        )
    };
    ["ours", "llama.cpp", "exact arithmetic"].into_iter().zip(all).map(line).collect()
}

fn are_close(a: &Choices, b: &Choices, most: f64) {
    let off = (a.perplexity() / b.perplexity() - 1.0).abs();
    assert!(off < most, "perplexity is {off} off, at most {most}");
}

#[test]
fn choices_and_perplexity_are_those_of_llama_cpp() {
    let files = files();
    let all = all(&mut *load(&files, &files, CachePrecision::F16));
    println!("{}", told(&all));
    let [ours, llama_cpp, exact] = all;
    are_close(&ours, &llama_cpp, 0.005);
    // Both round activations to 8 bits, and that turns 3 of 100 choices of so small a model: llama.cpp's own, too, beside
    // exact arithmetic's.
    assert!(ours.agreement(&exact) >= llama_cpp.agreement(&exact) - 0.005);
    assert!(ours.agreement(&llama_cpp) >= llama_cpp.agreement(&exact) - 0.01);
}

#[test]
fn the_same_weights_in_f32_choose_as_exact_arithmetic() {
    let files = files();
    let all = all(&mut *load(&files, &Dequantised(&files), CachePrecision::F32));
    println!("{}", told(&all));
    let [ours, _, exact] = all;
    are_close(&ours, &exact, 0.0001);
    assert!(ours.agreement(&exact) >= 0.999);
}
