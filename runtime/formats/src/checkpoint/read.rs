//! The numbers of one tensor, in pieces, row-major and little-endian.

use std::io::{self, Write};

use super::{
    Checkpoint, Element, Storage, Tensor,
    bands::{self, BAND, Elements},
    boxes, row_major,
};
use crate::{Error, error::excerpt, file::SourceFile, tensorflow::Crc32c};

/// Bytes that are read at once where numbers lie as they are wanted. A multiple of every element's size.
const PIECE: u64 = 1 << 20;

impl Checkpoint {
    /// Writes the numbers of a tensor as safetensors has them; `write_failed` turns an error of `out` into one of ours.
    /// Needs memory for a piece or a band of it; for all of it only where an HDF5 file has it in boxes.
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
        let in_memory = boxes::whole(tensor, file)?;
        let elements = match (&in_memory, &tensor.storage) {
            (Some(bytes), _) => Elements::Memory { file, bytes },
            (None, Storage::Span { offset, n_bytes }) => {
                if tensor.checksum.is_some() {
                    verify(tensor, checksum(file, *offset, *n_bytes)?, file)?;
                }
                Elements::File { file, offset: *offset }
            }
            (None, Storage::Chunks { .. }) => return Ok(()),
        };
        bands::each(tensor, &elements, BAND, |band| {
            out.write_all(&written(band, tensor.element)).map_err(&write_failed)
        })
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

fn checksum(file: &SourceFile, mut at: u64, mut left: u64) -> Result<Crc32c, Error> {
    let mut crc = Crc32c::new();
    while left > 0 {
        let n = left.min(PIECE);
        crc.update(&file.bytes_at(at, n)?);
        at = at.saturating_add(n);
        left -= n;
    }
    Ok(crc)
}

fn written(bytes: Vec<u8>, element: Element) -> Vec<u8> {
    if element != Element::F64 {
        return bytes;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the models compute in f32")]
    let narrow = |eight: &[u8; 8]| (f64::from_le_bytes(*eight) as f32).to_le_bytes();
    bytes.as_chunks::<8>().0.iter().flat_map(narrow).collect()
}
