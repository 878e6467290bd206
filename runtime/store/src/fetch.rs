//! The way of a fetch: what is there, what is missing, bring it, convert it, judge it, seal it.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use alcazar_contract::{paths::sealed_dir, report::ModelFacts, source::FetchSource};
use alcazar_formats::Access;
use alcazar_signing::{Coverage, Signed};

use crate::{
    client::{Client, Timing},
    convert::{self, convert},
    credentials::Credentials,
    encryption::CHUNK_BYTES,
    error::{FetchError, OnVolume as _},
    hash::{blocking, owned},
    inspect::{Inspect, Inspected},
    manifest::{Manifest, ManifestFile, parse_digest},
    partial::{self, Partial},
    policy::Policy,
    progress::Progress,
    protection::{Protection, resources},
    resolver::{Lookup, SystemLookup},
    seal, signature,
    source::{self, RemoteFile},
    transfer::{Shape, Transfer},
    volume,
};

/// Where an attempt waits for another one on the same volume to end, for example one that is being evicted.
const LOCK_FILE: &str = ".fetch.lock";
const LOCK_PATIENCE: Duration = Duration::from_secs(45);

/// What to fetch, and how.
#[derive(Clone, Debug)]
pub struct Fetch {
    pub source: FetchSource,
    /// Root of the volume.
    pub into: PathBuf,
    /// Manifest digest that the model must have.
    pub expect_digest: Option<String>,
    pub credentials: Option<Credentials>,
    /// Hosts that may be private or speak plain HTTP.
    pub allow_hosts: Vec<String>,
    /// Certificate authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Who is asked for the addresses of hosts; the rules are held against every answer.
    pub lookup: Arc<dyn Lookup>,
    /// Whose signature the files must have, and for whom they are encrypted.
    pub protection: Protection,
    pub timing: Timing,
    /// Size of one range request.
    pub chunk_bytes: u64,
    /// Range requests at once.
    pub n_connections: usize,
}

impl Fetch {
    /// With the patience and the parallelism that suit a hub.
    pub fn new(source: FetchSource, into: PathBuf) -> Self {
        Self {
            source,
            into,
            expect_digest: None,
            credentials: None,
            allow_hosts: Vec::new(),
            ca_file: None,
            lookup: Arc::new(SystemLookup),
            protection: Protection::default(),
            timing: Timing::default(),
            chunk_bytes: 16 << 20,
            n_connections: 8,
        }
    }
}

/// Brings a model to the volume and seals it. Does nothing but verify when it is sealed already.
pub async fn fetch(job: &Fetch, inspector: Arc<dyn Inspect>, progress: &Progress) -> Result<ModelFacts, FetchError> {
    let policy = Arc::new(Policy::new(&job.allow_hosts));
    source::vet(&job.source, &policy)?;
    if let Some(digest) = &job.expect_digest {
        parse_digest(digest).map_err(|fault| FetchError::InvalidSource { fault })?;
    }
    let key = source::key(&job.source)?;
    let _lock = lock(&job.into).await?;
    if let Some(found) = seal::find(job, &key, progress).await? {
        tracing::info!(digest = %found.sealed.manifest.digest, "already sealed and intact");
        let inspected = judge(&inspector, &found.access, &found.sealed.dir).await?;
        return Ok(job.protection.tell(facts(&found.sealed.manifest.files, inspected), found.signed.as_ref()));
    }
    partial::remove_others(&job.into, &key)?;
    let client = Client::new(job, policy)?;
    let offered = source::look(&client, &job.source).await?;
    // Before hours of transfer, whether the signature is of whom it must be.
    let signature = signature::bring(&client, &offered, &job.protection).await?;
    let signed = signature.as_ref().and_then(|signature| signature.signed.as_ref());
    let files = offered.choose(signed)?;
    let partial = Partial::open(&job.into, &key, job.protection.keys.as_ref())?;
    let fetched = bring(job, &client, &partial, &files, progress).await?;
    if let Some(signature) = &signature {
        volume::write_atomically(&partial.signature(), &signature.text)?;
    }
    let (manifest, inspected) = match prepare(job, &inspector, &partial, (fetched, signed), progress).await {
        Ok(prepared) => prepared,
        // The volume failed, not the bytes.
        Err(error @ (FetchError::Volume { .. } | FetchError::VolumeFull { .. })) => return Err(error),
        Err(error) => {
            // These bytes will not become a model by trying again; give the room back.
            volume::remove_tree(partial.dir())?;
            return Err(error);
        }
    };
    expect(&manifest, job.expect_digest.as_deref())?;
    let sealed = seal::seal(&job.into, &partial, manifest, &key).await?;
    tracing::info!(digest = %sealed.manifest.digest, bytes = sealed.manifest.files.size_bytes(), "sealed");
    Ok(job.protection.tell(facts(&sealed.manifest.files, inspected), signed))
}

