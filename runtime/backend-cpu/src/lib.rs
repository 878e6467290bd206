//! The models' operations on CPUs: own weights, kernels and threads.

mod pool;
