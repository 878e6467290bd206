//! Sealed files and their header, against age itself.

use std::{fs, io::Read as _, io::Write as _, path::Path};

use age_core::secrecy::ExposeSecret as _;
use alcazar_formats::Access as _;
use tempfile::TempDir;

use super::{CHUNK_BYTES, Keys, Vault, header_path, sealed_length};
use crate::error::FetchError;

fn identity() -> String {
    age::x25519::Identity::generate().to_string().expose_secret().to_owned()
}

fn keys(current: &str, previous: &str) -> Keys {
    Keys::parse(current, previous).unwrap()
}

fn bytes(n: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(n as u64);
    (0..n).map(|_| random.u8(..)).collect()
}

/// A model of one file, its header beside it.
fn sealed(plain: &[u8], keys: &Keys) -> (TempDir, Vault) {
    let dir = tempfile::tempdir().unwrap();
    let vault = Vault::create(&dir.path().join("m.age"), keys).unwrap();
    let mut writer = vault.writer(&dir.path().join("file")).unwrap();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap();
    (dir, vault)
}

fn read(vault: &Vault, path: &Path) -> std::io::Result<Vec<u8>> {
    let file = vault.open(path)?;
    let mut all = vec![0; usize::try_from(file.length()).unwrap()];
    file.read_exact_at(&mut all, 0)?;
    file.read_at(&mut [], 0)?;
    Ok(all)
}

const SIZES: [usize; 9] =
    [0, 1, 100, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 40 * CHUNK_BYTES, 40 * CHUNK_BYTES + 7];

#[test]
fn age_opens_what_was_sealed() {
    let text = identity();
    let keys = keys(&text, "");
    for size in SIZES {
        let plain = bytes(size);
        let (dir, vault) = sealed(&plain, &keys);
        let path = dir.path().join("file");
        assert_eq!(fs::metadata(&path).unwrap().len(), sealed_length(size as u64), "{size}");
        let whole = [fs::read(dir.path().join("m.age")).unwrap(), fs::read(&path).unwrap()].concat();
        let identity: age::x25519::Identity = text.parse().unwrap();
        let decryptor = age::Decryptor::new(whole.as_slice()).unwrap();
        let mut found = Vec::new();
        decryptor.decrypt(std::iter::once(&identity as _)).unwrap().read_to_end(&mut found).unwrap();
        assert_eq!(found, plain, "{size}");
        assert_eq!(read(&vault, &path).unwrap(), plain, "{size}");
    }
}

#[test]
fn a_file_is_written_in_any_order_and_over_many_starts() {
    let keys = keys(&identity(), "");
    for size in SIZES {
        let plain = bytes(size);
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::create(&dir.path().join("m.age"), &keys).unwrap();
        let path = dir.path().join("file");
        for (nth, chunk) in plain.chunks(3 * CHUNK_BYTES).enumerate().collect::<Vec<_>>().into_iter().rev() {
            // Each start opens the file anew, and reads its nonce.
            let (file, cipher) = vault.begin(&path).unwrap();
            let at = (nth * 3 * CHUNK_BYTES) as u64;
            assert_eq!(cipher.write_at(&file, chunk, at, Some(size as u64)).unwrap(), chunk.len());
        }
        if size == 0 {
            let (file, cipher) = vault.begin(&path).unwrap();
            cipher.write_empty(&file).unwrap();
        }
        assert_eq!(read(&vault, &path).unwrap(), plain, "{size}");
    }
}

#[test]
fn what_may_be_the_last_chunk_waits_for_the_size() {
    let (dir, vault) = sealed(&[], &keys(&identity(), ""));
    let (file, cipher) = vault.begin(&dir.path().join("other")).unwrap();
    let plain = bytes(2 * CHUNK_BYTES);
    assert_eq!(cipher.write_at(&file, &plain, 0, None).unwrap(), CHUNK_BYTES);
    assert_eq!(cipher.write_at(&file, &plain[..100], 0, None).unwrap(), 0);
    assert_eq!(cipher.write_at(&file, &plain[..100], 0, Some(1000)).unwrap(), 0);
    assert_eq!(cipher.write_at(&file, &plain[..100], 0, Some(100)).unwrap(), 100);
}

#[test]
fn any_place_is_read() {
    let plain = bytes(20 * CHUNK_BYTES + 77);
    let (dir, vault) = sealed(&plain, &keys(&identity(), ""));
    let file = vault.open(&dir.path().join("file")).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..200 {
        let from = random.usize(..plain.len());
        let n = random.usize(..=plain.len() - from);
        let mut found = vec![0; n];
        file.read_exact_at(&mut found, from as u64).unwrap();
        assert!(found == plain[from..from + n], "{from} {n}");
    }
    assert!(file.read_exact_at(&mut [0; 2], plain.len() as u64 - 1).is_err());
}

