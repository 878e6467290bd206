//! The models' operations as plain candle tensor operations: what the CPU backend is measured against, and CUDA behind a
//! feature.
//!
//! Right before fast: attention runs sequence by sequence and gathers the cache, which holds f32. On a CPU candle's own
//! pools compute, with as many threads as they find processors; only tests run it there.
#![forbid(unsafe_code)]

mod attention;
mod backend;
mod operations;
mod packed;
mod weights;

pub use backend::CandleBackend;
