//! What an interrupted fetch leaves, and what the next one makes of it.

use std::time::Duration;

use alcazar_store::Fetch;

use crate::{
    bench::{Bench, model},
    hub::Fault,
};

/// Runs a slow fetch until so many bytes are there, and drops it as a kill would.
async fn interrupt(bench: &Bench, job: &Fetch, at_bytes: u64) {
    bench.hub.misbehave("model.gguf", Fault::Slow(Duration::from_millis(8)));
    tokio::select! {
        outcome = bench.run(job) => panic!("should still run: {outcome:?}"),
        () = async {
            while bench.progress.snapshot().done_bytes < at_bytes {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } => {}
    }
    // Bytes that were on their way to the volume may still land.
    tokio::time::sleep(Duration::from_millis(50)).await;
    bench.assert_nothing_sealed();
    bench.hub.behave();
}

#[tokio::test]
async fn a_killed_fetch_goes_on_where_it_was() {
    let bench = Bench::with(&[("model.gguf", &model(2_000_000))]).await;
    let job = Fetch { chunk_bytes: 128 * 1024, ..bench.job() };
    interrupt(&bench, &job, 1_000_000).await;
    let facts = bench.run(&job).await.unwrap();
    bench.assert_sealed(&facts, "model.gguf", &model(2_000_000));
    let seen = bench.hub.seen.lock().unwrap();
    let asked: usize = seen.iter().filter_map(|seen| seen.range).map(|(start, last)| last - start + 1).sum();
    assert!(asked < 1_700_000, "{asked} bytes were asked for again");
}

#[tokio::test]
async fn what_was_left_wrong_is_brought_again() {
    let bench = Bench::with(&[("model.gguf", &model(2_000_000))]).await;
    let job = Fetch { chunk_bytes: 128 * 1024, ..bench.job() };
    interrupt(&bench, &job, 1_000_000).await;
    let partial = bench.volume.path().join(&bench.on_volume()[0]).join("tree/model.gguf");
    let mut bytes = std::fs::read(&partial).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&partial, bytes).unwrap();
    let facts = bench.run(&job).await.unwrap();
    bench.assert_sealed(&facts, "model.gguf", &model(2_000_000));
}

#[tokio::test]
async fn a_file_that_changed_between_attempts_is_noticed() {
    let bench = Bench::with(&[("model.gguf", &model(2_000_000))]).await;
    let job = Fetch { chunk_bytes: 128 * 1024, ..bench.job() };
    interrupt(&bench, &job, 500_000).await;
    let mut other = model(2_000_000);
    other[4] ^= 1;
    bench.hub.files.lock().unwrap().insert("model.gguf".into(), other.clone().into());
    let facts = bench.run(&job).await.unwrap();
    bench.assert_sealed(&facts, "model.gguf", &other);
}

#[tokio::test]
async fn work_of_another_source_is_removed_and_the_old_model_stays() {
    let bench = Bench::with(&[("model.gguf", &model(2_000_000)), ("other.gguf", &model(1000))]).await;
    let naming = |name: &str| {
        let mut job = bench.job();
        if let alcazar_contract::source::FetchSource::HuggingFace { files, .. } = &mut job.source {
            files.push(name.to_owned());
        }
        job
    };
    let old = bench.run(&naming("other.gguf")).await.unwrap();
    bench.hub.misbehave("model.gguf", Fault::Status(500, 99));
    bench.run(&naming("model.gguf")).await.unwrap_err();
    assert_eq!(bench.on_volume().len(), 3, "{:?}", bench.on_volume());
    bench.hub.behave();
    assert_eq!(bench.run(&naming("other.gguf")).await.unwrap(), old);
    let new = bench.run(&naming("model.gguf")).await.unwrap();
    let names = bench.on_volume();
    assert!(names.contains(&old.path) && names.contains(&new.path) && names.len() == 4, "{names:?}");
}
