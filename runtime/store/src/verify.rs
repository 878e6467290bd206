//! Says what files on a volume are, without changing them.

use std::{path::Path, sync::Arc};

use alcazar_contract::report::ModelFacts;

use crate::{
    error::{FetchError, OnVolume as _},
    fetch::{expect, facts, judge},
    hash::{blocking, manifest_of, owned},
    inspect::Inspect,
    manifest::{Manifest, parse_digest},
    path::SafePath,
    progress::Progress,
    volume,
};

/// Hashes a directory or a single file, compares with what is expected, and judges it as a model.
pub async fn verify(
    model: &Path,
    expect_digest: Option<&str>,
    inspector: Arc<dyn Inspect>,
    progress: &Progress,
) -> Result<ModelFacts, FetchError> {
    if let Some(digest) = expect_digest {
        parse_digest(digest).map_err(|fault| FetchError::InvalidSource { fault })?;
    }
    // First the heads: they are quick to read, and hours of hashing for nothing help nobody.
    let inspected = judge(&inspector, model).await?;
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
    let manifest = digest_of(model, progress).await?;
    expect(&manifest, expect_digest)?;
    Ok(ModelFacts { path: String::new(), ..facts(&manifest, inspected) })
}

/// The manifest of a directory, or of a single file under its own name.
pub async fn digest_of(model: &Path, progress: &Progress) -> Result<Manifest, FetchError> {
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
    manifest_of(&root, files, progress).await
}
