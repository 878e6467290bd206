//! Files that TensorFlow, Keras and h5py wrote, against what transformers makes of them in PyTorch.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::hdf5;
use crate::{
    Class, Error,
    checkpoint::{Checkpoint, Found},
    file::SourceFile,
};

#[derive(Deserialize)]
struct Expected {
    shape: Vec<usize>,
    bytes: String,
}

fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/tensorflow"))
}

fn expected(of: &str) -> BTreeMap<String, Expected> {
    let text = fs::read(fixtures().join("expected.json")).unwrap();
    let mut files: BTreeMap<String, BTreeMap<String, Expected>> = serde_json::from_slice(&text).unwrap();
    files.remove(of).unwrap()
}

/// A directory with these fixtures.
fn directory(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        fs::copy(fixtures().join(name), dir.path().join(Path::new(name).file_name().unwrap())).unwrap();
    }
    dir
}

fn open(dir: &Path) -> Result<Checkpoint, Error> {
    Found::look(&crate::Plain, dir)?.expect("a checkpoint should be there").open(&crate::Plain, dir)
}

fn assert_holds(checkpoint: &Checkpoint, expected: &BTreeMap<String, Expected>) {
    let mut names: Vec<_> = checkpoint.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    names.sort_unstable();
    let mut wanted: Vec<_> = expected.keys().map(String::as_str).collect();
    wanted.sort_unstable();
    assert_eq!(names, wanted);
    for tensor in checkpoint.tensors() {
        let wanted = &expected[&tensor.name];
        let bytes = checkpoint.read(tensor).unwrap();
        let hex = bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        assert_eq!((&tensor.shape, &hex), (&wanted.shape, &wanted.bytes), "{}", tensor.name);
    }
}

#[test]
fn keras_files_become_what_transformers_makes_of_them() {
    for name in ["bert.h5", "gpt2.h5"] {
        assert_holds(&open(directory(&[name]).path()).unwrap(), &expected(name));
    }
}

#[test]
fn keras_files_of_the_other_families_become_what_transformers_makes_of_them() {
    let mut names: Vec<_> =
        fs::read_dir(fixtures().join("families")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 11);
    for name in names {
        let name = format!("families/{}", name.to_str().unwrap());
        let (mut checkpoint, expected) = (open(directory(&[&name]).path()).unwrap(), expected(&name));
        checkpoint.tensors.retain(|tensor| expected.contains_key(&tensor.name) || !is_left_out(&tensor.name));
        assert_holds(&checkpoint, &expected);
    }
}

/// What PyTorch's classes have under another name already, or not at all.
fn is_left_out(name: &str) -> bool {
    ["decoder.bias", "decoder.weight", "pooler.dense.bias", "pooler.dense.weight"].iter().any(|end| name.ends_with(end))
}

#[test]
fn a_sharded_keras_model_is_the_same_model() {
    let [first, second] = [1, 2].map(|nth| format!("sharded/tf_model-0000{nth}-of-00002.h5"));
    let dir = directory(&[&first, &second, "sharded/tf_model.h5.index.json"]);
    assert_eq!(Found::look(&crate::Plain, dir.path()).unwrap().unwrap().files().count(), 3);
    assert_holds(&open(dir.path()).unwrap(), &expected("bert.h5"));
}

#[test]
fn checkpoints_of_version_1_become_what_transformers_makes_of_them() {
    let data = |name: &str, n: usize| -> Vec<String> {
        (0..n).map(|nth| format!("{name}.data-{nth:05}-of-{n:05}")).chain([format!("{name}.index")]).collect()
    };
    for (name, n) in [("bert_model.ckpt", 2), ("gpt2_model.ckpt", 1), ("types", 1)] {
        let files = data(name, n);
        let dir = directory(&files.iter().map(String::as_str).collect::<Vec<_>>());
        assert_holds(&open(dir.path()).unwrap(), &expected(&format!("{name}.index")));
    }
}