#[test]
fn no_changed_chunk_is_read() {
    let plain = bytes(3 * CHUNK_BYTES + 5);
    let keys = keys(&identity(), "");
    let (dir, vault) = sealed(&plain, &keys);
    let path = dir.path().join("file");
    let sound = fs::read(&path).unwrap();
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).unwrap();
        assert!(read(&vault, &path).is_err(), "{what}");
    };
    for at in [0, 16, 17, sound.len() / 2, sound.len() - 1] {
        let mut flipped = sound.clone();
        flipped[at] ^= 1;
        refused(&flipped, "a flipped bit");
    }
    let chunk = CHUNK_BYTES + 16;
    refused(&sound[..16 + 2 * chunk], "cut off after a chunk");
    refused(&sound[..sound.len() - 1], "cut off");
    refused(&[&sound[..], b"x"].concat(), "longer");
    let swapped = [&sound[..16], &sound[16 + chunk..16 + 2 * chunk], &sound[16..16 + chunk], &sound[16 + 2 * chunk..]];
    refused(&swapped.concat(), "chunks in another order");
    for n in 0..33 {
        refused(&sound[..n], "a start of a file");
    }
    fs::write(&path, &sound).unwrap();
    assert!(Vault::open(&dir.path().join("m.age"), &keys, false).is_ok());
    // Another model's key, though for the same holder.
    let (_other, other) = sealed(&plain, &keys);
    assert!(read(&other, &path).is_err());
}

#[test]
fn rotation_wraps_anew_and_leaves_the_files_alone() {
    let (old, new) = (identity(), identity());
    let plain = bytes(100_000);
    let (dir, _) = sealed(&plain, &keys(&old, ""));
    let (header, file) = (dir.path().join("m.age"), dir.path().join("file"));
    let before = (fs::read(&header).unwrap(), fs::read(&file).unwrap());
    let both = keys(&new, &format!("# the key of last year\n{old}\n"));
    let looked = Vault::open(&header, &both, false).unwrap();
    assert_eq!(read(&looked, &file).unwrap(), plain);
    assert_eq!(fs::read(&header).unwrap(), before.0, "whoever only looks changes nothing");
    Vault::open(&header, &both, true).unwrap();
    assert_ne!(fs::read(&header).unwrap(), before.0);
    assert_eq!(fs::read(&file).unwrap(), before.1);
    assert_eq!(read(&Vault::open(&header, &keys(&new, ""), false).unwrap(), &file).unwrap(), plain);
    let error = Vault::open(&header, &keys(&old, ""), true).unwrap_err();
    assert!(matches!(error, FetchError::Key { .. }), "{error}");
}

#[test]
fn keys_that_are_none_say_so_and_are_not_shown() {
    let good = identity();
    let bad = format!("{}x", &good[..good.len() - 1]);
    for (current, previous) in [(bad.as_str(), ""), ("", ""), (&*format!("{good}\n{good}"), ""), (&good, bad.as_str())]
    {
        let error = Keys::parse(current, previous).unwrap_err();
        assert_eq!(error.reason().as_str(), "KeyInvalid");
        let error = error.to_string();
        assert!(!error.contains(&bad[20..40]), "{error}");
    }
    assert!(!format!("{:?}", keys(&good, "")).contains(&good[20..40]));
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Keys::read(dir.path()).unwrap_err().reason().as_str(), "KeyMissing");
    fs::write(dir.path().join("key"), &good).unwrap();
    assert!(Keys::read(dir.path()).unwrap().recipient().starts_with("age1"));
}

#[test]
fn a_header_that_was_changed_opens_nothing() {
    let keys = keys(&identity(), "");
    let (dir, _) = sealed(b"x", &keys);
    let header = dir.path().join("m.age");
    let sound = fs::read(&header).unwrap();
    for at in 0..sound.len() {
        let mut changed = sound.clone();
        changed[at] ^= 1;
        fs::write(&header, &changed).unwrap();
        assert!(Vault::open(&header, &keys, true).is_err(), "{at}");
        fs::write(&header, &sound[..at]).unwrap();
        assert!(Vault::open(&header, &keys, true).is_err(), "cut at {at}");
    }
    assert_eq!(header_path(Path::new("/w/sha256-00")), Path::new("/w/sha256-00.age"));
}
