//! The models' operations on candle tensors: the CPU reference, and CUDA behind a feature.
//!
//! ```text
//!  CandleBackend ─ weights   quantised ones stay so; candle's kernels multiply them
//!                ├ host      norms, rotation, attention over the paged cache, on slices, for CPUs
//!                └ device    the same as tensor operations, for GPUs (and to check `host` against)
//! ```
//! `unsafe` is in three places: [`threads`] (the environment), `pool` (tasks that workers outlive), `host::simd`
//! (functions for CPU features that were found).

mod backend;
mod device;
mod host;
mod mxfp4;
mod packed;
mod pool;
pub mod threads;
mod weights;

#[cfg(test)]
mod tests;

pub use backend::CandleBackend;
pub use threads::{ThreadsError, set_threads};