/// A SavedModel; its program is not read, so any file stands for it.
fn saved_model() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("saved_model.pb"), "program").unwrap();
    fs::create_dir(dir.path().join("variables")).unwrap();
    for name in ["variables/variables.index", "variables/variables.data-00000-of-00001"] {
        fs::copy(fixtures().join("saved").join(name), dir.path().join(name)).unwrap();
    }
    dir
}

#[test]
fn the_variables_of_a_saved_model_are_named_by_its_graph() {
    let dir = saved_model();
    assert_holds(&open(dir.path()).unwrap(), &expected("bert.h5"));
    let found = Found::look(&crate::Plain, dir.path()).unwrap().unwrap();
    let mut files: Vec<_> = found.files().collect();
    files.sort_unstable();
    assert_eq!(files, ["saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"]);
}

#[test]
fn plain_hdf5_is_read_in_both_generations() {
    for name in ["boxes.h5", "latest.h5"] {
        let file = SourceFile::open(&fixtures().join(name)).unwrap();
        let tensors = hdf5::datasets(&file, 0).unwrap();
        tensors.iter().try_for_each(|tensor| tensor.check(&file)).unwrap();
        assert_holds(&Checkpoint { files: vec![file], tensors }, &expected("boxes.h5"));
    }
    let file = SourceFile::open(&fixtures().join("many.h5")).unwrap();
    let tensors = hdf5::datasets(&file, 0).unwrap();
    let checkpoint = Checkpoint { files: vec![file], tensors };
    assert_eq!(checkpoint.tensors().len(), 40);
    for tensor in checkpoint.tensors() {
        let nth: f32 = tensor.name.trim_start_matches("layer_").trim_end_matches("/x").parse().unwrap();
        assert_eq!(checkpoint.read(tensor).unwrap(), [nth, nth].map(f32::to_le_bytes).as_flattened());
    }
}

fn refusal(path: PathBuf, bytes: &[u8], others: &tempfile::TempDir) -> (Class, String) {
    fs::write(others.path().join(path), bytes).unwrap();
    let result = open(others.path())
        .and_then(|checkpoint| checkpoint.tensors().iter().try_for_each(|tensor| checkpoint.read(tensor).map(drop)));
    let error = result.unwrap_err();
    (error.class(), error.to_string())
}

#[test]
fn what_is_not_read_of_hdf5_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    for (name, word) in [
        ("refused-compressed.h5", "the compressed dataset"),
        ("refused-latest.h5", "the layout of version 4 and class 2"),
    ] {
        let (class, text) = refusal("tf_model.h5".into(), &fs::read(fixtures().join(name)).unwrap(), &dir);
        assert!(class == Class::Unsupported && text.contains(word), "{text}");
    }
    let whole = fs::read(fixtures().join("bert.h5")).unwrap();
    let (class, text) = refusal("tf_model.h5".into(), &whole[..whole.len() - 3000], &dir);
    assert!(class == Class::Invalid && text.contains("at byte"), "{text}");
    assert!(refusal("tf_model.h5".into(), b"<html>", &dir).1.contains("another kind of file"));
}

#[test]
fn damaged_checkpoints_are_told_by_their_checksums() {
    let data = "bert_model.ckpt.data-00001-of-00002";
    let dir = directory(&["bert_model.ckpt.data-00000-of-00002", data, "bert_model.ckpt.index"]);
    let mut bytes = fs::read(fixtures().join(data)).unwrap();
    bytes[100] ^= 1;
    let (class, text) = refusal(data.into(), &bytes, &dir);
    assert!(class == Class::Invalid && text.contains("the numbers are damaged"), "{text}");
    let (_, text) = refusal(data.into(), &bytes[..200], &dir);
    assert!(text.contains("the file is cut off"), "{text}");
    let table = fs::read(fixtures().join("bert_model.ckpt.index")).unwrap();
    let mut damaged = table.clone();
    damaged[40] ^= 1;
    let (_, text) = refusal("bert_model.ckpt.index".into(), &damaged, &dir);
    assert!(text.contains("the table is damaged"), "{text}");
    assert!(refusal("bert_model.ckpt.index".into(), &table[..100], &dir).1.contains("another kind of file"));
}
