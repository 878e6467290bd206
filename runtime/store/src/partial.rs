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

use serde::{Deserialize, Serialize};

use crate::{
    error::{FetchError, OnVolume as _},
    path::SafePath,
    ranges::Ranges,
    volume,
};

const PREFIX: &str = ".partial-";
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
    note: Mutex<Note>,
}

#[derive(Debug)]
struct Note {
    files: BTreeMap<String, FileState>,
    written: Instant,
}

impl Partial {
    /// Opens or makes the work of `key` below `into`. A note that cannot be true is started anew.
    pub(crate) fn open(into: &Path, key: &str) -> Result<Self, FetchError> {
        let dir = into.join(format!("{PREFIX}{key}"));
        let tree = dir.join("tree");
        fs::create_dir_all(&tree).on_volume("create", &tree)?;
        let text = fs::read(dir.join("state.json")).unwrap_or_default();
        let mut files: BTreeMap<String, FileState> = serde_json::from_slice(&text).unwrap_or_default();
        files.retain(|name, state| SafePath::parse(name).is_ok_and(|path| is_credible(&path.below(&tree), state)));
        Ok(Self { dir, note: Mutex::new(Note { files, written: Instant::now() }) })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
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
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&full).on_volume("open", &full)?;
        Ok(FileWriter { file: Arc::new(file), path: full })
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

fn is_credible(data: &Path, state: &FileState) -> bool {
    let on_disk = fs::symlink_metadata(data).ok().filter(fs::Metadata::is_file).map_or(0, |meta| meta.len());
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
}

impl FileWriter {
    /// Blocking.
    pub(crate) fn write_at(&self, bytes: &[u8], at: u64) -> Result<Range<u64>, FetchError> {
        self.file.write_all_at(bytes, at).on_volume("write", &self.path)?;
        Ok(at..at + bytes.len() as u64)
    }

    /// Cuts the file where it ends; blocking.
    pub(crate) fn finish(&self, size: u64) -> Result<(), FetchError> {
        self.file.set_len(size).and_then(|()| self.file.sync_data()).on_volume("sync", &self.path)
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
            let partial = Partial::open(dir.path(), "k").expect("open");
            let written = partial.writer(&path).expect("writer").write_at(b"12345", 3).expect("write");
            partial
                .update(&path, |state| {
                    state.etag = Some("\"e\"".to_owned());
                    state.done.insert(written);
                })
                .expect("update");
            partial.flush().expect("flush");
        }
        let again = Partial::open(dir.path(), "k").expect("again");
        assert_eq!((again.done_bytes(), again.state(&path).etag.as_deref()), (5, Some("\"e\"")));
        fs::write(path.below(&again.tree()), "12").expect("cut the file");
        assert_eq!(Partial::open(dir.path(), "k").expect("cut").done_bytes(), 0, "the data is shorter than the note");
        fs::write(again.dir().join("state.json"), "{\"../x\":{}, ").expect("break the note");
        assert_eq!(Partial::open(dir.path(), "k").expect("broken").done_bytes(), 0);
    }

    #[test]
    fn work_of_other_sources_is_removed() {
        let dir = tempfile::tempdir().expect("tempdir");
        for key in ["mine", "other"] {
            Partial::open(dir.path(), key).expect("open");
        }
        fs::create_dir(dir.path().join("sha256-abc")).expect("sealed");
        remove_others(dir.path(), "mine").expect("clean");
        let mut left: Vec<_> = fs::read_dir(dir.path()).expect("list").map(|e| e.expect("entry").file_name()).collect();
        left.sort();
        assert_eq!(left, [".partial-mine", "sha256-abc"]);
    }
}
