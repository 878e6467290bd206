//! Adapters that come with their model.

use std::{path::Path, sync::Arc};

use alcazar_contract::source::{FetchSource, HttpFile};
use alcazar_formats::{Adapter, adapter};
use alcazar_store::{Fetch, FormatsInspector, digest_of, fetch};
use sha2::{Digest as _, Sha256};

use crate::{bench::Bench, hub::hex};

const FILES: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

fn read(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// Path and bytes.
type File = (String, Vec<u8>);

/// The tiny llama in PyTorch's format, with an adapter and what else lies beside one.
fn repository() -> Vec<File> {
    let model =
        ["config.json", "tokenizer.json"].map(|name| (name.to_owned(), read(&format!("models/testdata/llama/{name}"))));
    let adapter = FILES.map(|name| {
        let bytes = read(&format!("../tests/fixtures/adapters/llama-yarn/layers/{name}"));
        (format!("adapters/tuned/{name}"), bytes)
    });
    let weights = ("pytorch_model.bin".to_owned(), read("formats/testdata/pytorch/llama.bin"));
    let others = [("adapters/tuned/optimizer.pt".to_owned(), vec![1]), ("adapters/README.md".to_owned(), vec![2])];
    model.into_iter().chain(adapter).chain([weights]).chain(others).collect()
}

async fn bench(files: &[File]) -> Bench {
    let files: Vec<_> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    Bench::with(&files).await
}

async fn seals_with_its_adapter(bench: &Bench, job: &Fetch) {
    let facts = fetch(job, Arc::new(FormatsInspector), &bench.progress).await.unwrap();
    assert_eq!(facts.format, "Safetensors", "the model is converted, whatever its adapters are");
    let root = bench.volume.path().join(&facts.path);
    let found = adapter::find(&root).unwrap();
    let [(name, path)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((name.as_str(), Adapter::open(name, path).unwrap().facts().rank), ("tuned", 2));
    let n_files = std::fs::read_dir(path).unwrap().count();
    assert_eq!(n_files, 2, "nothing else of the folder");
    assert_eq!(digest_of(&root, &bench.progress).await.unwrap().digest(), facts.digest, "it is sealed, too");
}

#[tokio::test]
async fn a_repository_is_sealed_with_its_adapters() {
    let bench = bench(&repository()).await;
    seals_with_its_adapter(&bench, &bench.job()).await;
    assert_eq!(bench.hub.n_seen("adapters/tuned/optimizer.pt"), 0);
}

#[tokio::test]
async fn plain_files_may_be_an_adapter_s() {
    let mut all = repository();
    all.truncate(5);
    // From anywhere, under paths of their own.
    let renamed: Vec<_> = (0..).zip(&all).map(|(nth, (_, bytes))| (format!("f{nth}"), bytes.clone())).collect();
    let bench = bench(&renamed).await;
    let file = |((name, bytes), (path, _)): (&File, &File)| HttpFile {
        url: format!("{}/plain/{name}", bench.hub.base()),
        sha256: hex(&Sha256::digest(bytes)),
        path: path.clone(),
    };
    let files = renamed.iter().zip(&all).map(file).collect();
    seals_with_its_adapter(&bench, &bench.job_of(FetchSource::Http { files })).await;
}
