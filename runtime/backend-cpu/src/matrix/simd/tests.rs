//! Every set of instructions against the portable one.

use proptest::prelude::*;

use super::*;

/// What a set of instructions makes of the same operands.
#[derive(Debug, Default, PartialEq)]
struct Found {
    dot: [f32; LANES],
    looked_up: [f32; LANES],
    powers: [f32; LANES],
    small: [f32; LANES],
    signed: [f32; LANES],
    brains: [f32; LANES],
}

struct Operands<'a> {
    bits: u32,
    quanta: &'a [[u8; 32]; QUADS],
    x: &'a [[i8; 4]; QUADS],
    bytes: &'a [u8; 16],
    out: &'a mut Found,
}

impl Kernel for Operands<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut quanta = [simd.bytes(&[0; 32]); QUADS];
        for (quanta, bytes) in quanta.iter_mut().zip(self.quanta) {
            *quanta = simd.bytes(bytes);
        }
        let (first, _) = self.bytes.split_first_chunk().unwrap();
        let pairs = std::array::from_fn(|nth| [first[nth], nth.to_le_bytes()[0]]);
        simd.store(simd.to_floats(simd.dot(self.bits, &quanta, self.x)), &mut self.out.dot);
        let looked_up = simd.lookup(self.bytes, simd.and(quanta[0], 15));
        simd.store(simd.to_floats(simd.dot(8, &[looked_up], &[[1, 2, 3, 4]])), &mut self.out.looked_up);
        simd.store(simd.powers(*first), &mut self.out.powers);
        simd.store(simd.small(*first), &mut self.out.small);
        simd.store(simd.small_signed(*first), &mut self.out.signed);
        simd.store(simd.brains(&pairs), &mut self.out.brains);
    }
}

fn found(isa: Isa, bits: u32, quanta: &[[u8; 32]; QUADS], x: &[[i8; 4]; QUADS], bytes: &[u8; 16]) -> Found {
    let mut out = Found::default();
    isa.run(Operands { bits, quanta, x, bytes, out: &mut out });
    out
}

#[test]
fn the_largest_sums_are_not_cut_off() {
    for bits in 1..=8 {
        for x in [127, -127] {
            let quanta = [[u8::MAX >> (8 - bits); 32]; QUADS];
            let dot = found(Isa::best(), bits, &quanta, &[[x; 4]; QUADS], &[0; 16]).dot;
            let expected = f32::from(u8::MAX >> (8 - bits)) * f32::from(x) * 32.0;
            assert_eq!(dot.map(f32::to_bits), [expected.to_bits(); LANES], "{bits} {x}");
        }
    }
}

struct Halves<'a>(&'a [[u8; 2]; LANES], &'a mut [f32; LANES]);

impl Kernel for Halves<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        simd.store(simd.halves(self.0), self.1);
    }
}

#[test]
fn every_half_is_widened_alike() {
    for bits in (0..=u16::MAX).step_by(LANES) {
        let halves = std::array::from_fn(|nth| (bits + u16::try_from(nth).unwrap()).to_le_bytes());
        let [mut best, mut portable] = [[0.0; LANES]; 2];
        Isa::best().run(Halves(&halves, &mut best));
        Isa::Portable.run(Halves(&halves, &mut portable));
        assert_eq!(best.map(f32::to_bits), portable.map(f32::to_bits));
    }
}

proptest! {
    #[test]
    fn all_find_the_same(
        bits in 1u32..=8,
        mut quanta in prop::array::uniform8(prop::array::uniform32(any::<u8>())),
        x in prop::array::uniform8(prop::array::uniform4(-127i8..=127)),
        bytes in prop::array::uniform16(any::<u8>()),
    ) {
        for byte in quanta.as_flattened_mut() {
            *byte >>= 8 - bits;
        }
        prop_assert_eq!(
            found(Isa::best(), bits, &quanta, &x, &bytes),
            found(Isa::Portable, bits, &quanta, &x, &bytes)
        );
    }
}
