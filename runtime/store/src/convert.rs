//! Turns what training frameworks write into safetensors, once, before the seal: servers open no other format.
//!
//! Beside the new files lies a record of what they were made from. The same source gives the same bytes, so that
//! the digest of the sealed model can be pinned.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use alcazar_formats::{
    Access,
    checkpoint::{
        Checkpoint, Found,
        convert::{self, Plan, SHARD_BYTES},
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    encryption::Vault,
    error::{FetchError, OnVolume as _},
    hash::{blocking, manifest_of},
    manifest::Manifest,
    partial::Partial,
    path::SafePath,
    progress::Progress,
    source::{self, RemoteFile},
    volume,
};

/// Says in a sealed model what it was made from.
pub(crate) const RECORD: &str = "alcazar-conversion.json";
const WRITE_BUFFER: usize = 1 << 20;
/// A record of a hundred thousand files would still be smaller.
const MAX_RECORD_BYTES: u64 = 64 << 20;

#[derive(Serialize)]
struct Record<'a> {
    /// As they were fetched.
    source: State<'a>,
    /// As they are sealed, but for the record itself.
    converted: State<'a>,
}

#[derive(Serialize)]
struct State<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    digest: String,
    files: &'a Manifest,
}

/// A checkpoint in one directory of the tree.
struct Work {
    directory: PathBuf,
    found: Found,
    checkpoint: Checkpoint,
    plan: Plan,
}

/// Room that conversion needs beside files of these names and sizes: as much again as it reads.
pub(crate) fn room(files: &[RemoteFile]) -> u64 {
    if files.iter().any(|file| source::is_served(file.path.as_str())) {
        return 0;
    }
    files.iter().filter(|file| source::is_convertible(file.path.as_str())).filter_map(|file| file.size).sum()
}

/// Replaces the checkpoints in the tree; `None` when there is none.
pub(crate) async fn convert(
    into: &Path,
    partial: &Partial,
    fetched: &Manifest,
    progress: &Progress,
) -> Result<Option<Manifest>, FetchError> {
    let (tree, beside) = (partial.tree(), partial.dir().join("converted"));
    let (root, progress_of) = (into.to_owned(), progress.clone());
    let (opener, access) = (partial.access(), partial.access());
    let format = blocking({
        let (tree, vault) = (tree.clone(), partial.vault().cloned());
        move || Conversion { vault, access: opener }.replace(&tree, &beside, &root, &progress_of)
    })
    .await?;
    let Some(format) = format else { return Ok(None) };
    let files = volume::list_files(&tree)?;
    progress.begin(0, files.iter().map(|(_, size)| size).sum());
    let converted = manifest_of(&access, &tree, files, progress).await?;
    tracing::info!(from = %fetched.digest(), to = %converted.digest(), format, "converted to safetensors");
    record(partial, &tree, format, fetched, &converted)?;
    let files = volume::list_files(&tree)?.into_iter().filter(|(path, _)| path.as_str() == RECORD).collect();
    let record = manifest_of(&access, &tree, files, &Progress::default()).await?;
    Ok(Some(Manifest::new(converted.files().iter().chain(record.files()).cloned().collect())))
}

fn record(
    partial: &Partial,
    tree: &Path,
    format: String,
    fetched: &Manifest,
    converted: &Manifest,
) -> Result<(), FetchError> {
    let record = Record {
        source: State { format: Some(format), digest: fetched.digest(), files: fetched },
        converted: State { format: None, digest: converted.digest(), files: converted },
    };
    let mut text = serde_json::to_vec_pretty(&record)
        .map_err(|error| FetchError::VolumeState { fault: format!("the record has no JSON form: {error}") })?;
    text.push(b'\n');
    write_file(partial.vault(), &tree.join(RECORD), &text)
}

/// The files that a record says were there before; `None`: nothing was converted.
pub(crate) fn source_of(access: &dyn Access, model: &Path) -> Result<Option<Manifest>, FetchError> {
    #[derive(Deserialize)]
    struct Read {
        source: ReadState,
    }
    #[derive(Deserialize)]
    struct ReadState {
        files: Manifest,
    }
    let path = model.join(RECORD);
    if !path.exists() {
        return Ok(None);
    }
    let file = access.open(&path).on_volume("open", &path)?;
    if file.length() > MAX_RECORD_BYTES {
        return Err(FetchError::InvalidModel { fault: format!("{} is no record of a conversion", path.display()) });
    }
    let mut text = vec![0; usize::try_from(file.length()).unwrap_or(0)];
    file.read_exact_at(&mut text, 0).on_volume("read", &path)?;
    let record: Read = serde_json::from_slice(&text).map_err(|error| FetchError::InvalidModel {
        fault: format!("{} is no record of a conversion: {error}", path.display()),
    })?;
    Ok(Some(record.source.files))
}

