//! PyTorch's checkpoints (`.bin`, `.pt`, `.pth`): a pickle that describes tensors, and their storages beside it.
//!
//! The pickle is read by a machine that knows the few names with which PyTorch describes tensors, and refuses every
//! other: nothing is imported and nothing is called ([`pickle`]). Two containers exist: a zip archive (since 1.6)
//! and a stream of pickles followed by the storages.

use std::path::Path;

use crate::{
    Error,
    checkpoint::{self, Tensor},
    file::SourceFile,
};

mod legacy;
mod pickle;
mod state;
mod zip;

#[cfg(test)]
mod tests;

/// Elements of a storage and where its bytes are.
#[derive(Clone, Copy, Debug)]
struct Located {
    offset: u64,
    n_bytes: u64,
}

/// The tensors of one file; `nth` is its place among the files of the checkpoint.
pub(crate) fn read(file: &SourceFile, nth: usize) -> Result<Vec<Tensor>, Error> {
    let start = file.bytes_at(0, file.length().min(4))?;
    let tensors = if start == zip::MAGIC { zip_tensors(file, nth)? } else { legacy::tensors(file, nth)? };
    checkpoint::check_names(&tensors, file.path())?;
    tensors.iter().try_for_each(|tensor| tensor.check(file))?;
    Ok(tensors)
}

/// ```text
/// NAME/data.pkl   NAME/byteorder   NAME/data/0   NAME/data/1   …
/// ```
fn zip_tensors(file: &SourceFile, nth: usize) -> Result<Vec<Tensor>, Error> {
    let archive = zip::Archive::read(file)?;
    let Some(root) = archive.names().find_map(|name| name.strip_suffix("/data.pkl")) else {
        return Err(Error::malformed(file.path(), 0, "a zip archive without data.pkl", "an archive of PyTorch"));
    };
    if let Some(order) = archive.locate(&format!("{root}/byteorder"))? {
        let text = file.bytes_at(order.offset, order.n_bytes.min(16))?;
        if text != b"little" {
            return Err(big_endian(file.path()));
        }
    }
    let Some(pickle) = archive.locate(&format!("{root}/data.pkl"))? else { return Ok(Vec::new()) };
    let mut input = pickle::Input::new(file, pickle.offset, pickle.n_bytes);
    let loaded = pickle::load(&mut input)?;
    state::tensors(&loaded, file.path(), nth, |key| archive.locate(&format!("{root}/data/{key}")))
}

fn big_endian(file: &Path) -> Error {
    Error::unsupported(file, "big-endian numbers", "little-endian checkpoints")
}

/// The pickle alone, as if every storage were there.
#[cfg(test)]
pub(crate) fn try_pickle(file: &SourceFile) {
    let mut input = pickle::Input::new(file, 0, file.length());
    if let Ok(loaded) = pickle::load(&mut input) {
        drop(state::tensors(&loaded, file.path(), 0, |_| Ok(Some(Located { offset: 0, n_bytes: u64::MAX }))));
    }
}
