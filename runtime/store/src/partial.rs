//! Unfinished work on the volume: the files so far, and a note of which bytes are there.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use alcazar_formats::Access;
use alcazar_signing::SIGNATURE_FILE;
use serde::{Deserialize, Serialize};

use crate::{
    encryption::{FileCipher, Keys, Vault, plain_length, sealed_length},
    error::{FetchError, OnVolume as _},
    path::SafePath,
    protection::access,
    ranges::Ranges,
    volume,
};

const PREFIX: &str = ".partial-";
const HEADER: &str = "header.age";
/// How much of the note a killed process may lose.
const NOTE_EVERY: Duration = Duration::from_millis(250);

/// What is known of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileState {
    pub etag: Option<String>,
    pub size: Option<u64>,
    pub done: Ranges,
}

/// `.partial-<key>/`: `tree/` becomes the sealed directory, `state.json` is the note.
///
/// The note is not synced with the data: after a power cut it may claim bytes that are not there. Every file is
/// hashed when it is whole, and a file with a wrong digest that was resumed is brought again from its start.
#[derive(Debug)]
pub(crate) struct Partial {
    dir: PathBuf,
    vault: Option<Arc<Vault>>,
    note: Mutex<Note>,
}

#[derive(Debug)]
struct Note {
    files: BTreeMap<String, FileState>,
    written: Instant,
}

impl Partial {
    /// Opens or makes the work of `key` below `into`, encrypted when there are keys. A note that cannot be true is
    /// started anew, and so is work that is encrypted otherwise.
    pub(crate) fn open(into: &Path, key: &str, keys: Option<&Keys>) -> Result<Self, FetchError> {
        let dir = into.join(format!("{PREFIX}{key}"));
        let (tree, header) = (dir.join("tree"), dir.join(HEADER));
        let mut vault = keys.filter(|_| header.exists()).map(|keys| Vault::open(&header, keys, true)).transpose();
        if vault.is_err() || header.exists() != keys.is_some() {
            volume::remove_tree(&dir)?;
            vault = Ok(None);
        }
        fs::create_dir_all(&tree).on_volume("create", &tree)?;
        let vault = match (vault?, keys) {
            (None, Some(keys)) => Some(Vault::create(&header, keys)?),
            (vault, _) => vault,
        };
        let text = fs::read(dir.join("state.json")).unwrap_or_default();
        let mut files: BTreeMap<String, FileState> = serde_json::from_slice(&text).unwrap_or_default();
        let is_sealed = vault.is_some();
        files.retain(|name, state| {
            SafePath::parse(name).is_ok_and(|path| is_credible(&path.below(&tree), state, is_sealed))
        });
        Ok(Self { dir, vault: vault.map(Arc::new), note: Mutex::new(Note { files, written: Instant::now() }) })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Opens what is written here.
    pub(crate) fn access(&self) -> Arc<dyn Access> {
        access(self.vault.as_ref())
    }

    /// With what is encrypted here.
    pub(crate) const fn vault(&self) -> Option<&Arc<Vault>> {
        self.vault.as_ref()
    }

    /// Where the header lies when there is one.
    pub(crate) fn header(&self) -> Option<PathBuf> {
        self.vault.is_some().then(|| self.dir.join(HEADER))
    }

    /// Where the signature waits for the seal.
    pub(crate) fn signature(&self) -> PathBuf {
        self.dir.join(SIGNATURE_FILE)
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.dir.join("tree")
    }

    fn lock(&self) -> MutexGuard<'_, Note> {
        // A panicking holder leaves a note that is at worst behind; the digest check covers it.
        self.note.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self, path: &SafePath) -> FileState {
        self.lock().files.get(path.as_str()).cloned().unwrap_or_default()
    }

    pub(crate) fn done_bytes(&self) -> u64 {
        self.lock().files.values().map(|state| state.done.len()).sum()
    }

    /// Changes what is known of a file; the note follows at its own pace.
    pub(crate) fn update(&self, path: &SafePath, change: impl FnOnce(&mut FileState)) -> Result<(), FetchError> {
        let mut note = self.lock();
        change(note.files.entry(path.as_str().to_owned()).or_default());
        if note.written.elapsed() >= NOTE_EVERY {
            self.write(&mut note)?;
        }
        Ok(())
    }

    /// Writes the note now.
    pub(crate) fn flush(&self) -> Result<(), FetchError> {
        self.write(&mut self.lock())
    }

    fn write(&self, note: &mut Note) -> Result<(), FetchError> {
        note.written = Instant::now();
        let text = serde_json::to_vec(&note.files).map_err(|error| FetchError::VolumeState {
            fault: format!("the note of progress has no JSON form: {error}"),
        })?;
        volume::write_atomically(&self.dir.join("state.json"), &text)
    }

    /// Opens the data file of a path for writing anywhere.
    pub(crate) fn writer(&self, path: &SafePath) -> Result<FileWriter, FetchError> {
        let full = path.below(&self.tree());
        if let Some(parent) = full.parent() {
            fs::create_dir_all(parent).on_volume("create", parent)?;
        }
        let (file, cipher) = match &self.vault {
            None => {
                let mut options = OpenOptions::new();
                (options.write(true).create(true).truncate(false).open(&full).on_volume("open", &full)?, None)
            }
            Some(vault) => {
                // What is not noted may have been something else: no chunk is sealed twice under one nonce.
                if self.state(path).done.len() == 0 {
                    volume::remove_tree(&full)?;
                }
                let (file, cipher) = vault.begin(&full)?;
                (file, Some(cipher))
            }
        };
        Ok(FileWriter { file: Arc::new(file), path: full, cipher })
    }