/// Writes a small file as the model's others are.
fn write_file(vault: Option<&Arc<Vault>>, path: &Path, bytes: &[u8]) -> Result<(), FetchError> {
    let Some(vault) = vault else { return fs::write(path, bytes).on_volume("write", path) };
    let mut writer = vault.writer(path)?;
    writer.write_all(bytes).and_then(|()| writer.finish()).map(|_| ()).on_volume("write", path)
}

/// How files are read and written while they are converted.
struct Conversion {
    vault: Option<Arc<Vault>>,
    access: Arc<dyn Access>,
}

impl Conversion {
    /// Writes all new files beside the tree, then exchanges them for the old ones. Returns the format that was there.
    fn replace(
        &self,
        tree: &Path,
        beside: &Path,
        into: &Path,
        progress: &Progress,
    ) -> Result<Option<String>, FetchError> {
        let work = self.look(tree)?;
        let Some(format) = work.first().map(|work| work.found.format.to_string()) else { return Ok(None) };
        volume::remove_tree(beside)?;
        let needed = work.iter().map(|work| work.plan.size_bytes()).fold(0, u64::saturating_add);
        volume::require_room(needed, volume::free_bytes(into)?)?;
        progress.begin(0, needed);
        for work in &work {
            let to = beside.join(&work.directory);
            fs::create_dir_all(&to).on_volume("create", &to)?;
            self.write(work, &to, progress).map_err(|error| volume::explain_full(error, into, needed))?;
        }
        for work in &work {
            exchange(work, &tree.join(&work.directory), &beside.join(&work.directory))?;
        }
        volume::remove_tree(beside)?;
        Ok(Some(format))
    }

    /// Checkpoints at the root and in the parts of a sentence embedder, where nothing that is served lies already.
    fn look(&self, tree: &Path) -> Result<Vec<Work>, FetchError> {
        let mut directories = vec![PathBuf::new()];
        let files = volume::list_files(tree)?;
        directories.extend(files.iter().filter_map(|(path, _)| part(path)));
        let mut all = Vec::new();
        for directory in directories {
            let here = |path: &SafePath| Path::new(path.as_str()).parent() == Some(&*directory);
            if files.iter().any(|(path, _)| here(path) && source::is_served(path.as_str())) {
                continue;
            }
            let full = tree.join(&directory);
            if let Some(found) = Found::look(&*self.access, &full)? {
                let checkpoint = found.open(&*self.access, &full)?;
                let plan = Plan::new(&checkpoint, SHARD_BYTES);
                all.push(Work { directory, found, checkpoint, plan });
            }
        }
        Ok(all)
    }

    fn write(&self, work: &Work, to: &Path, progress: &Progress) -> Result<(), FetchError> {
        for shard in work.plan.shards() {
            let path = to.join(&shard.name);
            let failed = |source| FetchError::Volume { operation: "write", path: path.clone(), source };
            match &self.vault {
                None => {
                    let file = File::create(&path).map_err(failed)?;
                    let mut out = Counted { inner: BufWriter::with_capacity(WRITE_BUFFER, file), progress };
                    convert::write(&work.checkpoint, shard, &mut out, failed)?;
                    out.flush().map_err(failed)?;
                }
                Some(vault) => {
                    let mut out = Counted { inner: vault.writer(&path)?, progress };
                    convert::write(&work.checkpoint, shard, &mut out, failed)?;
                    out.inner.finish().map_err(failed)?;
                }
            }
            volume::sync_file(&path)?;
        }
        if let Some(index) = work.plan.index(&work.checkpoint) {
            write_file(self.vault.as_ref(), &to.join(convert::INDEX), &index)?;
        }
        Ok(())
    }
}

/// `2_Dense` of `2_Dense/config.json`.
fn part(path: &SafePath) -> Option<PathBuf> {
    let (directory, name) = path.as_str().split_once('/')?;
    (name == "config.json").then(|| PathBuf::from(directory))
}

fn exchange(work: &Work, here: &Path, converted: &Path) -> Result<(), FetchError> {
    for name in work.found.files() {
        let path = here.join(name);
        fs::remove_file(&path).on_volume("remove", &path)?;
        if let Some(folder) = path.parent().filter(|folder| *folder != here) {
            // The last file of a SavedModel's variables leaves it empty; until then this fails, as it should.
            let _ = fs::remove_dir(folder);
        }
    }
    for entry in fs::read_dir(converted).on_volume("list", converted)? {
        let entry = entry.on_volume("list", converted)?;
        // The parts of an embedder have a turn of their own.
        if entry.file_type().on_volume("inspect", entry.path())?.is_file() {
            fs::rename(entry.path(), here.join(entry.file_name())).on_volume("rename", entry.path())?;
        }
    }
    Ok(())
}

/// Tells the progress what went through.
struct Counted<'a, W> {
    inner: W,
    progress: &'a Progress,
}

impl<W: std::io::Write> std::io::Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.progress.add(n as u64);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
