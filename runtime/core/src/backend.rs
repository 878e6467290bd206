//! What a model family asks of a device. A family is generic over this trait and names no implementation.

use crate::{BackendError, Batch, CacheShape, RawTensor, TokenId};

/// How rotary embedding pairs the elements of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeStyle {
    /// Element `2i` with `2i + 1`: GGUF files of the llama architecture, whose q and k rows were permuted for it.
    Interleaved,
    /// Element `i` with `i + n/2`: Hugging Face checkpoints, and GGUF files of most other architectures.
    Halves,
}

/// Shape of an attention layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionSpec {
    /// Layer, as an index into the cache.
    pub layer: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Elements per head.
    pub head_dim: usize,
    /// Factor on the scores.
    pub scale: f32,
}

/// Shape of a model's cache, all layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSpec {
    /// Layers.
    pub n_layers: usize,
    /// Key and value heads of a layer.
    pub n_kv_heads: usize,
    /// Elements per head.
    pub head_dim: usize,
    /// Blocks and their size.
    pub shape: CacheShape,
}

/// A device's operations. Activations are f32, two-dimensional: one row per token of the batch.
///
/// Every row's result depends on that row's sequence alone, so a sequence's tokens do not change with its batch mates.
pub trait Backend: Send + 'static {
    /// Activations: `[rows, width]`.
    type Tensor: Send;
    /// A weight matrix as stored, quantised or not: `[out, in]`.
    type Matrix: Send;
    /// Gains and biases: `[width]`, f32.
    type Vector: Send;
    /// Angles of a batch's positions.
    type Angles: Send;
    /// Keys and values of all layers, in blocks.
    type Cache: Send;

    /// Takes a weight matrix over.
    fn matrix(&self, raw: &RawTensor<'_>) -> Result<Self::Matrix, BackendError>;

    /// Takes a gain or a bias over.
    fn vector(&self, raw: &RawTensor<'_>) -> Result<Self::Vector, BackendError>;

    /// An empty cache.
    fn cache(&self, spec: &CacheSpec) -> Result<Self::Cache, BackendError>;

    /// Rows of a table.
    ///
    /// # Shapes
    /// - table: `[vocabulary, width]`
    /// - output: `[n_tokens, width]`
    fn embedding(&self, table: &Self::Matrix, tokens: &[TokenId]) -> Result<Self::Tensor, BackendError>;

    /// `x · wᵀ (+ bias)`.
    ///
    /// # Shapes
    /// - x: `[rows, in]`, w: `[out, in]`, bias: `[out]`
    /// - output: `[rows, out]`
    fn linear(
        &self,
        x: &Self::Tensor,
        w: &Self::Matrix,
        bias: Option<&Self::Vector>,
    ) -> Result<Self::Tensor, BackendError>;

    /// `x / sqrt(mean(x²) + eps) · gain`, row by row.
    fn rms_norm(&self, x: &Self::Tensor, gain: &Self::Vector, eps: f32) -> Result<Self::Tensor, BackendError>;

    /// Sines and cosines of `position · frequency`, shared by all layers of a step.
    fn angles(&self, positions: &[u32], frequencies: &[f32]) -> Result<Self::Angles, BackendError>;

    /// Rotates each head's first `2 · frequencies` elements.
    ///
    /// # Shapes
    /// - x and output: `[rows, n_heads · head_dim]`
    fn rope(
        &self,
        x: Self::Tensor,
        angles: &Self::Angles,
        head_dim: usize,
        style: RopeStyle,
    ) -> Result<Self::Tensor, BackendError>;

    /// Stores the batch's keys and values, then attends causally, each row to its own sequence.
    ///
    /// # Shapes
    /// - q and output: `[rows, n_heads · head_dim]`
    /// - k, v: `[rows, n_kv_heads · head_dim]`
    fn attention(
        &self,
        qkv: [&Self::Tensor; 3],
        cache: &mut Self::Cache,
        spec: &AttentionSpec,
        batch: &Batch,
    ) -> Result<Self::Tensor, BackendError>;

    /// `silu(gate) · up`, element by element.
    fn silu_mul(&self, gate: Self::Tensor, up: &Self::Tensor) -> Result<Self::Tensor, BackendError>;

    /// `a + b`, element by element.
    fn add(&self, a: Self::Tensor, b: &Self::Tensor) -> Result<Self::Tensor, BackendError>;

    /// Some rows of x, in the order asked for.
    fn rows(&self, x: &Self::Tensor, rows: &[usize]) -> Result<Self::Tensor, BackendError>;

    /// The values, row by row, in host memory.
    fn to_host(&self, x: &Self::Tensor) -> Result<Vec<f32>, BackendError>;
}
