//! MXFP4 as gpt-oss's safetensors have it, blocks and exponents apart, put together as GGML does.

use alcazar_core::{RawTensor, WeightType};

/// Numbers of a block.
pub(crate) const NUMBERS: usize = 32;
/// Bytes of them, without the exponent.
pub(crate) const BYTES: usize = NUMBERS / 2;

/// In the file a byte has two numbers that follow each other; in GGML's blocks a number and the one 16 after it.
///
/// # Shapes
/// - blocks: `[out, in / 32, 16]`; scales: `[out, in / 32]`; output: `[out, in]`
pub(crate) fn joined(blocks: &RawTensor<'_>, scales: &RawTensor<'_>) -> RawTensor<'static> {
    let mut data = Vec::with_capacity(blocks.data.len() + scales.data.len());
    for (block, scale) in blocks.data.as_chunks::<BYTES>().0.iter().zip(scales.data.iter()) {
        let number = |nth: usize| if nth.is_multiple_of(2) { block[nth / 2] & 0xf } else { block[nth / 2] >> 4 };
        data.push(*scale);
        data.extend((0..BYTES).map(|nth| number(nth) | number(nth + BYTES) << 4));
    }
    let shape = match scales.shape.as_slice() {
        [n_out, n_blocks] => vec![*n_out, n_blocks * NUMBERS],
        other => other.to_owned(),
    };
    RawTensor { name: blocks.name.clone(), weight_type: WeightType::MXFP4, shape, data: data.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_follow_each_other_are_told_apart() {
        let raw = |data: Vec<u8>, shape: &[usize]| RawTensor {
            name: "w".to_owned(),
            weight_type: WeightType::U8,
            shape: shape.to_owned(),
            data: data.into(),
        };
        // Numbers 0, 1, 2, … 15, 0, 1, …
        let bytes: Vec<u8> = (0..16u8).map(|at| ((2 * at) % 16) | (((2 * at + 1) % 16) << 4)).collect();
        let joined = joined(&raw(bytes, &[1, 1, 16]), &raw(vec![127], &[1, 1]));
        let expected: Vec<u8> = std::iter::once(127).chain((0..16u8).map(|at| at | at << 4)).collect();
        assert_eq!((joined.shape.as_slice(), &*joined.data), ([1, 32].as_slice(), expected.as_slice()));
    }
}
