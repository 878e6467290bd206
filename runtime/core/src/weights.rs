//! Weights as files hold them.

use std::{borrow::Cow, fmt};

/// How a tensor's numbers are stored. The names are GGML's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(non_camel_case_types, reason = "the names people know from the files")]
#[expect(missing_docs, reason = "each is its own name")]
pub enum WeightType {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
}

impl WeightType {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
    ];

    /// Elements that are stored together.
    pub const fn block_elements(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q2_K | Self::Q3_K | Self::Q4_K | Self::Q5_K | Self::Q6_K => 256,
        }
    }

    /// Bytes of such a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q2_K => 84,
            Self::Q3_K => 110,
            Self::Q4_K => 144,
            Self::Q5_K => 176,
            Self::Q6_K => 210,
        }
    }

    /// Bytes of a tensor; `None` when a row is not whole blocks or the product overflows.
    pub fn tensor_bytes(self, shape: &[usize]) -> Option<u64> {
        let row = shape.last().copied().unwrap_or(1);
        if !row.is_multiple_of(self.block_elements()) {
            return None;
        }
        let elements = shape.iter().try_fold(1u64, |product, dim| product.checked_mul(u64::try_from(*dim).ok()?))?;
        (elements / self.block_elements() as u64).checked_mul(self.block_bytes() as u64)
    }
}

impl fmt::Display for WeightType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A tensor's bytes, little-endian, rows one after the other.
#[derive(Clone, Debug)]
pub struct RawTensor<'a> {
    /// As the file names it.
    pub name: String,
    /// How the bytes are to be read.
    pub weight_type: WeightType,
    /// Outermost dimension first; the last one is contiguous.
    pub shape: Vec<usize>,
    /// Exactly [`WeightType::tensor_bytes`] long.
    pub data: Cow<'a, [u8]>,
}

/// Where a model family finds its weights.
pub trait WeightSource: Sync {
    /// Type and shape of a tensor, if the files have it.
    fn describe(&self, name: &str) -> Option<(WeightType, Vec<usize>)>;

    /// Its bytes.
    fn read(&self, name: &str) -> Result<RawTensor<'_>, SourceError>;
}

/// A tensor could not be had; the text names file, place and cause.
#[derive(Debug, thiserror::Error)]
#[error("failed to read tensor {name}: {message}")]
pub struct SourceError {
    /// The tensor.
    pub name: String,
    /// What happened.
    pub message: String,
}
