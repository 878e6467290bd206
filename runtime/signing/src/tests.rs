//! What a signature must withstand: every way to change a model, a signature or who made it.

mod certificates;
mod garbage;

use std::{fs, os::unix::fs::symlink, path::Path, time::SystemTime};

use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use tempfile::TempDir;

use crate::{Coverage, PrivateKey, Resource, SIGNATURE_FILE, SignatureError, Signer, Trust, directory, open, sign};

/// A key that is always the same; tests of what a signature withstands need no chance.
pub(super) fn key(seed: u8) -> PrivateKey {
    let pem = p256::SecretKey::from_slice(&[seed; 32]).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
    PrivateKey::from_pem(&pem).unwrap()
}

pub(super) fn model() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("1_Pooling")).unwrap();
    fs::create_dir_all(dir.path().join(".git")).unwrap();
    fs::write(dir.path().join("config.json"), "{}").unwrap();
    fs::write(dir.path().join("model.safetensors"), [7; 5000]).unwrap();
    fs::write(dir.path().join("1_Pooling/config.json"), "{\"a\":1}").unwrap();
    fs::write(dir.path().join(".git/HEAD"), "ref").unwrap();
    dir
}

fn signed() -> TempDir {
    let dir = model();
    directory::sign(dir.path(), &key(1), None).unwrap();
    dir
}

fn verify(dir: &Path) -> Result<(), SignatureError> {
    directory::verify(dir, &Trust::Key(key(1).public()), SystemTime::UNIX_EPOCH).map(|_| ())
}

#[test]
fn a_model_that_was_signed_is_what_it_was() {
    let dir = signed();
    let signed = directory::verify(dir.path(), &Trust::Key(key(1).public()), SystemTime::now()).unwrap();
    assert_eq!(signed.signer, Signer::Key { id: key(1).public().id().unwrap() });
    let names: Vec<&str> = signed.resources().iter().map(|file| &*file.name).collect();
    assert_eq!(names, ["1_Pooling/config.json", "config.json", "model.safetensors"]);
}

#[test]
fn every_curve_signs() {
    let p384 = p384::SecretKey::from_slice(&[3; 48]).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
    let p521 = p521::SecretKey::from_slice(&[[0; 33].as_slice(), &[5; 33]].concat()).unwrap();
    let p521 = p521.to_sec1_pem(LineEnding::LF).unwrap();
    for pem in [p384, p521] {
        let key = PrivateKey::from_pem(&pem).unwrap();
        let dir = model();
        directory::sign(dir.path(), &key, None).unwrap();
        directory::verify(dir.path(), &Trust::Key(key.public()), SystemTime::now()).unwrap();
        assert!(verify(dir.path()).is_err(), "another key");
    }
}

#[test]
fn a_flipped_bit_in_any_file_is_found() {
    let dir = signed();
    for name in ["1_Pooling/config.json", "config.json", "model.safetensors"] {
        let path = dir.path().join(name);
        let sound = fs::read(&path).unwrap();
        for at in [0, sound.len() / 2, sound.len() - 1] {
            let mut flipped = sound.clone();
            flipped[at] ^= 1;
            fs::write(&path, &flipped).unwrap();
            let error = verify(dir.path()).unwrap_err();
            assert!(matches!(&error, SignatureError::NotOfFiles { fault } if fault.starts_with(name)), "{error}");
        }
        fs::write(&path, sound).unwrap();
    }
    verify(dir.path()).unwrap();
}

#[test]
fn removed_added_renamed_and_linked_files_are_found() {
    let change = |change: &dyn Fn(&Path)| {
        let dir = signed();
        change(dir.path());
        verify(dir.path()).unwrap_err().to_string()
    };
    let removed = change(&|dir| fs::remove_file(dir.join("config.json")).unwrap());
    assert!(removed.contains("config.json was signed and is missing"), "{removed}");
    let added = change(&|dir| fs::write(dir.join("tokenizer.json"), "{}").unwrap());
    assert!(added.contains("tokenizer.json was not signed"), "{added}");
    let renamed = change(&|dir| fs::rename(dir.join("config.json"), dir.join("config2.json")).unwrap());
    assert!(renamed.contains("config2.json was not signed"), "{renamed}");
    let linked = change(&|dir| symlink("config.json", dir.join("link")).unwrap());
    assert!(linked.contains("no regular file"), "{linked}");
    let replaced = change(&|dir| {
        fs::rename(dir.join("model.safetensors"), dir.join("../moved")).ok();
        fs::remove_file(dir.join("model.safetensors")).ok();
        symlink("/dev/null", dir.join("model.safetensors")).unwrap();
    });
    assert!(replaced.contains("no regular file"), "{replaced}");
}

#[test]
fn the_signature_of_another_model_or_of_another_key_is_none() {
    let dir = signed();
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("config.json"), "{\"other\":1}").unwrap();
    directory::sign(other.path(), &key(1), None).unwrap();
    fs::copy(other.path().join(SIGNATURE_FILE), dir.path().join(SIGNATURE_FILE)).unwrap();
    assert!(matches!(verify(dir.path()), Err(SignatureError::NotOfFiles { .. })));
    directory::sign(dir.path(), &key(2), None).unwrap();
    let error = verify(dir.path()).unwrap_err().to_string();
    assert!(error.contains(&key(2).public().id().unwrap()), "{error}");
}

#[test]
fn the_hint_at_a_key_proves_nothing() {
    let text = sign("m", &directory::hash(model().path()).unwrap(), &key(2), None).unwrap();
    let lying = text.replace(&key(2).public().id().unwrap(), &key(1).public().id().unwrap());
    let error = open(lying.as_bytes(), &Trust::Key(key(1).public()), SystemTime::now()).unwrap_err();
    assert!(matches!(error, SignatureError::NotOfSigner { .. }), "{error}");
}

#[test]
fn a_part_must_be_signed_and_need_not_be_all() {
    let dir = signed();
    let bundle = directory::read(&dir.path().join(SIGNATURE_FILE)).unwrap();
    let signed = open(&bundle, &Trust::Key(key(1).public()), SystemTime::now()).unwrap();
    let files = directory::hash(dir.path()).unwrap();
    signed.check(&files[1..], Coverage::Part).unwrap();
    assert!(signed.check(&files[1..], Coverage::Whole).is_err());
    assert!(signed.check(&[], Coverage::Part).is_err(), "nothing is no model");
    let foreign = Resource { name: "x".to_owned(), sha256: files[0].sha256.clone() };
    assert!(signed.check(&[foreign], Coverage::Part).is_err());
}

#[test]
fn keys_are_told_apart() {
    let private = p256::SecretKey::from_slice(&[1; 32]).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
    let error = crate::PublicKey::from_pem(&private).unwrap_err().to_string();
    assert!(error.contains("keep the private key"), "{error}");
    assert!(!error.contains(private.lines().nth(1).unwrap()), "no key in a message");
    assert!(PrivateKey::from_pem("-----BEGIN ENCRYPTED PRIVATE KEY-----").is_err());
    let with_parameters =
        format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{}", *private);
    PrivateKey::from_pem(&with_parameters).unwrap();
}
