//! The file of the audit log: appended to, rotated by size, found again after a restart.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use super::chain::{Chain, parts};

/// Longest line there can be, with room to spare.
const TAIL_BYTES: u64 = 64 << 10;

/// Where lines go.
#[derive(Debug)]
pub(crate) enum Sink {
    /// What collects the pod's output keeps them.
    Stdout,
    File(RotatedFile),
}

impl Sink {
    /// Writes lines that end in a newline.
    pub(crate) fn write(&mut self, lines: &str) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(lines.as_bytes())?;
                stdout.flush()
            }
            Self::File(file) => file.write(lines),
        }
    }

    /// To the disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::File(file) => file.file.sync_data(),
        }
    }
}

/// `PATH`, and older ones as `PATH.1`, `PATH.2`, …
#[derive(Debug)]
pub(crate) struct RotatedFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
    keep: usize,
}

impl RotatedFile {
    /// Opens or makes the file, and finds the end of its chain.
    pub(crate) fn open(path: &Path, max_bytes: u64, keep: usize) -> io::Result<(Self, Chain)> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let last = match last_hash(&mut file)? {
            Some(hash) => Some(hash),
            // Rotated just before the end.
            None => match File::open(numbered(path, 1)) {
                Ok(mut older) => last_hash(&mut older)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            },
        };
        let bytes = file.metadata()?.len();
        let chain = last.map(Chain::after).unwrap_or_default();
        Ok((Self { path: path.to_owned(), file, bytes, max_bytes, keep }, chain))
    }

    fn write(&mut self, lines: &str) -> io::Result<()> {
        if self.bytes > 0 && self.bytes + lines.len() as u64 > self.max_bytes {
            self.rotate()?;
        }
        self.file.write_all(lines.as_bytes())?;
        self.bytes += lines.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        for n in (1..self.keep.max(1)).rev() {
            match fs::rename(numbered(&self.path, n), numbered(&self.path, n + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, numbered(&self.path, 1))?;
        self.file = OpenOptions::new().create(true).read(true).append(true).open(&self.path)?;
        self.bytes = 0;
        Ok(())
    }
}

fn numbered(path: &Path, n: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

/// Of the last whole line; what a crash left after it is cut off, since nobody was told that it was kept.
fn last_hash(file: &mut File) -> io::Result<Option<String>> {
    let len = file.metadata()?.len();
    let from = len.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < tail.len() {
        tracing::warn!(bytes = tail.len() - whole, "the audit log ended in a torn line; it is cut off");
        file.set_len(from + whole as u64)?;
    }
    let text = String::from_utf8_lossy(&tail[..whole]);
    let hash = text.lines().next_back().and_then(parts).map(|(_, _, hash)| hash.to_owned());
    if hash.is_none() && whole > 0 {
        let message = "the last line of the audit log is not sealed; move the file away to begin a new chain";
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Record, verify_files};

    fn write(path: &Path, n: u64, max_bytes: u64) {
        let (mut file, mut chain) = RotatedFile::open(path, max_bytes, 3).expect("it should open");
        for n in 0..n {
            let line = chain.seal(&Record { bytes: n, ..Record::default() }).expect("it should be JSON");
            file.write(&line).expect("it should be written");
        }
    }

    #[test]
    fn the_chain_goes_on_over_rotation_and_restart() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("audit.log");
        for _ in 0..4 {
            write(&path, 5, 1500);
        }
        let mut files: Vec<_> = (1..=3).rev().map(|n| numbered(&path, n)).filter(|path| path.exists()).collect();
        assert_eq!(files.len(), 3, "it should have rotated");
        assert!(!numbered(&path, 4).exists());
        files.push(path.clone());
        let verified = verify_files(&files).expect("one chain");
        assert!(verified.lines > 6, "{verified:?}");
        // One file missing in the middle shows.
        assert!(verify_files(&[&files[0], &files[2]]).is_err());
    }

    #[test]
    fn begins_after_the_older_file_when_the_new_one_is_empty() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("audit.log");
        write(&path, 2, 1 << 20);
        fs::rename(&path, numbered(&path, 1)).expect("it should be renamed");
        write(&path, 2, 1 << 20);
        assert_eq!(verify_files(&[numbered(&path, 1), path]).expect("one chain").lines, 4);
    }

    #[test]
    fn a_torn_line_is_cut_off_and_a_foreign_one_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("audit.log");
        write(&path, 2, 1 << 20);
        let mut file = OpenOptions::new().append(true).open(&path).expect("it should open");
        file.write_all(b"{\"time\":\"20").expect("it should be written");
        write(&path, 1, 1 << 20);
        assert_eq!(verify_files(&[&path]).expect("one chain").lines, 3);
        file.write_all(b"something else\n").expect("it should be written");
        assert!(RotatedFile::open(&path, 1 << 20, 3).is_err());
    }
}
