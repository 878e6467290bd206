//! The loops that are not matrix products, on host slices. The compiler vectorises them; those of attention exist
//! twice, for AVX2 with FMA and for any processor, chosen at run time.

use alcazar_core::RopeStyle;

/// Running softmax of one row and head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Softmax {
    /// Highest score so far.
    highest: f32,
    /// Sum of `exp(score − highest)`.
    sum: f32,
}

impl Default for Softmax {
    fn default() -> Self {
        Self { highest: f32::NEG_INFINITY, sum: 0.0 }
    }
}

impl Softmax {
    /// Divides the weighted sum by the weights.
    pub(crate) fn finish(&self, output: &mut [f32]) {
        let factor = if self.sum > 0.0 { 1.0 / self.sum } else { 0.0 };
        output.iter_mut().for_each(|value| *value *= factor);
    }
}

/// Visible keys and values of a block: `[n_tokens, head_dim]` each.
pub(crate) struct Block<'a> {
    pub(crate) keys: &'a [f32],
    pub(crate) values: &'a [f32],
}

/// Adds a block to one row's and head's running result.
///
/// # Shapes
/// - q and output: `[head_dim]`
pub(crate) fn attend(q: &[f32], block: &Block<'_>, scale: f32, state: &mut Softmax, output: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        #[expect(unsafe_code, reason = "a function for more features than the build's may not be called otherwise")]
        // SAFETY: the processor has both features; the function itself is safe code.
        return unsafe { attend_avx2(q, block, scale, state, output) };
    }
    attend_portable(q, block, scale, state, output);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn attend_avx2(q: &[f32], block: &Block<'_>, scale: f32, state: &mut Softmax, output: &mut [f32]) {
    attend_portable(q, block, scale, state, output);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it must be compiled again inside the function with more features")]
fn attend_portable(q: &[f32], block: &Block<'_>, scale: f32, state: &mut Softmax, output: &mut [f32]) {
    let dim = q.len();
    for (key, value) in block.keys.chunks_exact(dim).zip(block.values.chunks_exact(dim)) {
        let score = dot(q, key) * scale;
        if score > state.highest {
            let shrink = (state.highest - score).exp();
            state.sum *= shrink;
            output.iter_mut().for_each(|value| *value *= shrink);
            state.highest = score;
        }
        let weight = (score - state.highest).exp();
        state.sum += weight;
        for (out, value) in output.iter_mut().zip(value) {
            *out += weight * value;
        }
    }
}

/// Sixteen sums side by side, so that the compiler may use wide registers without changing the order of additions.
#[inline(always)]
#[expect(clippy::inline_always, reason = "see attend_portable")]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (a_chunks, a_rest) = a.as_chunks::<16>();
    let (b_chunks, b_rest) = b.as_chunks::<16>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..16 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// `x / sqrt(mean(x²) + eps) · gain`, row by row.
pub(crate) fn rms_norm(x: &[f32], gain: &[f32], eps: f32) -> Vec<f32> {
    let mut output = Vec::with_capacity(x.len());
    for row in x.chunks_exact(gain.len()) {
        #[expect(clippy::cast_precision_loss, reason = "a row has far fewer than 2^23 elements")]
        let mean = dot(row, row) / row.len() as f32;
        let factor = 1.0 / (mean + eps).sqrt();
        output.extend(row.iter().zip(gain).map(|(x, gain)| x * factor * gain));
    }
    output
}

/// `silu(gate) · up`, into `gate`.
pub(crate) fn silu_mul(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + (-*gate).exp()) * up;
    }
}

/// Cosines and sines of a batch's positions.
#[derive(Clone, Debug)]
pub struct Angles {
    n_pairs: usize,
    /// `[rows, n_pairs]` of (cosine, sine).
    pairs: Vec<(f32, f32)>,
}

impl Angles {
    pub(crate) fn new(positions: &[u32], frequencies: &[f32]) -> Self {
        // In f64: a position of 100,000 times a frequency keeps its fraction.
        let angle = |position: u32, frequency: f32| f64::from(position) * f64::from(frequency);
        #[expect(clippy::cast_possible_truncation, reason = "a sine fits an f32")]
        let pair = |angle: f64| (angle.cos() as f32, angle.sin() as f32);
        let row = |position| frequencies.iter().map(move |frequency| pair(angle(position, *frequency)));
        Self { n_pairs: frequencies.len(), pairs: positions.iter().copied().flat_map(row).collect() }
    }
}

/// Rotates each head of each row (Su et al., 2021).
///
/// # Shapes
/// - x: `[rows, n_heads · head_dim]` with as many rows as the angles
pub(crate) fn rope(x: &mut [f32], angles: &Angles, head_dim: usize, style: RopeStyle) {
    let n_rows = angles.pairs.len() / angles.n_pairs.max(1);
    if n_rows == 0 {
        return;
    }
    let (row_width, n_pairs) = (x.len() / n_rows, angles.n_pairs);
    for (row, pairs) in x.chunks_exact_mut(row_width).zip(angles.pairs.chunks_exact(n_pairs)) {
        for head in row.chunks_exact_mut(head_dim) {
            for (n, (cos, sin)) in pairs.iter().enumerate() {
                let (i, j) = match style {
                    RopeStyle::Interleaved => (2 * n, 2 * n + 1),
                    RopeStyle::Halves => (n, n + n_pairs),
                };
                (head[i], head[j]) = (head[i] * cos - head[j] * sin, head[i] * sin + head[j] * cos);
            }
        }
    }
}