/// Makes what was fetched into what will be served, and judges it.
async fn prepare(
    job: &Fetch,
    inspector: &Arc<dyn Inspect>,
    partial: &Partial,
    (fetched, signed): (Manifest, Option<&Signed>),
    progress: &Progress,
) -> Result<(Manifest, Inspected), FetchError> {
    if let Some(signed) = signed {
        // Which of the signed files are wanted was chosen before; not one of them may be missing or another.
        signed.check(&resources(&fetched), Coverage::Part)?;
    }
    let access = partial.access();
    // Before hours of conversion, whether it is worth them.
    let inspected = judge(inspector, &access, &partial.tree()).await?;
    match convert(&job.into, partial, &fetched, progress).await? {
        None => Ok((fetched, inspected)),
        Some(converted) => Ok((converted, judge(inspector, &access, &partial.tree()).await?)),
    }
}

async fn bring(
    job: &Fetch,
    client: &Client,
    partial: &Partial,
    files: &[RemoteFile],
    progress: &Progress,
) -> Result<Manifest, FetchError> {
    partial.keep_only(&files.iter().map(|file| &file.path).collect::<Vec<_>>())?;
    let (total, done) = (files.iter().filter_map(|file| file.size).sum::<u64>(), partial.done_bytes());
    let unlisted: u64 =
        files.iter().filter(|file| file.size.is_none()).filter_map(|file| partial.state(&file.path).size).sum();
    progress.begin(done, total + unlisted);
    let needed = (total + unlisted).saturating_sub(done).saturating_add(convert::room(files));
    volume::require_room(needed, volume::free_bytes(&job.into)?)?;
    tracing::info!(n_files = files.len(), total_bytes = total + unlisted, done_bytes = done, "fetching");
    // Encrypted files are written in whole chunks.
    let chunk_bytes = match partial.vault() {
        None => job.chunk_bytes.max(1),
        Some(_) => job.chunk_bytes.max(1).next_multiple_of(CHUNK_BYTES as u64),
    };
    let shape = Shape { chunk_bytes, n_connections: job.n_connections, n_files_at_once: 4 };
    let transfer = Transfer::new(client, partial, progress, shape);
    let digests = transfer.bring_all(files).await.map_err(|error| {
        let status = progress.snapshot();
        volume::explain_full(error, &job.into, status.total_bytes.saturating_sub(status.done_bytes))
    })?;
    let entries = files.iter().zip(digests).map(|(file, digests)| ManifestFile {
        path: file.path.as_str().to_owned(),
        size: digests.size,
        sha256: digests.sha256,
    });
    Ok(Manifest::new(entries.collect()))
}

/// Reads heads on the blocking pool.
pub(crate) async fn judge(
    inspector: &Arc<dyn Inspect>,
    access: &Arc<dyn Access>,
    model: &Path,
) -> Result<Inspected, FetchError> {
    let (inspector, access, model) = (Arc::clone(inspector), Arc::clone(access), owned(model));
    blocking(move || inspector.inspect(&*access, &model)).await
}

/// Compares with the digest that was approved.
pub(crate) fn expect(manifest: &Manifest, digest: Option<&str>) -> Result<(), FetchError> {
    let found = manifest.digest();
    match digest {
        Some(expected) if expected != found => {
            let n_files = manifest.files().len();
            Err(FetchError::ManifestDigest { expected: expected.to_owned(), found, n_files })
        }
        _ => Ok(()),
    }
}

pub(crate) fn facts(manifest: &Manifest, inspected: Inspected) -> ModelFacts {
    let digest = manifest.digest();
    ModelFacts {
        path: sealed_dir(&digest),
        digest,
        size_bytes: manifest.size_bytes(),
        format: inspected.format,
        architecture: inspected.architecture,
        parameter_count: inspected.parameter_count,
        context_length: inspected.context_length,
        signature: None,
        encryption: None,
    }
}

/// Held until dropped, and by the kernel's grace also when the process is killed.
async fn lock(into: &Path) -> Result<File, FetchError> {
    let path = into.join(LOCK_FILE);
    let file = File::options().create(true).write(true).truncate(false).open(&path).on_volume("open", &path)?;
    let deadline = tokio::time::Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // Some network file systems know no locks; the Job runs one pod at a time anyway.
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "the volume knows no locks");
                return Ok(file);
            }
            Err(TryLockError::WouldBlock) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(FetchError::VolumeState {
                    fault: "another fetch is working on it; wait for its pod to end".to_owned(),
                });
            }
        }
    }
}
