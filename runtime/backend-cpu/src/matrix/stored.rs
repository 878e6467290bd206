//! Quantised blocks as files hold them: the layouts of ggml-common.h, one row at a time.

use alcazar_core::WeightType;
use half::f16;

use super::simd::power;

/// Elements of the largest block.
pub(super) const SUPER: usize = 256;
/// Twice the numbers of MXFP4, which are whole, plus 12.
pub(super) const MXFP4_NUMBERS: [u8; 16] = [12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0];

/// A block taken apart: of the numbers and the small scales, as many as the type has.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    /// The numbers as they are stored, without sign; for Q8_0 plus 128.
    pub(super) quanta: [u8; SUPER],
    /// The factor of the block in f16, or the exponent of MXFP4.
    pub(super) scale: [u8; 2],
    /// What is added (Q4_1, Q5_1) or the factor of the minima (Q2_K, Q4_K, Q5_K).
    pub(super) min: [u8; 2],
    /// Of each 16 or 32 elements.
    pub(super) small_scales: [u8; 16],
    pub(super) small_mins: [u8; 16],
}

impl Stored {
    pub(super) const EMPTY: Self =
        Self { quanta: [0; SUPER], scale: [0; 2], min: [0; 2], small_scales: [0; 16], small_mins: [0; 16] };

    /// Takes a block's bytes apart. Unquantised types have no blocks: nothing is read.
    pub(super) fn read(weight_type: WeightType, bytes: &[u8]) -> Self {
        let mut block = Self::EMPTY;
        let fields = &mut Fields(bytes);
        match weight_type {
            WeightType::Q4_0 => block.read_q4(fields, false),
            WeightType::Q4_1 => block.read_q4(fields, true),
            WeightType::Q5_0 => block.read_q5(fields, false),
            WeightType::Q5_1 => block.read_q5(fields, true),
            WeightType::Q8_0 => block.read_q8(fields),
            WeightType::MXFP4 => {
                block.scale[0] = fields.take::<1>()[0];
                block.put_nibbles(0, &fields.take::<16>());
            }
            WeightType::Q2_K => block.read_q2_k(fields),
            WeightType::Q3_K => block.read_q3_k(fields),
            WeightType::Q4_K => block.read_q4_k(fields, false),
            WeightType::Q5_K => block.read_q4_k(fields, true),
            WeightType::Q6_K => block.read_q6_k(fields),
            WeightType::F32 | WeightType::F16 | WeightType::BF16 | WeightType::U8 => {}
        }
        block
    }

    /// The numbers that a block of that type stands for: the arithmetic of ggml's reference, in its order.
    pub(super) fn values(&self, weight_type: WeightType, out: &mut [f32]) {
        let (scale, min) = (f16::from_le_bytes(self.scale).to_f32(), f16::from_le_bytes(self.min).to_f32());
        for (at, (out, quantum)) in out.iter_mut().zip(&self.quanta).enumerate() {
            let quantum = f32::from(*quantum);
            let small = |nth: usize| f32::from(self.small_scales[nth]);
            let small_min = |nth: usize| f32::from(self.small_mins[nth]);
            *out = match weight_type {
                WeightType::Q4_0 => scale * (quantum - 8.0),
                WeightType::Q5_0 => scale * (quantum - 16.0),
                WeightType::Q8_0 => scale * (quantum - 128.0),
                WeightType::Q4_1 | WeightType::Q5_1 => scale * quantum + min,
                WeightType::MXFP4 => power(self.scale[0]) * (f32::from(MXFP4_NUMBERS[self.code(at)]) - 12.0),
                WeightType::Q2_K => scale * small(at / 16) * quantum - min * small_min(at / 16),
                WeightType::Q3_K => scale * (small(at / 16) - 32.0) * (quantum - 4.0),
                WeightType::Q4_K | WeightType::Q5_K => scale * small(at / 32) * quantum - min * small_min(at / 32),
                WeightType::Q6_K => scale * f32::from(self.small_scales[at / 16].cast_signed()) * (quantum - 32.0),
                WeightType::F32 | WeightType::F16 | WeightType::BF16 | WeightType::U8 => 0.0,
            };
        }
    }

    fn code(&self, at: usize) -> usize {
        usize::from(self.quanta[at] & 15)
    }

