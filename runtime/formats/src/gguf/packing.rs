//! Weight types that not every backend computes with: they become another type, without loss; MXFP4 only where a backend
//! asks for it, the others when they are read.
//!
//! The layouts and the arithmetic are GGML's (`ggml-quants.c`).

use std::fmt;

use alcazar_core::WeightType;

/// Numbers of a 4-bit code, not evenly spaced.
const CODES: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
/// Twice the numbers of a 4-bit float (one bit of sign, two of exponent, one of mantissa).
const FLOATS: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];
/// Exponents of MXFP4 whose powers of two 16-bit floats have.
const HALF_EXPONENTS: std::ops::RangeInclusive<u8> = 104..=143;

/// How a file packs a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "the names people know from the files")]
pub enum Packing {
    /// 32 codes with one scale; becomes Q8_0, which has the same scale and room for the codes' numbers.
    IQ4_NL,
    /// 256 codes with a scale and eight factors; becomes F32, since no smaller type has room for the products.
    IQ4_XS,
    /// 32 floats of 4 bits with one power of two; becomes Q8_0, or BF16 where the power is beyond a 16-bit float.
    MXFP4,
}

impl Packing {
    /// Numbers that are packed together.
    pub(crate) const fn block_elements(self) -> usize {
        match self {
            Self::IQ4_NL | Self::MXFP4 => 32,
            Self::IQ4_XS => 256,
        }
    }

    /// Bytes of such a block.
    pub(crate) const fn block_bytes(self) -> usize {
        match self {
            Self::IQ4_NL => 18,
            Self::IQ4_XS => 136,
            Self::MXFP4 => 17,
        }
    }

    /// Bytes of a tensor; `None` when a row is not whole blocks or the product overflows.
    pub(crate) fn tensor_bytes(self, shape: &[usize]) -> Option<u64> {
        let block = self.block_elements();
        if !shape.last().copied().unwrap_or(1).is_multiple_of(block) {
            return None;
        }
        let elements = shape.iter().try_fold(1u64, |product, dim| product.checked_mul(u64::try_from(*dim).ok()?))?;
        (elements / block as u64).checked_mul(self.block_bytes() as u64)
    }

    /// What it becomes, MXFP4 where a backend asks for it; that also BF16, where its powers do not fit Q8_0's scale.
    pub const fn becomes(self) -> WeightType {
        match self {
            Self::IQ4_NL | Self::MXFP4 => WeightType::Q8_0,
            Self::IQ4_XS => WeightType::F32,
        }
    }

    /// The same numbers as another type's bytes; what is less than a whole block is left out.
    pub fn unpack(self, data: &[u8]) -> (WeightType, Vec<u8>) {
        match self {
            Self::IQ4_NL => (WeightType::Q8_0, data.as_chunks().0.iter().flat_map(iq4_nl).collect()),
            Self::IQ4_XS => (WeightType::F32, data.as_chunks().0.iter().flat_map(iq4_xs).collect()),
            Self::MXFP4 => {
                let (blocks, _) = data.as_chunks::<17>();
                match blocks.iter().map(mxfp4).collect::<Option<Vec<_>>>() {
                    Some(blocks) => (WeightType::Q8_0, blocks.as_flattened().to_vec()),
                    None => (WeightType::BF16, blocks.iter().flat_map(mxfp4_wide).collect()),
                }
            }
        }
    }
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The numbers of 16 bytes of codes: the low halves, then the high ones.
fn decode<'a>(bytes: &'a [u8], table: &'static [i8; 16]) -> impl Iterator<Item = i8> + 'a {
    let number = |code: u8| table.get(usize::from(code & 0x0f)).copied().unwrap_or(0);
    bytes.iter().map(move |byte| number(*byte)).chain(bytes.iter().map(move |byte| number(byte >> 4)))
}

fn q8_0(scale: [u8; 2], numbers: impl Iterator<Item = i8>) -> [u8; 34] {
    let mut block = [0; 34];
    let bytes = scale.into_iter().chain(numbers.map(i8::cast_unsigned));
    block.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    block
}

fn iq4_nl(block: &[u8; 18]) -> [u8; 34] {
    let [low, high, codes @ ..] = block;
    q8_0([*low, *high], decode(codes, &CODES))
}

fn iq4_xs(block: &[u8; 136]) -> Vec<u8> {
    let [low, high, scales_0, scales_1, rest @ ..] = block;
    let scale = half::f16::from_le_bytes([*low, *high]).to_f32();
    let high_bits = u16::from_le_bytes([*scales_0, *scales_1]);
    let (low_bits, codes) = rest.split_at(4);
    let factors = (0..8u8).map(|nth| {
        let low = low_bits.get(usize::from(nth / 2)).map_or(0, |byte| (byte >> (4 * (nth % 2))) & 0x0f);
        let high = ((high_bits >> (2 * nth)) & 3) << 4;
        f32::from(u16::from(low) | high) - 32.0
    });
    let groups = factors.zip(codes.as_chunks::<16>().0);
    groups
        .flat_map(|(factor, codes)| {
            let scale = scale * factor;
            decode(codes, &CODES).flat_map(move |number| (scale * f32::from(number)).to_le_bytes())
        })
        .collect()
}

/// Two to the power of `exponent - 128`: the numbers of the table are twice theirs.
fn power(exponent: u8) -> f32 {
    match exponent {
        0 | 1 => f32::from_bits(0x0020_0000 << exponent),
        _ => f32::from_bits(u32::from(exponent - 1) << 23),
    }
}

/// `None`: the power is beyond a 16-bit float.
fn mxfp4(block: &[u8; 17]) -> Option<[u8; 34]> {
    let [exponent, codes @ ..] = block;
    let is_zero = decode(codes, &FLOATS).all(|number| number == 0);
    let scale = match HALF_EXPONENTS.contains(exponent) {
        true => half::f16::from_f32(power(*exponent)),
        false if is_zero => half::f16::ZERO,
        false => return None,
    };
    Some(q8_0(scale.to_le_bytes(), decode(codes, &FLOATS)))
}

fn mxfp4_wide(block: &[u8; 17]) -> Vec<u8> {
    let [exponent, codes @ ..] = block;
    let scale = power(*exponent);
    decode(codes, &FLOATS).flat_map(|number| half::bf16::from_f32(scale * f32::from(number)).to_le_bytes()).collect()
}
