//! Low-rank adapters (LoRA): pairs of small matrices beside a model's own, for the sequences that ask for them.

use crate::WeightSource;

/// What an adapter adds to one matrix of its base: `y += scale · B (A x)`.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterModule {
    /// The matrix as Hugging Face's module tree names it, for example `model.layers.0.self_attn.q_proj`.
    pub module: String,
    /// The names of A and B among the adapter's tensors.
    pub tensors: [String; 2],
    /// Rows of A, columns of B.
    pub rank: usize,
    /// Columns of A.
    pub n_in: usize,
    /// Rows of B.
    pub n_out: usize,
    /// Factor on what is added.
    pub scale: f32,
}

/// Where a model finds an adapter's matrices.
pub trait AdapterSource: WeightSource {
    /// What requests call it.
    fn name(&self) -> &str;

    /// The matrices that it changes, each once.
    fn modules(&self) -> &[AdapterModule];
}