    /// Bytes whose low halves are the 16 numbers from `at` on, and whose high halves the next 16; or 32 and 32.
    fn put_nibbles(&mut self, at: usize, bytes: &[u8]) {
        for (nth, byte) in bytes.iter().enumerate() {
            self.quanta[at + nth] = byte & 15;
            self.quanta[at + bytes.len() + nth] = byte >> 4;
        }
    }

    fn read_scale(&mut self, fields: &mut Fields<'_>, has_min: bool) {
        self.scale = fields.take();
        if has_min {
            self.min = fields.take();
        }
    }

    fn read_q4(&mut self, fields: &mut Fields<'_>, has_min: bool) {
        self.read_scale(fields, has_min);
        self.put_nibbles(0, &fields.take::<16>());
    }

    fn read_q5(&mut self, fields: &mut Fields<'_>, has_min: bool) {
        self.read_scale(fields, has_min);
        let fifth = u32::from_le_bytes(fields.take());
        self.put_nibbles(0, &fields.take::<16>());
        for at in 0..32 {
            self.quanta[at] |= u8::from(fifth >> at & 1 == 1) << 4;
        }
    }

    fn read_q8(&mut self, fields: &mut Fields<'_>) {
        self.read_scale(fields, false);
        for (quantum, byte) in self.quanta.iter_mut().zip(fields.take::<32>()) {
            *quantum = byte ^ 0x80;
        }
    }

    /// 64 bytes of four numbers of two bits each: each 32 bytes have 128 numbers, the lowest bits the first 32 of them.
    fn put_twos(&mut self, bytes: &[u8; 64], at_bit: u32) {
        for at in 0..SUPER {
            let two = bytes[at / 128 * 32 + at % 32] >> (at % 128 / 32 * 2) & 3;
            self.quanta[at] |= two << at_bit;
        }
    }

    fn read_q2_k(&mut self, fields: &mut Fields<'_>) {
        for (nth, both) in fields.take::<16>().into_iter().enumerate() {
            (self.small_scales[nth], self.small_mins[nth]) = (both & 15, both >> 4);
        }
        self.put_twos(&fields.take(), 0);
        self.read_scale(fields, true);
    }

    fn read_q3_k(&mut self, fields: &mut Fields<'_>) {
        let third = fields.take::<32>();
        self.put_twos(&fields.take(), 0);
        for at in 0..SUPER {
            self.quanta[at] |= (third[at % 32] >> (at / 32) & 1) << 2;
        }
        let packed = fields.take::<12>();
        for nth in 0..16 {
            let low = packed[nth % 8] >> (nth / 8 * 4) & 15;
            self.small_scales[nth] = low | (packed[8 + nth % 4] >> (nth / 4 * 2) & 3) << 4;
        }
        self.read_scale(fields, false);
    }

    fn read_q4_k(&mut self, fields: &mut Fields<'_>, has_fifth: bool) {
        self.read_scale(fields, true);
        let packed = fields.take::<12>();
        for nth in 0..4 {
            let [scale, min, both] = [packed[nth], packed[nth + 4], packed[nth + 8]];
            (self.small_scales[nth], self.small_mins[nth]) = (scale & 63, min & 63);
            self.small_scales[nth + 4] = both & 15 | scale >> 6 << 4;
            self.small_mins[nth + 4] = both >> 4 | min >> 6 << 4;
        }
        let fifth = if has_fifth { fields.take::<32>() } else { [0; 32] };
        for (nth, bytes) in fields.take::<128>().as_chunks::<32>().0.iter().enumerate() {
            self.put_nibbles(nth * 64, bytes);
        }
        for at in 0..SUPER {
            self.quanta[at] |= (fifth[at % 32] >> (at / 32) & 1) << 4;
        }
    }

    fn read_q6_k(&mut self, fields: &mut Fields<'_>) {
        let low = fields.take::<128>();
        for at in 0..SUPER {
            // 64 bytes have 128 numbers: the low halves the first 64.
            self.quanta[at] = low[at / 128 * 64 + at % 64] >> (at % 128 / 64 * 4) & 15;
        }
        self.put_twos(&fields.take(), 4);
        self.small_scales = fields.take();
        self.read_scale(fields, false);
    }
}

/// Bytes not read yet. What is missing is zero; the length is checked where a matrix comes in.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk() else { return [0; N] };
        self.0 = rest;
        *field
    }
}
