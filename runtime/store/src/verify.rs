//! Says what files on a volume are, without changing them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use alcazar_contract::report::ModelFacts;
use alcazar_formats::{Access, Plain};

use crate::{
    encryption::Vault,
    error::{FetchError, OnVolume as _},
    fetch::{expect, facts, judge},
    hash::{Options, blocking, digest_file, hash_all, manifest_of, owned},
    inspect::Inspect,
    manifest::{Manifest, parse_digest},
    path::SafePath,
    progress::Progress,
    protection::{Protection, access},
    verified::{Proof, Tagger, Verified},
    volume,
};

/// Hashes a directory or a single file, compares with what is expected, and judges it as a model. What a protection
/// asks for must be there.
pub async fn verify(
    model: &Path,
    expect_digest: Option<&str>,
    protection: &Protection,
    inspector: Arc<dyn Inspect>,
    progress: &Progress,
) -> Result<ModelFacts, FetchError> {
    if let Some(digest) = expect_digest {
        parse_digest(digest).map_err(|fault| FetchError::InvalidSource { fault })?;
    }
    let access = access(protection.vault(model, false)?.as_ref());
    // First the heads: they are quick to read, and hours of hashing for nothing help nobody.
    let inspected = judge(&inspector, &access, model).await?;
    if inspected.needs_conversion {
        return Err(FetchError::UnsupportedModel {
            fault: format!(
                "failed to serve {}: found {} files, which only a fetch converts; fetch the model from a hub or by HTTP, \
                 or put safetensors or GGUF files here",
                model.display(),
                inspected.format
            ),
        });
    }
    let (root, files) = list(model, progress).await?;
    let manifest = manifest_of(&access, &root, files, progress).await?;
    expect(&manifest, expect_digest)?;
    let signed = protection.check(model, &manifest, &*access)?;
    Ok(protection.tell(ModelFacts { path: String::new(), ..facts(&manifest, inspected) }, signed.as_ref()))
}

/// The manifest of a directory, or of a single file under its own name.
pub async fn digest_of(model: &Path, progress: &Progress) -> Result<Manifest, FetchError> {
    let (root, files) = list(model, progress).await?;
    let access: Arc<dyn Access> = Arc::new(Plain);
    manifest_of(&access, &root, files, progress).await
}

/// The manifest, and what opens the files from now on: as they were hashed, or not at all. Encrypted files are hashed as
/// what they were before.
pub async fn prove(
    model: &Path,
    protection: &Protection,
    progress: &Progress,
) -> Result<(Manifest, Verified), FetchError> {
    let vault = protection.vault(model, false)?;
    let tagger = Tagger::new()?;
    let (root, files) = list(model, progress).await?;
    let digest = {
        let (vault, tagger) = (vault.clone(), tagger.clone());
        move |path: &Path, progress: &Progress| prove_file(path, vault.as_ref(), &tagger, progress)
    };
    let (manifest, proofs) = hash_all(&root, files, progress, digest).await?;
    Ok((manifest, Verified::new(tagger, vault, proofs)))
}

fn prove_file(
    path: &Path,
    vault: Option<&Arc<Vault>>,
    tagger: &Tagger,
    progress: &Progress,
) -> Result<(crate::hash::FileDigests, Proof), FetchError> {
    let options = Options { progress: Some(progress), ..Options::default() };
    let Some(vault) = vault else {
        let mut tags = Vec::new();
        let digests = digest_file(&Plain, path, options, |piece| tags.extend(tagger.tags(piece)))?;
        let proof = Proof::Tags { length: digests.size, tags: tags.into() };
        return Ok((digests, proof));
    };
    let file = std::fs::File::open(path).on_volume("open", path)?;
    let nonce = Vault::nonce(&file).on_volume("read", path)?;
    let pinned = vault.pinned(nonce);
    Ok((digest_file(&pinned, path, options, |_| {})?, Proof::Nonce(nonce)))
}

/// The files of a model and where their paths begin.
async fn list(model: &Path, progress: &Progress) -> Result<(PathBuf, Vec<(SafePath, u64)>), FetchError> {
    let path = owned(model);
    let (root, files) = blocking(move || {
        let meta = std::fs::metadata(&path).on_volume("open", &path)?;
        if meta.is_dir() {
            return volume::list_files(&path).map(|files| (path, files));
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let files = vec![(SafePath::parse(name)?, meta.len())];
        Ok((path.parent().map(owned).unwrap_or_default(), files))
    })
    .await?;
    if files.is_empty() {
        return Err(FetchError::InvalidModel { fault: format!("{} holds no files", model.display()) });
    }
    progress.begin(0, files.iter().map(|(_, size)| size).sum());
    Ok((root, files))
}
