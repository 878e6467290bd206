//! How the files of a model are opened: as they lie, or through what proves or decrypts them.

use std::{fmt::Debug, fs::File, io, os::unix::fs::FileExt, path::Path};

/// A file that is read at given places.
pub trait ReadAt: Debug + Send + Sync {
    /// Bytes.
    fn length(&self) -> u64;

    /// Reads from `offset` on; fewer bytes than asked for at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills the buffer, or fails.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Opens the files of a model. What it gives is what the readers parse: nothing opens a file past it.
pub trait Access: Debug + Send + Sync {
    /// A file by its path.
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadAt>>;
}

/// Files as they lie.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Access for Plain {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        Ok(Box::new(PlainFile { file, length: metadata.len() }))
    }
}

/// An open file and its length at that time.
#[derive(Debug)]
struct PlainFile {
    file: File,
    length: u64,
}

impl ReadAt for PlainFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&self.file, buffer, offset)
    }
}
