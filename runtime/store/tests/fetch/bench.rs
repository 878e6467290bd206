//! What the tests of a fetch stand on: a volume, a job, a model of pseudo-random bytes.

use std::{path::Path, sync::Arc, time::Duration};

use alcazar_contract::{report::ModelFacts, source::FetchSource};
use alcazar_formats::Access;
use alcazar_store::{Fetch, FetchError, Inspect, Inspected, Progress, Timing, fetch};
use tempfile::TempDir;

use crate::hub::{Hub, REVISION};

/// Accepts what starts like a GGUF file.
pub(crate) struct StartsLikeGguf;

impl Inspect for StartsLikeGguf {
    fn inspect(&self, access: &dyn Access, model: &Path) -> Result<Inspected, FetchError> {
        let mut found = std::fs::read_dir(model).unwrap().map(|entry| entry.unwrap().path());
        let gguf = found.find(|path| path.extension().is_some_and(|extension| extension == "gguf"));
        let mut start = [0; 4];
        let read = access.open(&gguf.expect("a GGUF file should be there")).unwrap().read_exact_at(&mut start, 0);
        if read.is_err() || start != *b"GGUF" {
            return Err(FetchError::InvalidModel { fault: "no GGUF".to_owned() });
        }
        let (format, architecture) = ("GGUF".into(), "llama".into());
        Ok(Inspected { format, architecture, parameter_count: 1, context_length: 2, ..Inspected::default() })
    }
}

/// `GGUF` and then bytes that do not repeat.
pub(crate) fn model(size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    b"GGUF".iter().copied().chain(std::iter::repeat_with(|| random.u8(..))).take(size).collect()
}

pub(crate) struct Bench {
    pub hub: Arc<Hub>,
    pub volume: TempDir,
    pub progress: Progress,
}

impl Bench {
    pub(crate) async fn with(files: &[(&str, &[u8])]) -> Self {
        Self { hub: Hub::start(files).await, volume: tempfile::tempdir().unwrap(), progress: Progress::default() }
    }

    /// One GGUF of 200,000 bytes: thirteen ranges.
    pub(crate) async fn with_model() -> Self {
        Self::with(&[("model.gguf", &model(200_000)), ("README.md", b"# hi")]).await
    }

    pub(crate) fn job(&self) -> Fetch {
        let source = FetchSource::HuggingFace {
            endpoint: self.hub.base(),
            repo: "owner/name".into(),
            revision: REVISION.into(),
            files: vec![],
        };
        self.job_of(source)
    }

    pub(crate) fn job_of(&self, source: FetchSource) -> Fetch {
        Fetch {
            allow_hosts: vec!["127.0.0.1".to_owned()],
            timing: Timing {
                connect: Duration::from_secs(5),
                read: Duration::from_secs(2),
                backoff: Duration::from_millis(5),
                backoff_cap: Duration::from_millis(20),
                max_attempts: 4,
            },
            chunk_bytes: 16 * 1024,
            n_connections: 3,
            ..Fetch::new(source, self.volume.path().to_owned())
        }
    }

    pub(crate) async fn run(&self, job: &Fetch) -> Result<ModelFacts, FetchError> {
        fetch(job, Arc::new(StartsLikeGguf), &self.progress).await
    }

    /// Names at the root of the volume, the lock left out.
    pub(crate) fn on_volume(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.volume.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != ".fetch.lock");
        names.sort();
        names
    }

    pub(crate) fn assert_nothing_sealed(&self) {
        let names = self.on_volume();
        assert!(names.iter().all(|name| name.starts_with(".partial-")), "{names:?}");
    }

    pub(crate) fn assert_sealed(&self, facts: &ModelFacts, path: &str, bytes: &[u8]) {
        let name = facts.digest.replace(':', "-");
        assert_eq!(facts.path, name);
        assert_eq!(self.on_volume(), [name.clone(), format!("{name}.json")]);
        assert_eq!(std::fs::read(self.volume.path().join(&name).join(path)).unwrap(), bytes);
    }
}