    /// Forgets a file, for example because it turned out to be wrong. Returns how many bytes were lost.
    pub(crate) fn forget(&self, path: &SafePath) -> Result<u64, FetchError> {
        let mut note = self.lock();
        let lost = note.files.remove(path.as_str()).map_or(0, |state| state.done.len());
        self.write(&mut note)?;
        let full = path.below(&self.tree());
        match fs::remove_file(&full) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).on_volume("remove", full),
            _ => Ok(lost),
        }
    }

    /// Removes data files that the source no longer names, so that they do not end up in the model.
    pub(crate) fn keep_only(&self, paths: &[&SafePath]) -> Result<(), FetchError> {
        for (path, _) in volume::list_files(&self.tree())? {
            if !paths.contains(&&path) {
                self.forget(&path)?;
            }
        }
        self.lock().files.retain(|name, _| paths.iter().any(|path| path.as_str() == name));
        Ok(())
    }
}

fn is_credible(data: &Path, state: &FileState, is_sealed: bool) -> bool {
    let on_disk = fs::symlink_metadata(data).ok().filter(fs::Metadata::is_file).map_or(0, |meta| meta.len());
    let on_disk = if is_sealed { plain_length(on_disk).unwrap_or(0) } else { on_disk };
    state.done.is_sound(on_disk.min(state.size.unwrap_or(u64::MAX)))
}

/// Removes the work of other sources: one model lives on a volume, and what it no longer wants is garbage.
pub(crate) fn remove_others(into: &Path, key: &str) -> Result<(), FetchError> {
    let own = format!("{PREFIX}{key}");
    for entry in fs::read_dir(into).on_volume("list", into)? {
        let entry = entry.on_volume("list", into)?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(PREFIX) && name != own.as_str() {
            tracing::info!(name = %name.to_string_lossy(), "removing unfinished work of another source");
            volume::remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

/// Writes at any place of one file.
#[derive(Clone, Debug)]
pub(crate) struct FileWriter {
    file: Arc<File>,
    path: PathBuf,
    cipher: Option<FileCipher>,
}

impl FileWriter {
    /// Gives what was written: all, or of an encrypted file the whole chunks, and at its end what is left. `size`: of the
    /// file, where it is known. Blocking.
    pub(crate) fn write_at(&self, bytes: &[u8], at: u64, size: Option<u64>) -> Result<Range<u64>, FetchError> {
        let n = match &self.cipher {
            None => self.file.write_all_at(bytes, at).map(|()| bytes.len()),
            Some(cipher) => cipher.write_at(&self.file, bytes, at, size),
        };
        Ok(at..at + n.on_volume("write", &self.path)? as u64)
    }

    /// Cuts the file where it ends; blocking.
    pub(crate) fn finish(&self, size: u64) -> Result<(), FetchError> {
        let length = match &self.cipher {
            None => size,
            Some(cipher) => {
                if size == 0 {
                    cipher.write_empty(&self.file).on_volume("write", &self.path)?;
                }
                sealed_length(size)
            }
        };
        self.file.set_len(length).and_then(|()| self.file.sync_data()).on_volume("sync", &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_survives_and_nonsense_does_not() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = SafePath::parse("a/b.gguf").expect("path");
        {
            let partial = Partial::open(dir.path(), "k", None).expect("open");
            let written = partial.writer(&path).expect("writer").write_at(b"12345", 3, None).expect("write");
            partial
                .update(&path, |state| {
                    state.etag = Some("\"e\"".to_owned());
                    state.done.insert(written);
                })
                .expect("update");
            partial.flush().expect("flush");
        }
        let again = Partial::open(dir.path(), "k", None).expect("again");
        assert_eq!((again.done_bytes(), again.state(&path).etag.as_deref()), (5, Some("\"e\"")));
        fs::write(path.below(&again.tree()), "12").expect("cut the file");
        assert_eq!(
            Partial::open(dir.path(), "k", None).expect("cut").done_bytes(),
            0,
            "the data is shorter than the note"
        );
        fs::write(again.dir().join("state.json"), "{\"../x\":{}, ").expect("break the note");
        assert_eq!(Partial::open(dir.path(), "k", None).expect("broken").done_bytes(), 0);
    }

    #[test]
    fn work_of_other_sources_is_removed() {
        let dir = tempfile::tempdir().expect("tempdir");
        for key in ["mine", "other"] {
            Partial::open(dir.path(), key, None).expect("open");
        }
        fs::create_dir(dir.path().join("sha256-abc")).expect("sealed");
        remove_others(dir.path(), "mine").expect("clean");
        let mut left: Vec<_> = fs::read_dir(dir.path()).expect("list").map(|e| e.expect("entry").file_name()).collect();
        left.sort();
        assert_eq!(left, [".partial-mine", "sha256-abc"]);
    }
}
