//! The checksum of TensorFlow's files: CRC-32C, kept in a masked form.

/// The polynomial 0x1edc6f41, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;
const MASK: u32 = 0xa282_ead8;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut nth = 0;
    while nth < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let mut value = nth as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[nth] = value;
        nth += 1;
    }
    table
};

/// A checksum over pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc32c(u32);

impl Crc32c {
    pub(crate) const fn new() -> Self {
        Self(u32::MAX)
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |value, byte| {
            let at = usize::from(value.to_le_bytes()[0] ^ byte);
            (value >> 8) ^ TABLE.get(at).copied().unwrap_or_default()
        });
    }

    /// As the files hold it: a checksum of data with checksums in it would be weak.
    pub(crate) const fn masked(self) -> u32 {
        (!self.0).rotate_right(15).wrapping_add(MASK)
    }

    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut crc = Self::new();
        crc.update(bytes);
        crc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_are_those_of_the_standard() {
        // RFC 3720, B.4.
        for (bytes, crc) in
            [(vec![0; 32], 0x8a91_36aa_u32), (vec![0xff; 32], 0x62a8_ab43), ((0..32).collect(), 0x46dd_794e)]
        {
            assert_eq!(!Crc32c::of(&bytes).0, crc);
        }
        assert_eq!(Crc32c::of(b"foo").masked().wrapping_sub(MASK).rotate_left(15), !Crc32c::of(b"foo").0);
    }
}
