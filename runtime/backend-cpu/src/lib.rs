//! The models' operations on CPUs: own weights, kernels and threads.
//!
//! ```text
//!  CpuBackend ─ matrix                  weights, packed for the kernels that multiply them
//!             ├ attention, packed       over the paged cache, or both ways; `cache` holds f16 or f32, `tile` the products
//!             ├ norm, rope, activation, sum
//!             └ pool                    the threads
//! ```
//! An operation that owns its operand works in its place. `unsafe` is in `pool` (tasks that workers outlive), `simd` and
//! `lanes` (instructions of CPU features that were found) and `matrix`.

mod activation;
mod attention;
mod backend;
mod cache;
mod element;
mod lanes;
pub mod matrix;
mod norm;
mod packed;
mod parallel;
mod pool;
mod rope;
mod simd;
mod softmax;
mod sum;
mod tensor;
mod tile;

#[cfg(test)]
mod tests;

pub use backend::CpuBackend;
pub use cache::{Cache, CachePrecision};
pub use pool::Pool;
pub use tensor::{Tensor, Vector};
