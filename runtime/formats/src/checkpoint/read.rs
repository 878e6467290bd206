//! The numbers of one tensor, in pieces, row-major and little-endian.

use std::io::{self, Write};

use super::{Checkpoint, Chunk, Element, Storage, Tensor, product, row_major};
use crate::{Error, error::excerpt, file::SourceFile, tensorflow::Crc32c};

/// Bytes that are read at once where numbers lie as they are wanted. A multiple of every element's size.
const PIECE: u64 = 1 << 20;

impl Checkpoint {
    /// Writes the numbers of a tensor as safetensors has them; `write_failed` turns an error of `out` into one of ours.
    /// Needs memory for the tensor only when its elements do not lie in order.
    pub(crate) fn write_tensor<E: From<Error>>(
        &self,
        tensor: &Tensor,
        out: &mut impl Write,
        write_failed: impl Fn(io::Error) -> E,
    ) -> Result<(), E> {
        let Some(file) = self.files.get(tensor.file) else { return Ok(()) };
        if tensor.n_elements() == 0 {
            return Ok(());
        }
        if let (Storage::Span { offset, .. }, true) = (&tensor.storage, is_in_order(tensor)) {
            let mut at = offset.saturating_add(tensor.start.saturating_mul(tensor.element.bytes()));
            let mut left = tensor.n_elements().saturating_mul(tensor.element.bytes());
            let mut crc = Crc32c::new();
            while left > 0 {
                let n = left.min(PIECE);
                let piece = file.bytes_at(at, n)?;
                if tensor.checksum.is_some() {
                    crc.update(&piece);
                }
                out.write_all(&written(piece, tensor.element)).map_err(&write_failed)?;
                at = at.saturating_add(n);
                left -= n;
            }
            return Ok(verify(tensor, crc, file)?);
        }
        let stretch = stretch(tensor, file)?;
        let mut crc = Crc32c::new();
        if tensor.checksum.is_some() {
            crc.update(&stretch);
        }
        verify(tensor, crc, file)?;
        let bytes = gather(tensor, &stretch, file)?;
        out.write_all(&written(bytes, tensor.element)).map_err(write_failed)
    }

    /// All numbers of a tensor.
    pub fn read(&self, tensor: &Tensor) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.write_tensor(tensor, &mut bytes, |source| {
            let file = self.files.get(tensor.file).map(|file| file.path().to_owned()).unwrap_or_default();
            Error::Read { file, offset: 0, source }
        })?;
        Ok(bytes)
    }
}

/// Files with checksums have whole storages as tensors, so all their bytes went by.
fn verify(tensor: &Tensor, crc: Crc32c, file: &SourceFile) -> Result<(), Error> {
    let (Some(expected), Storage::Span { offset, .. }) = (tensor.checksum, &tensor.storage) else { return Ok(()) };
    let found = crc.masked();
    if found == expected {
        return Ok(());
    }
    let found = format!("checksum {found:08x} of {}", excerpt(&tensor.name));
    Err(Error::malformed(file.path(), *offset, found, format!("{expected:08x} (the numbers are damaged)")))
}

fn is_in_order(tensor: &Tensor) -> bool {
    let Some(wanted) = row_major(&tensor.shape) else { return false };
    // The stride of an axis of one element does not matter.
    let axes = tensor.shape.iter().zip(tensor.strides.iter().zip(&wanted));
    axes.into_iter().all(|(dimension, (stride, wanted))| *dimension == 1 || stride == wanted)
}

/// The part of the storage that the view touches, from its first element.
fn stretch(tensor: &Tensor, file: &SourceFile) -> Result<Vec<u8>, Error> {
    let width = tensor.element.bytes();
    match &tensor.storage {
        Storage::Span { offset, .. } => {
            let n = tensor.last_element().and_then(|last| last.checked_sub(tensor.start)?.checked_add(1));
            let n_bytes = n.and_then(|n| n.checked_mul(width)).unwrap_or(u64::MAX);
            file.bytes_at(offset.saturating_add(tensor.start.saturating_mul(width)), n_bytes)
        }
        Storage::Chunks { shape, chunk_shape, chunks } => {
            let n_bytes = product(shape).and_then(|n| n.checked_mul(width)).and_then(|n| usize::try_from(n).ok());
            let Some(n_bytes) = n_bytes else { return Err(beyond(tensor, file)) };
            let mut whole = vec![0; n_bytes];
            for chunk in chunks {
                place(chunk, shape, chunk_shape, width, file, &mut whole)?;
            }
            Ok(whole)
        }
    }
}

