//! What happens between the hash and the load does not get into the model.

use std::{fs, os::unix::fs::symlink, path::Path};

use alcazar_formats::Access as _;

use super::TAGGED_BYTES;
use crate::{Progress, Protection, Verified, prove};

async fn proven(dir: &Path) -> Verified {
    prove(dir, &Protection::default(), &Progress::default()).await.unwrap().1
}

fn read(verified: &Verified, path: &Path) -> std::io::Result<Vec<u8>> {
    let file = verified.open(path)?;
    let mut all = vec![0; usize::try_from(file.length()).unwrap()];
    file.read_exact_at(&mut all, 0).map(|()| all)
}

#[tokio::test]
async fn what_was_hashed_is_what_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for size in [0, 1, TAGGED_BYTES, TAGGED_BYTES + 1, 20 * TAGGED_BYTES + 3] {
        let path = dir.path().join(format!("{size}"));
        let bytes: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        fs::write(&path, &bytes).unwrap();
        let verified = proven(dir.path()).await;
        assert!(read(&verified, &path).unwrap() == bytes, "{size}");
    }
}

#[tokio::test]
async fn a_swap_after_verification_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    let sound = vec![7; 3 * TAGGED_BYTES + 9];
    let refused = async |change: &dyn Fn()| {
        fs::remove_file(&path).ok();
        fs::write(&path, &sound).unwrap();
        let verified = proven(dir.path()).await;
        let open = verified.open(&path).unwrap();
        change();
        let mut all = vec![0; sound.len()];
        assert!(read(&verified, &path).is_err(), "opened later");
        // A file that was replaced under its name is still the old one to who has it open.
        if open.read_exact_at(&mut all, 0).is_ok() {
            assert!(all == sound);
        }
    };
    for at in [0, TAGGED_BYTES, sound.len() - 1] {
        refused(&|| {
            let mut flipped = sound.clone();
            flipped[at] ^= 1;
            fs::write(&path, flipped).unwrap();
        })
        .await;
    }
    refused(&|| fs::write(&path, &sound[1..]).unwrap()).await;
    refused(&|| fs::remove_file(&path).unwrap()).await;
    refused(&|| {
        fs::write(dir.path().join("../evil"), vec![8; sound.len()]).unwrap();
        fs::remove_file(&path).unwrap();
        symlink("../evil", &path).unwrap();
    })
    .await;
    let _ = fs::remove_file(dir.path().join("../evil"));
}

#[tokio::test]
async fn a_file_that_came_later_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.json"), "{}").unwrap();
    let verified = proven(dir.path()).await;
    let late = dir.path().join("tokenizer.json");
    fs::write(&late, "{}").unwrap();
    assert!(verified.open(&late).unwrap_err().to_string().contains("was not there"));
    assert!(verified.open(Path::new("/etc/passwd")).is_err());
}
