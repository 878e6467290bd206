//! Attention over the cache: microseconds for a layer, decoding one token and computing a piece of a prompt.
//!
//! `cargo bench -p alcazar-backend-cpu --bench attention`. Shapes are those of SmolLM2-135M and Llama-3.2-1B.

use std::{num::NonZeroUsize, time::Instant};

use alcazar_backend_cpu::{CachePrecision, CpuBackend};
use alcazar_core::{
    AttentionSpec, Backend, Batch, BlockId, CacheShape, RawTensor, SeqId, Sequence, TokenId, backend::CacheSpec,
};

const BLOCK_TOKENS: usize = 16;
const CONTEXT: usize = 4096;

struct Case {
    name: &'static str,
    n_heads: usize,
    n_kv_heads: usize,
    head_dim: usize,
}

const CASES: [Case; 2] = [
    Case { name: "SmolLM2-135M", n_heads: 9, n_kv_heads: 3, head_dim: 64 },
    Case { name: "Llama-3.2-1B", n_heads: 32, n_kv_heads: 8, head_dim: 64 },
];

fn rows(backend: &CpuBackend, n: usize, width: usize) -> <CpuBackend as Backend>::Tensor {
    let values: Vec<f32> = (0..width).map(|at| f32::from(u8::try_from(at % 251).unwrap_or(0)) / 125.0 - 1.0).collect();
    let table = backend.matrix(&RawTensor::from_f32("x", &[1, width], &values)).expect("it should load");
    backend.embedding(&table, &vec![0; n]).expect("it should be there")
}

/// The fastest of some runs.
fn micros(mut run: impl FnMut()) -> f64 {
    let once = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e6
    };
    (0..30).map(|_| once(&mut run)).fold(f64::INFINITY, f64::min)
}

fn main() {
    for threads in [1, 2] {
        let backend = CpuBackend::new(NonZeroUsize::new(threads).expect("it is positive"), CachePrecision::F16);
        for Case { name, n_heads, n_kv_heads, head_dim } in CASES {
            let shape = CacheShape { n_blocks: CONTEXT / BLOCK_TOKENS, block_tokens: BLOCK_TOKENS };
            let spec = CacheSpec { n_layers: 1, n_kv_heads, head_dim, shape };
            let mut cache = backend.cache(&spec).expect("it should fit");
            for (n_tokens, start) in [(1, 127), (1, 1023), (1, 4095), (256, 0), (256, 768)] {
                let blocks = (0..CONTEXT / BLOCK_TOKENS).filter_map(|n| u32::try_from(n).ok()).map(BlockId).collect();
                let sequence = Sequence { id: SeqId(0), first_row: 0, n_tokens, start, blocks, adapter: None };
                let tokens = vec![TokenId(0); n_tokens];
                let batch = Batch { tokens, sequences: vec![sequence], logit_rows: vec![] };
                let (q, kv) = (n_heads * head_dim, n_kv_heads * head_dim);
                let [q, k, v] = [q, kv, kv].map(|width| rows(&backend, n_tokens, width));
                let spec = AttentionSpec::plain(0, n_heads, n_kv_heads, head_dim);
                let took = micros(|| {
                    backend.attention([&q, &k, &v], &mut cache, &spec, &batch).expect("it should run");
                });
                #[expect(clippy::print_stdout, reason = "a bench's answer")]
                {
                    println!("{threads} threads  {name:14} {n_tokens:4} tokens after {start:5}: {took:9.1} us");
                }
            }
        }
    }
}
