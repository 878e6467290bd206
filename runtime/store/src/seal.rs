//! Makes a model visible in one step, and finds one that already is.

use std::{fs, path::Path, path::PathBuf};

use alcazar_contract::paths::sealed_dir;

use crate::{
    error::{FetchError, OnVolume as _},
    hash::{blocking, manifest_of, owned},
    manifest::{Manifest, SealedManifest},
    partial::Partial,
    progress::Progress,
    volume,
};

/// A manifest of a million files would still be smaller.
const MAX_MANIFEST_BYTES: u64 = 256 << 20;

/// A sealed model on the volume.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub dir: PathBuf,
    pub manifest: SealedManifest,
}

/// A model on the volume that is what is wanted: of this digest, or of this source when no digest is expected.
/// It is hashed before it counts; one that is damaged is removed, so that it will be brought again.
pub(crate) async fn find(
    into: &Path,
    expect_digest: Option<&str>,
    source_key: &str,
    progress: &Progress,
) -> Result<Option<Sealed>, FetchError> {
    for sealed in list(into)? {
        let is_wanted = match expect_digest {
            Some(digest) => sealed.manifest.digest == digest,
            None => sealed.manifest.source_key == source_key,
        };
        if is_wanted && is_intact(&sealed, progress).await? {
            volume::set_mode(&sealed.dir, 0o555)?;
            return Ok(Some(sealed));
        }
    }
    Ok(None)
}

async fn is_intact(sealed: &Sealed, progress: &Progress) -> Result<bool, FetchError> {
    let files = volume::list_files(&sealed.dir)?;
    let total = files.iter().map(|(_, size)| size).sum();
    progress.begin(0, total);
    // A wrong size is told without reading.
    let found = if total == sealed.manifest.files.size_bytes() {
        manifest_of(&sealed.dir, files, progress).await?.digest()
    } else {
        format!("{total} bytes")
    };
    if found == sealed.manifest.digest {
        return Ok(true);
    }
    tracing::warn!(expected = %sealed.manifest.digest, %found, "a sealed model is damaged; it is removed and fetched again");
    volume::remove_tree(&sealed.dir)?;
    Ok(false)
}

fn list(into: &Path) -> Result<Vec<Sealed>, FetchError> {
    let mut all = Vec::new();
    for entry in fs::read_dir(into).on_volume("list", into)? {
        let path = entry.on_volume("list", into)?.path();
        let is_manifest = path.extension().is_some_and(|extension| extension == "json")
            && path.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with("sha256-"));
        if !is_manifest || fs::metadata(&path).is_ok_and(|meta| meta.len() > MAX_MANIFEST_BYTES) {
            continue;
        }
        let text = fs::read(&path).on_volume("read", &path)?;
        // A manifest without its directory, or that cannot be read, seals nothing.
        if let Ok(manifest) = serde_json::from_slice::<SealedManifest>(&text) {
            let dir = into.join(sealed_dir(&manifest.digest));
            if dir.is_dir() && path == manifest_path(into, &manifest.digest) {
                all.push(Sealed { dir, manifest });
            }
        }
    }
    Ok(all)
}

fn manifest_path(into: &Path, digest: &str) -> PathBuf {
    into.join(format!("{}.json", sealed_dir(digest)))
}

/// Makes the partial tree the sealed directory. The rename is the moment it exists; before it, nothing does.
pub(crate) async fn seal(
    into: &Path,
    partial: &Partial,
    manifest: Manifest,
    source_key: &str,
) -> Result<Sealed, FetchError> {
    let manifest = SealedManifest { digest: manifest.digest(), source_key: source_key.to_owned(), files: manifest };
    let (into, tree, work) = (owned(into), partial.tree(), owned(partial.dir()));
    blocking(move || {
        let dir = into.join(sealed_dir(&manifest.digest));
        volume::make_read_only(&tree)?;
        let beside = manifest_path(&into, &manifest.digest);
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| FetchError::VolumeState { fault: format!("the manifest has no JSON form: {error}") })?;
        volume::remove_tree(&beside)?;
        volume::write_atomically(&beside, &text)?;
        volume::set_mode(&beside, 0o444)?;
        volume::sync_file(&beside)?;
        // Only what failed its verification can lie here.
        volume::remove_tree(&dir)?;
        fs::rename(&tree, &dir).on_volume("rename", &tree)?;
        volume::set_mode(&dir, 0o555)?;
        volume::sync_file(&dir)?;
        volume::sync_file(&into)?;
        volume::remove_tree(&work)?;
        Ok(Sealed { dir, manifest })
    })
    .await
}
