//! SmolLM2-135M-Instruct on given texts, position by position, against llama.cpp and exact arithmetic on the same weights
//! (tests/reference/forced.py). `make test-model` fetches the file and runs it.

use std::{num::NonZeroUsize, path::Path};

use alcazar_backend_cpu::{CachePrecision, CpuBackend};
use alcazar_core::{Batch, BlockId, CacheShape, Logits, Model, SeqId, Sequence, TokenId};
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

fn model() -> Box<dyn Model> {
    let path = std::env::var_os("ALCAZAR_SMOLLM2")
        .expect("ALCAZAR_SMOLLM2 should name the model file: `make test-model` fetches it and says so");
    let files = alcazar_formats::open(Path::new(&path)).expect("the model should open");
    let config = files.config().decoder().expect("it is a decoder");
    let n_threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let backend = CpuBackend::new(n_threads, CachePrecision::F16);
    alcazar_models::load(backend, config, &files, CACHE).expect("the model should load")
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

#[test]
fn choices_and_perplexity_are_llama_cpp_s() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/smollm2-forced.json");
    let text = std::fs::read(path).expect("the reference should be there");
    let cases: Vec<Case> = serde_json::from_slice(&text).expect("the reference should be JSON");
    let mut model = model();
    let [mut ours, mut llama_cpp, mut exact] = [const { Choices { best: vec![], logs: vec![] } }; 3];
    for case in &cases {
        let (inputs, nexts) = (&case.tokens[..case.tokens.len() - 1], &case.tokens[1..]);
        for (nth, (inputs, nexts)) in inputs.chunks(STEP).zip(nexts.chunks(STEP)).enumerate() {
            ours.add(&pass(&mut *model, nth * STEP, inputs, nexts));
        }
        llama_cpp.add(&case.llama_cpp);
        exact.add(&case.exact);
    }
    let told = |name: &str, choices: &Choices| {
        let (as_llama_cpp, as_exact) = (choices.agreement(&llama_cpp), choices.agreement(&exact));
        println!(
            "{name}: perplexity {:.4}, as llama.cpp {as_llama_cpp:.4}, as exact arithmetic {as_exact:.4}",
            choices.perplexity()
        );
    };
    told("ours", &ours);
    told("llama.cpp", &llama_cpp);
    told("exact", &exact);
    assert!(ours.best.len() >= 2000);
    let off = (ours.perplexity() / llama_cpp.perplexity() - 1.0).abs();
    assert!(off < 0.005, "perplexity is {off} off");
    // Both round activations to 8 bits, which turns 3 of 100 choices of so small a model: more than exact arithmetic's
    // own share of them cannot be asked for.
    assert!(ours.agreement(&exact) >= llama_cpp.agreement(&exact) - 0.005);
    assert!(ours.agreement(&llama_cpp) >= llama_cpp.agreement(&exact) - 0.01);
}