/// Copies a box to its place; what hangs over the edge of the dataset is padding.
fn place(
    chunk: &Chunk,
    shape: &[usize],
    chunk_shape: &[usize],
    width: u64,
    file: &SourceFile,
    whole: &mut [u8],
) -> Result<(), Error> {
    let malformed = || {
        let found = format!("a chunk at {:?}", chunk.at);
        Error::malformed(file.path(), chunk.offset, found, format!("one within {shape:?}"))
    };
    let n_bytes = product(chunk_shape).and_then(|n| n.checked_mul(width)).ok_or_else(malformed)?;
    let bytes = file.bytes_at(chunk.offset, n_bytes)?;
    let strides = row_major(shape).ok_or_else(malformed)?;
    let row = chunk_shape.last().copied().unwrap_or(1).max(1);
    let row_bytes = usize::try_from(width).unwrap_or(1).saturating_mul(row);
    let (outer, first_column) = (shape.len().saturating_sub(1), chunk.at.last().copied().unwrap_or(0));
    for (nth, values) in bytes.chunks(row_bytes).enumerate() {
        let (mut rest, mut at, mut is_inside) = (nth as u64, first_column, true);
        for axis in (0..outer).rev() {
            let size = chunk_shape.get(axis).copied().unwrap_or(1).max(1) as u64;
            let index = chunk.at.get(axis).copied().unwrap_or(0).saturating_add(rest % size);
            rest /= size;
            is_inside &= shape.get(axis).is_some_and(|dimension| index < *dimension as u64);
            at = at.saturating_add(index.saturating_mul(strides.get(axis).copied().unwrap_or(0)));
        }
        let columns = shape.last().map_or(1, |columns| *columns as u64);
        let n = columns.saturating_sub(first_column).min(row as u64).saturating_mul(width);
        let (Some(n), Some(begin)) = (usize::try_from(n).ok(), at.checked_mul(width)) else { return Err(malformed()) };
        let begin = usize::try_from(begin).unwrap_or(usize::MAX);
        if !is_inside || n == 0 {
            continue;
        }
        let (Some(to), Some(from)) = (whole.get_mut(begin..begin.saturating_add(n)), values.get(..n)) else {
            return Err(malformed());
        };
        to.copy_from_slice(from);
    }
    Ok(())
}

/// The view's elements in order.
fn gather(tensor: &Tensor, stretch: &[u8], file: &SourceFile) -> Result<Vec<u8>, Error> {
    let failed = || beyond(tensor, file);
    let width = usize::try_from(tensor.element.bytes()).map_err(|_| failed())?;
    let n = usize::try_from(tensor.n_elements()).map_err(|_| failed())?;
    let mut out = Vec::with_capacity(n.checked_mul(width).ok_or_else(failed)?);
    let mut index = vec![0usize; tensor.shape.len()];
    let mut at = 0u64;
    for _ in 0..n {
        let begin = usize::try_from(at).ok().and_then(|at| at.checked_mul(width)).ok_or_else(failed)?;
        out.extend(stretch.get(begin..begin.saturating_add(width)).ok_or_else(failed)?);
        // One further along the last axis that is not at its end; those behind it begin again.
        let axes = index.iter_mut().zip(tensor.shape.iter().zip(&tensor.strides)).rev();
        for (index, (dimension, stride)) in axes {
            *index += 1;
            if *index < *dimension {
                at = at.saturating_add(*stride);
                break;
            }
            *index = 0;
            at = at.saturating_sub(stride.saturating_mul((*dimension as u64).saturating_sub(1)));
        }
    }
    Ok(out)
}

fn beyond(tensor: &Tensor, file: &SourceFile) -> Error {
    let found = format!("shape {:?}, strides {:?} of {}", tensor.shape, tensor.strides, excerpt(&tensor.name));
    Error::malformed(file.path(), 0, found, "elements within the storage")
}

fn written(bytes: Vec<u8>, element: Element) -> Vec<u8> {
    if element != Element::F64 {
        return bytes;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the models compute in f32")]
    let narrow = |eight: &[u8; 8]| (f64::from_le_bytes(*eight) as f32).to_le_bytes();
    bytes.as_chunks::<8>().0.iter().flat_map(narrow).collect()
}
