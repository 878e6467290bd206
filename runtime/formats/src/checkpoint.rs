//! Weights in the files of training frameworks: what they are, and their bytes one tensor at a time.
//!
//! A server never opens these formats; `fetch` reads them once and writes safetensors ([`convert`]).

use std::{fmt, path::Path};

use crate::{Error, error::excerpt, file::SourceFile};

mod bands;
mod boxes;
pub mod convert;
mod find;
mod read;

#[cfg(test)]
mod tests;

pub use find::Found;
pub(crate) use find::{read_index, shard_paths};

/// Axes of a tensor; PyTorch allows 64 and no model has more than five.
pub(crate) const DIMENSIONS: usize = 8;
/// Tensors of one checkpoint.
pub(crate) const TENSORS: usize = 1 << 16;
/// Elements that a view may have beyond those that its storage holds (PyTorch's `expand`).
const EXPANDED: u64 = 1 << 20;

/// How the numbers of a tensor are stored, by safetensors' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is its own name")]
pub enum Element {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

impl Element {
    /// Bytes of one number.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// How the number is written: no model computes in f64, so it becomes f32.
    #[must_use]
    pub const fn written(self) -> Self {
        match self {
            Self::F64 => Self::F32,
            same => same,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("BOOL"),
            other => fmt::Debug::fmt(other, f),
        }
    }
}

/// Bytes of one file that hold numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Storage {
    /// In one stretch.
    Span { offset: u64, n_bytes: u64 },
    /// In boxes, as HDF5 cuts a dataset; the whole is row-major.
    Chunks { shape: Vec<usize>, chunk_shape: Vec<usize>, chunks: Vec<Chunk> },
}

/// One box of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Chunk {
    /// Index of its first element along each axis.
    pub(crate) at: Vec<u64>,
    /// In the file.
    pub(crate) offset: u64,
}

/// A tensor: a view of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// As the converted file will name it.
    pub name: String,
    /// How the file stores its numbers.
    pub element: Element,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    pub(crate) file: usize,
    pub(crate) storage: Storage,
    /// First element, counted from the start of the storage.
    pub(crate) start: u64,
    /// Elements from one index to the next along each axis.
    pub(crate) strides: Vec<u64>,
    /// Masked CRC-32C of the storage, where the file has one.
    pub(crate) checksum: Option<u32>,
}

/// A checkpoint in one or more files.
#[derive(Debug)]
pub struct Checkpoint {
    pub(crate) files: Vec<SourceFile>,
    pub(crate) tensors: Vec<Tensor>,
}

impl Checkpoint {
    /// In the order of the files.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Bytes of all its files.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(SourceFile::length).sum()
    }
}

impl Tensor {
    /// Numbers in the tensor.
    pub fn n_elements(&self) -> u64 {
        product(&self.shape).unwrap_or(u64::MAX)
    }

    /// Bytes that it takes once it is written.
    pub fn written_bytes(&self) -> u64 {
        self.n_elements().saturating_mul(self.element.written().bytes())
    }

    /// The same numbers with the axes in reverse order.
    pub(crate) fn transposed(mut self) -> Self {
        self.shape.reverse();
        self.strides.reverse();
        self
    }

    /// Checks that every element lies within the storage, and that the storage lies within the file.
    pub(crate) fn check(&self, file: &SourceFile) -> Result<(), Error> {
        let (offset, n_stored) = match &self.storage {
            Storage::Span { offset, n_bytes } => {
                if offset.checked_add(*n_bytes).is_none_or(|end| end > file.length()) {
                    let found = format!("a file of {} bytes", file.length());
                    let expected = format!("{n_bytes} bytes of {} here (the file is cut off)", excerpt(&self.name));
                    return Err(Error::malformed(file.path(), *offset, found, expected));
                }
                (*offset, n_bytes / self.element.bytes())
            }
            Storage::Chunks { shape, .. } => {
                let n = product(shape).unwrap_or(u64::MAX);
                if n.checked_mul(self.element.bytes()).is_none_or(|n_bytes| n_bytes > file.length()) {
                    let found = format!("shape {shape:?} of {}", excerpt(&self.name));
                    return Err(Error::malformed(file.path(), 0, found, "no more numbers than the file has room for"));
                }
                (0, n)
            }
        };
        let wrong = |expected: String| {
            let found = format!("shape {:?}, strides {:?} of {}", self.shape, self.strides, excerpt(&self.name));
            Err(Error::malformed(file.path(), offset, found, expected))
        };
        if self.shape.len() > DIMENSIONS || self.shape.len() != self.strides.len() {
            return wrong(format!("at most {DIMENSIONS} axes, each with its stride"));
        }
        let n = product(&self.shape);
        if n.is_none_or(|n| n > n_stored.saturating_add(EXPANDED)) {
            return wrong(format!("about as many elements as the storage has ({n_stored})"));
        }
        let is_empty = n == Some(0);
        if !is_empty && self.last_element().is_none_or(|last| last >= n_stored) {
            return wrong(format!("elements within a storage of {n_stored}"));
        }
        Ok(())
    }

    /// Place of the last element in the storage; `None` when the sum overflows.
    pub(crate) fn last_element(&self) -> Option<u64> {
        self.shape.iter().zip(&self.strides).try_fold(self.start, |last, (dimension, stride)| {
            last.checked_add((*dimension as u64).saturating_sub(1).checked_mul(*stride)?)
        })
    }
}

/// Number of elements; `None` when it overflows.
pub(crate) fn product(shape: &[usize]) -> Option<u64> {
    shape.iter().try_fold(1u64, |product, dimension| product.checked_mul(*dimension as u64))
}

/// Strides of a row-major tensor; `None` when they overflow.
pub(crate) fn row_major(shape: &[usize]) -> Option<Vec<u64>> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1u64;
    for dimension in shape.iter().rev() {
        strides.push(stride);
        stride = stride.checked_mul((*dimension as u64).max(1))?;
    }
    strides.reverse();
    Some(strides)
}

/// Refuses the same name twice, no tensors at all, and too many.
pub(crate) fn check_names(tensors: &[Tensor], file: &Path) -> Result<(), Error> {
    if tensors.is_empty() {
        return Err(Error::malformed(file, 0, "no tensors", "the weights of a model (a dictionary of tensors)"));
    }
    if tensors.len() > TENSORS {
        return Err(Error::malformed(file, 0, format!("{} tensors", tensors.len()), format!("at most {TENSORS}")));
    }
    let mut names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
        Some(twice) => {
            let found = format!("tensor {} twice", excerpt(twice.first().copied().unwrap_or_default()));
            Err(Error::malformed(file, 0, found, "each tensor once"))
        }
        None => Ok(()),
    }
}
