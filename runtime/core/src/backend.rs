//! What a model family asks of a device. A family is generic over this trait and names no implementation.

use crate::{AttentionSpec, BackendError, Batch, CacheShape, PackedAttention, RawTensor};

/// How rotary embedding pairs the elements of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeStyle {
    /// Element `2i` with `2i + 1`: GGUF files of the llama architecture, whose q and k rows were permuted for it.
    Interleaved,
    /// Element `i` with `i + n/2`: Hugging Face checkpoints, and GGUF files of most other architectures.
    Halves,
}

/// What is applied to each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x / (1 + e⁻ˣ)`.
    Silu,
    /// `x · Φ(x)`, by the error function.
    GeluErf,
    /// Its approximation by tanh (`gelu_new`, `gelu_pytorch_tanh`, `gelu_fast`).
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

/// How a gate lets its partner through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gating {
    /// `activation(gate) · up`.
    Of(Activation),
    /// `g · σ(alpha · g) · (u + 1)` with `g = min(gate, limit)` and `u` cut to `±limit` (gpt-oss).
    ClampedSwiglu {
        /// Steepness of the sigmoid.
        alpha: f32,
        /// Where both are cut.
        limit: f32,
    },
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

/// Sines and cosines of a batch's positions in host memory: `[rows, pairs]` each.
#[derive(Clone, Debug, PartialEq)]
pub struct HostAngles {
    /// Cosines, times the magnitude.
    pub cos: Vec<f32>,
    /// Sines, times the magnitude.
    pub sin: Vec<f32>,
    /// Pairs of a row.
    pub n_pairs: usize,
}

impl HostAngles {
    /// Of `position · frequency`.
    pub fn new(positions: &[u32], frequencies: &[f32], magnitude: f32) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "the reference computes angles in f32 too")]
        let angle = |position: u32, frequency: f32| position as f32 * frequency;
        let angles = positions.iter().flat_map(|position| frequencies.iter().map(move |f| angle(*position, *f)));
        let (sin, cos) = angles.map(f32::sin_cos).map(|(sin, cos)| (sin * magnitude, cos * magnitude)).unzip();
        Self { cos, sin, n_pairs: frequencies.len() }
    }
}

/// A matrix and, mostly, no bias.
pub type Part<'a, B> = (&'a <B as Backend>::Matrix, Option<&'a <B as Backend>::Vector>);

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

    /// Rows of a table by number: of tokens, of learned positions, of token types.
    ///
    /// # Shapes
    /// - table: `[entries, width]`; output: `[ids, width]`
    fn embedding(&self, table: &Self::Matrix, ids: &[u32]) -> Result<Self::Tensor, BackendError>;

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

    /// Several products of the same rows: for each part what [`Backend::linear`] answers, in one go where the device can.
    ///
    /// # Shapes
    /// - x: `[rows, in]`; parts: `[out, in]` and `[out]` each, with an `out` of its own
    /// - output: `[rows, out]` for each part
    fn linear_each<const N: usize>(
        &self,
        x: &Self::Tensor,
        parts: [Part<'_, Self>; N],
    ) -> Result<[Self::Tensor; N], BackendError>
    where
        Self: Sized,
    {
        let products = parts.into_iter().map(|(w, bias)| self.linear(x, w, bias)).collect::<Result<Vec<_>, _>>()?;
        products.try_into().map_err(|products: Vec<_>| BackendError::Shape {
            op: "linear_each",
            found: format!("{} products", products.len()),
            expected: N.to_string(),
        })
    }

    /// `(x − mean) / sqrt(variance + eps) · gain (+ bias)`, row by row.
    ///
    /// # Shapes
    /// - x and output: `[rows, width]`; gain, bias: `[width]`
    fn layer_norm(
        &self,
        x: &Self::Tensor,
        gain: &Self::Vector,
        bias: Option<&Self::Vector>,
        eps: f32,
    ) -> Result<Self::Tensor, BackendError>;

    /// `x / sqrt(mean(x²) + eps) · gain`, over each piece of the gain's width: whole rows, or the heads in them.
    ///
    /// # Shapes
    /// - x and output: `[rows, n · width]`; gain: `[width]`
    fn rms_norm(&self, x: &Self::Tensor, gain: &Self::Vector, eps: f32) -> Result<Self::Tensor, BackendError>;

    /// Sines and cosines of `position · frequency`, times `magnitude`, shared by all layers of a step.
    fn angles(&self, positions: &[u32], frequencies: &[f32], magnitude: f32) -> Result<Self::Angles, BackendError>;

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

    /// Attends both ways, each row to its own sequence.
    ///
    /// # Shapes
    /// - q, k, v and output: `[rows, n_heads · head_dim]`
    fn packed_attention(
        &self,
        qkv: [&Self::Tensor; 3],
        spec: &PackedAttention<'_, Self::Tensor>,
    ) -> Result<Self::Tensor, BackendError>;

    /// The activation of each element.
    fn activate(&self, x: Self::Tensor, activation: Activation) -> Result<Self::Tensor, BackendError>;

    /// A gate applied to its partner, element by element.
    fn gate(&self, gate: Self::Tensor, up: &Self::Tensor, gating: Gating) -> Result<Self::Tensor, BackendError>;

    /// `x · factor`.
    fn scale(&self, x: Self::Tensor, factor: f32) -> Result<Self::Tensor, BackendError>;

    /// `a + b`, element by element.
    fn add(&self, a: Self::Tensor, b: &Self::Tensor) -> Result<Self::Tensor, BackendError>;

    /// Some rows of x, in the order asked for.
    fn rows(&self, x: &Self::Tensor, rows: &[usize]) -> Result<Self::Tensor, BackendError>;

    /// Where a sum begins: `[rows, width]`.
    fn zeros(&self, n_rows: usize, width: usize) -> Result<Self::Tensor, BackendError>;

    /// Adds `weights[n] · y[n]` to row `rows[n]` of `acc`: what an expert made of some rows goes back to its places.
    ///
    /// # Shapes
    /// - acc and output: `[any, width]`; y: `[rows, width]`; rows (each at most once), weights: as many as y's rows
    fn add_rows(
        &self,
        acc: Self::Tensor,
        rows: &[usize],
        weights: &[f32],
        y: &Self::Tensor,
    ) -> Result<Self::Tensor, BackendError>;

    /// The values, row by row, in host memory.
    fn to_host(&self, x: &Self::Tensor) -> Result<Vec<f32>, BackendError>;
}
