//! MXFP4 as Q8_0, which candle multiplies: the same numbers in twice the bytes.
//!
//! A block of MXFP4 is an exponent `e` and 32 numbers of 4 bits, worth `2^(e − 127)` times 0, ½, 1, 1½, 2, 3, 4 or 6. Twice
//! these are whole numbers, which Q8_0 holds with a factor of `2^(e − 128)` in f16. Layouts: `block_mxfp4`, `block_q8_0` in
//! ggml-common.h.

use half::f16;

const BLOCK: usize = 17;
/// Twice the numbers; the upper half of the codes is negative.
const DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];
/// Exponents whose factor f16 holds exactly: 2⁻²⁴ to 2¹⁵.
const EXACT: std::ops::RangeInclusive<u8> = 104..=143;

pub(crate) fn to_q8_0(data: &[u8]) -> candle_core::Result<Vec<u8>> {
    let (blocks, _) = data.as_chunks::<BLOCK>();
    let mut out = Vec::with_capacity(blocks.len() * 34);
    for [exponent, codes @ ..] in blocks {
        if *exponent > *EXACT.end() {
            candle_core::bail!("found a block of MXFP4 with exponent {exponent}, expected at most {}", EXACT.end());
        }
        // What is smaller is less than 10⁻⁶: as good as none.
        let exponent = if EXACT.contains(exponent) { i16::from(*exponent) - 128 } else { i16::MIN };
        out.extend(f16::from_f32(f32::from(exponent).exp2()).to_le_bytes());
        let low = codes.iter().map(|code| code & 0xf);
        let numbers = low.chain(codes.iter().map(|code| code >> 4)).map(|code| DOUBLED[usize::from(code)]);
        out.extend(numbers.flat_map(i8::to_le_bytes));
    }
    Ok(out)
}
