//! Weights as files hold them.

use std::{borrow::Cow, fmt};

use half::{bf16, f16};

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
    /// Blocks of 32 numbers of 4 bits with a power of two (OCP Microscaling Formats 1.0), as GGML lays them out.
    MXFP4,
    /// Bytes: parts of blocks that a file keeps apart. No numbers.
    U8,
}

impl WeightType {
    /// All that are numbers.
    pub const ALL: [Self; 14] = [
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
        Self::MXFP4,
    ];

    /// Elements that are stored together.
    pub const fn block_elements(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 | Self::U8 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 | Self::MXFP4 => 32,
            Self::Q2_K | Self::Q3_K | Self::Q4_K | Self::Q5_K | Self::Q6_K => 256,
        }
    }

    /// Bytes of such a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::U8 => 1,
            Self::MXFP4 => 17,
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

impl RawTensor<'_> {
    /// Numbers, for instance some that were computed while loading.
    pub fn from_f32(name: &str, shape: &[usize], values: &[f32]) -> RawTensor<'static> {
        RawTensor {
            name: name.to_owned(),
            weight_type: WeightType::F32,
            shape: shape.to_owned(),
            data: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }

    /// Some rows (entries of the outermost dimension) in the order asked for; quantised ones as they are.
    pub fn rows(&self, rows: impl IntoIterator<Item = usize>) -> Result<RawTensor<'static>, SourceError> {
        let (n_rows, row_bytes) = self.row_bytes()?;
        let (mut data, mut n) = (Vec::new(), 0);
        for row in rows {
            let Some(bytes) = self.data.get(row * row_bytes..(row + 1) * row_bytes) else {
                return Err(self.unfit(format!("found {n_rows} rows, expected one with number {row}")));
            };
            data.extend_from_slice(bytes);
            n += 1;
        }
        let mut shape = self.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = n;
        }
        Ok(RawTensor { name: self.name.clone(), weight_type: self.weight_type, shape, data: data.into() })
    }

    /// One entry of the outermost dimension, which the result lacks: an expert's matrix among all experts'.
    pub fn entry(&self, nth: usize) -> Result<RawTensor<'_>, SourceError> {
        let (n_rows, row_bytes) = self.row_bytes()?;
        let Some(data) = self.data.get(nth * row_bytes..(nth + 1) * row_bytes) else {
            return Err(self.unfit(format!("found {n_rows} entries, expected one with number {nth}")));
        };
        Ok(RawTensor {
            name: self.name.clone(),
            weight_type: self.weight_type,
            shape: self.shape.iter().skip(1).copied().collect(),
            data: data.into(),
        })
    }

    /// A matrix with rows and columns exchanged; not of quantised ones, whose blocks lie along the rows.
    pub fn transposed(&self) -> Result<RawTensor<'static>, SourceError> {
        let (&[n_rows, n_columns], 1) = (self.shape.as_slice(), self.weight_type.block_elements()) else {
            let found = format!("found {} of shape {:?}", self.weight_type, self.shape);
            return Err(self.unfit(format!("{found}, expected an unquantised matrix to transpose")));
        };
        let size = self.weight_type.block_bytes();
        let mut data = Vec::with_capacity(self.data.len());
        for column in 0..n_columns {
            for row in 0..n_rows {
                let at = (row * n_columns + column) * size;
                data.extend_from_slice(self.data.get(at..at + size).unwrap_or_default());
            }
        }
        let shape = vec![n_columns, n_rows];
        Ok(RawTensor { name: self.name.clone(), weight_type: self.weight_type, shape, data: data.into() })
    }

    /// The numbers of an unquantised tensor.
    pub fn to_f32(&self) -> Result<Vec<f32>, SourceError> {
        let halves = || self.data.as_chunks::<2>().0.iter();
        match self.weight_type {
            WeightType::F32 => {
                Ok(self.data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            }
            WeightType::F16 => Ok(halves().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()),
            WeightType::BF16 => Ok(halves().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect()),
            quantised => Err(self.unfit(format!("found {quantised}, expected F32, F16 or BF16"))),
        }
    }

    fn row_bytes(&self) -> Result<(usize, usize), SourceError> {
        match self.shape.first() {
            Some(&n_rows) if n_rows > 0 && self.data.len().is_multiple_of(n_rows) => {
                Ok((n_rows, self.data.len() / n_rows))
            }
            _ => Err(self.unfit(format!("found {} bytes of shape {:?}, expected rows", self.data.len(), self.shape))),
        }
    }

    fn unfit(&self, message: String) -> SourceError {
        SourceError { name: self.name.clone(), message }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(shape: &[usize]) -> RawTensor<'static> {
        let n: usize = shape.iter().product();
        let values: Vec<f32> = (0..n).map(|n| f32::from(u8::try_from(n).unwrap())).collect();
        RawTensor::from_f32("w", shape, &values)
    }

    #[test]
    fn rows_entries_and_transposes_are_parts_of_the_whole() {
        let rows = counted(&[3, 2]).rows([2, 0]).unwrap();
        assert_eq!((rows.shape.as_slice(), rows.to_f32().unwrap()), ([2, 2].as_slice(), vec![4.0, 5.0, 0.0, 1.0]));
        let all = counted(&[2, 3, 2]);
        let entry = all.entry(1).unwrap();
        assert_eq!((entry.shape.as_slice(), entry.to_f32().unwrap()[0]), ([3, 2].as_slice(), 6.0));
        let transposed = counted(&[2, 3]).transposed().unwrap();
        assert_eq!(transposed.to_f32().unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(transposed.transposed().unwrap().data, counted(&[2, 3]).data);
    }

    #[test]
    fn rows_of_blocks_stay_whole() {
        let data: Vec<u8> = (0..72).collect();
        let raw = RawTensor { name: "w".into(), weight_type: WeightType::Q4_0, shape: vec![2, 64], data: data.into() };
        let row = raw.rows([1]).unwrap();
        assert_eq!((row.shape.as_slice(), &*row.data), ([1, 64].as_slice(), &(36..72).collect::<Vec<u8>>()[..]));
        assert!(raw.transposed().unwrap_err().to_string().contains("Q4_0"));
        assert!(raw.to_f32().is_err());
    }

    #[test]
    fn half_precision_is_widened() {
        for (weight_type, data) in [
            (WeightType::F16, f16::from_f32(-1.5).to_le_bytes()),
            (WeightType::BF16, bf16::from_f32(-1.5).to_le_bytes()),
        ] {
            let raw = RawTensor { name: "w".into(), weight_type, shape: vec![1], data: data.to_vec().into() };
            assert_eq!(raw.to_f32().unwrap(), [-1.5]);
        }
    }

    #[test]
    fn parts_that_are_not_there_are_errors() {
        assert!(counted(&[3, 2]).rows([3]).is_err());
        assert!(counted(&[3, 2]).entry(3).is_err());
        assert!(counted(&[3]).transposed().is_err());
        assert!(RawTensor { shape: vec![], ..counted(&[1]) }.rows([0]).is_err());
    }
}
