//! Q4_1 for kernels that know Q4_0 alone.
//!
//! A block of Q4_1 is `w = d·q + m` with q in 0..=15, one of Q4_0 is `w = d·(q − 8)`: the same nibbles. So a product with
//! Q4_1 is the product with Q4_0 plus, for every block, `m + 8·d` times the sum of the activations there. Candle
//! vectorises Q4_0 and computes Q4_1 number by number. Layouts: `block_q4_0`, `block_q4_1` in ggml-common.h.
#![expect(clippy::inline_always, reason = "code that is not inlined is compiled for the oldest CPU")]

use candle_core::{Tensor, quantized::k_quants::QK4_1};
use half::f16;

use super::simd::{Kernel, dispatch, dot};

/// Bytes of a block of Q4_1: d and m in f16, then the nibbles.
const BLOCK: usize = 4 + QK4_1 / 2;

/// `m + 8·d` of all blocks of a matrix: `[rows, blocks]`.
#[derive(Debug)]
pub(crate) struct Offsets {
    values: Vec<f32>,
    n_blocks: usize,
}

/// Splits rows of Q4_1, `n_in` numbers each, into the bytes of rows of Q4_0 and what these lack.
pub(crate) fn split(data: &[u8], n_in: usize) -> (Vec<u8>, Offsets) {
    let (blocks, _) = data.as_chunks::<BLOCK>();
    let mut nibbles = Vec::with_capacity(data.len());
    let mut values = Vec::with_capacity(blocks.len());
    for [d0, d1, m0, m1, rest @ ..] in blocks {
        let (d, m) = (f16::from_le_bytes([*d0, *d1]), f16::from_le_bytes([*m0, *m1]));
        nibbles.extend_from_slice(&[*d0, *d1]);
        nibbles.extend_from_slice(rest);
        values.push(d.to_f32().mul_add(8.0, m.to_f32()));
    }
    (nibbles, Offsets { values, n_blocks: n_in / QK4_1 })
}

/// The sum of each block of activations: `[rows, blocks]` of `[rows, in]`.
pub(crate) fn block_sums(x: &Tensor) -> candle_core::Result<Vec<f32>> {
    let x = x.flatten_all()?.to_vec1::<f32>()?;
    Ok(x.chunks(QK4_1).map(|block| block.iter().sum()).collect())
}

impl Offsets {
    /// `y + sums · offsetsᵀ`.
    ///
    /// # Shapes
    /// - y and the output: `[n, rows]`; sums: `[n, blocks]`
    pub(crate) fn add_products(&self, y: &Tensor, sums: &[f32]) -> candle_core::Result<Tensor> {
        let mut out = y.flatten_all()?.to_vec1::<f32>()?;
        dispatch(AddProducts { out: &mut out, sums, offsets: self });
        Tensor::from_vec(out, y.shape(), y.device())
    }

    /// Row `nth` of Q4_0, `[1, in]`, as it is in Q4_1.
    pub(crate) fn add_row(&self, row: &Tensor, nth: usize) -> candle_core::Result<Tensor> {
        let mut values = row.flatten_all()?.to_vec1::<f32>()?;
        let offsets = self.values.chunks_exact(self.n_blocks).nth(nth).unwrap_or_default();
        for (block, offset) in values.chunks_mut(QK4_1).zip(offsets) {
            for value in block {
                *value += offset;
            }
        }
        Tensor::from_vec(values, row.shape(), row.device())
    }
}

struct AddProducts<'a> {
    out: &'a mut [f32],
    sums: &'a [f32],
    offsets: &'a Offsets,
}

impl Kernel for AddProducts<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let n_blocks = self.offsets.n_blocks;
        let n_rows = self.offsets.values.len() / n_blocks.max(1);
        for (out, sums) in self.out.chunks_exact_mut(n_rows.max(1)).zip(self.sums.chunks_exact(n_blocks.max(1))) {
            for (out, offsets) in out.iter_mut().zip(self.offsets.values.chunks_exact(n_blocks.max(1))) {
                *out += dot::<FMA>(sums, offsets);
            }
        }
    }
}
