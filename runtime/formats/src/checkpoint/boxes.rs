//! A dataset that lies in boxes, put together in memory.

use super::{Chunk, Storage, Tensor, product, row_major};
use crate::{Error, file::SourceFile};

/// All numbers of the storage, row-major; `None`: it does not lie in boxes.
pub(super) fn whole(tensor: &Tensor, file: &SourceFile) -> Result<Option<Vec<u8>>, Error> {
    let Storage::Chunks { shape, chunk_shape, chunks } = &tensor.storage else { return Ok(None) };
    let width = tensor.element.bytes();
    // A file cannot have more numbers than bytes: `Tensor::check`.
    let n_bytes = product(shape).and_then(|n| n.checked_mul(width)).filter(|n_bytes| *n_bytes <= file.length());
    let Some(n_bytes) = n_bytes.and_then(|n_bytes| usize::try_from(n_bytes).ok()) else { return Ok(None) };
    let mut whole = vec![0; n_bytes];
    for chunk in chunks {
        place(chunk, shape, chunk_shape, width, file, &mut whole)?;
    }
    Ok(Some(whole))
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
