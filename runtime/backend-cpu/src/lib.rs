//! The models' operations on CPUs: own weights, kernels and threads.

pub mod matrix;
mod pool;
