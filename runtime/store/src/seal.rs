//! Makes a model visible in one step, and finds one that already is.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use alcazar_contract::paths::sealed_dir;
use alcazar_formats::Access;
use alcazar_signing::Signed;

use crate::{
    encryption::{header_path, sealed_length},
    error::{FetchError, OnVolume as _},
    fetch::Fetch,
    hash::{blocking, manifest_of, owned},
    manifest::{Manifest, SealedManifest},
    partial::Partial,
    progress::Progress,
    protection::{access, signature_path},
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

/// One that is what is wanted.
pub(crate) struct Found {
    pub sealed: Sealed,
    pub access: Arc<dyn Access>,
    pub signed: Option<Signed>,
}

/// A model on the volume that is what is wanted: of this digest, or of this source when no digest is expected, and
/// encrypted and signed as it must be. It is hashed before it counts; one that is damaged is removed, so that it will be
/// brought again.
pub(crate) async fn find(job: &Fetch, source_key: &str, progress: &Progress) -> Result<Option<Found>, FetchError> {
    for sealed in list(&job.into)? {
        let is_wanted = match &job.expect_digest {
            Some(digest) => sealed.manifest.digest == *digest,
            None => sealed.manifest.source_key == source_key,
        };
        // Brought again as it must be, it takes this one's place.
        let is_as_wanted = header_path(&sealed.dir).exists() == job.protection.keys.is_some()
            && (job.protection.trust.is_none() || signature_path(&sealed.dir).exists());
        if !is_wanted || !is_as_wanted {
            continue;
        }
        let access = access(job.protection.vault(&sealed.dir, true)?.as_ref());
        if is_intact(&sealed, &access, progress).await? {
            volume::set_mode(&sealed.dir, 0o555)?;
            let signed = job.protection.check(&sealed.dir, &sealed.manifest.files, &*access)?;
            return Ok(Some(Found { sealed, access, signed }));
        }
    }
    Ok(None)
}

async fn is_intact(sealed: &Sealed, access: &Arc<dyn Access>, progress: &Progress) -> Result<bool, FetchError> {
    let files = volume::list_files(&sealed.dir)?;
    let total: u64 = files.iter().map(|(_, size)| size).sum();
    let is_sealed = header_path(&sealed.dir).exists();
    let length = |size: u64| if is_sealed { sealed_length(size) } else { size };
    let expected: u64 = sealed.manifest.files.files().iter().map(|file| length(file.size)).sum();
    progress.begin(0, sealed.manifest.files.size_bytes());
    // A wrong size is told without reading.
    let found = if total == expected {
        match manifest_of(access, &sealed.dir, files, progress).await {
            Ok(manifest) => manifest.digest(),
            // So does a chunk of an encrypted file that is not what it was.
            Err(error) if error.is_of_data() => error.to_string(),
            Err(error) => return Err(error),
        }
    } else {
        format!("{total} bytes")
    };
    if found == sealed.manifest.digest {
        return Ok(true);
    }
    tracing::warn!(expected = %sealed.manifest.digest, %found, "a sealed model is damaged; it is removed and fetched again");
    volume::remove_tree(&sealed.dir)?;
    volume::remove_tree(&header_path(&sealed.dir))?;
    volume::remove_tree(&signature_path(&sealed.dir))?;
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

/// Moves a file to where it lies beside a sealed directory; without one, none lies there.
fn put_beside(from: Option<&Path>, to: &Path) -> Result<(), FetchError> {
    let Some(from) = from else { return volume::remove_tree(to) };
    volume::set_mode(from, 0o444)?;
    volume::sync_file(from)?;
    fs::rename(from, to).on_volume("rename", from)
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
    let (header, signature) = (partial.header(), partial.signature());
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
        // Only what failed its verification, or is not protected as it must be, can lie here.
        volume::remove_tree(&dir)?;
        put_beside(header.as_deref(), &header_path(&dir))?;
        put_beside(Some(&*signature).filter(|path| path.exists()), &signature_path(&dir))?;
        fs::rename(&tree, &dir).on_volume("rename", &tree)?;
        volume::set_mode(&dir, 0o555)?;
        volume::sync_file(&dir)?;
        volume::sync_file(&into)?;
        volume::remove_tree(&work)?;
        Ok(Sealed { dir, manifest })
    })
    .await
}
