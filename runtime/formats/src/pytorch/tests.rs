//! Files that torch.save wrote, against what torch.load says of them, and files that nobody sane wrote.

mod families;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{Class, Error, checkpoint::Checkpoint, file::SourceFile};

#[derive(Deserialize)]
struct Expected {
    dtype: String,
    shape: Vec<usize>,
    bytes: String,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/pytorch").join(name)
}

fn open(path: &Path) -> Result<Checkpoint, Error> {
    let file = SourceFile::open(path)?;
    let tensors = super::read(&file, 0)?;
    Ok(Checkpoint { files: vec![file], tensors })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn dtype(tensor: &crate::checkpoint::Tensor) -> String {
    let name = tensor.element.written().to_string().to_lowercase();
    match name.split_at(1) {
        ("f", bits) => format!("float{bits}"),
        ("i", bits) => format!("int{bits}"),
        ("u", bits) => format!("uint{bits}"),
        ("b", "f16") => "bfloat16".to_owned(),
        _ => name,
    }
}

#[test]
fn every_file_holds_what_torch_reads_from_it() {
    let text = std::fs::read(fixture("expected.json")).unwrap();
    let files: BTreeMap<String, BTreeMap<String, Expected>> = serde_json::from_slice(&text).unwrap();
    assert_eq!(files.len(), 8);
    for (name, expected) in files {
        let checkpoint = open(&fixture(&name)).unwrap();
        assert_eq!(checkpoint.tensors().len(), expected.len(), "{name}");
        for tensor in checkpoint.tensors() {
            let wanted = &expected[&tensor.name];
            assert_eq!((&dtype(tensor), &tensor.shape), (&wanted.dtype, &wanted.shape), "{name}: {}", tensor.name);
            assert_eq!(hex(&checkpoint.read(tensor).unwrap()), wanted.bytes, "{name}: {}", tensor.name);
        }
    }
}

#[test]
fn tensors_come_in_the_order_of_the_file() {
    let checkpoint = open(&fixture("views.bin")).unwrap();
    let names: Vec<_> = checkpoint.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names[..3], ["transformer.wte.weight", "rows", "columns"]);
    assert_eq!(names.last(), Some(&"lm_head.weight"));
}

fn refusal(bytes: &[u8]) -> (Class, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.bin");
    std::fs::write(&path, bytes).unwrap();
    let error = open(&path).unwrap_err();
    (error.class(), error.to_string())
}

#[test]
fn whatever_is_no_weight_is_refused_by_its_name_and_place() {
    for (name, word) in [
        ("refused-call.bin", "posix.getcwd"),
        ("refused-module.bin", "torch.nn.modules.linear.Linear"),
        ("refused-float8.bin", "torch.float8_e4m3fn"),
        ("refused-complex.bin", "torch.ComplexFloatStorage"),
    ] {
        let error = open(&fixture(name)).unwrap_err();
        assert_eq!(error.class(), Class::Unsupported, "{error}");
        let text = error.to_string();
        assert!(text.contains(word) && text.contains("at byte "), "{text}");
    }
}

/// The legacy container around a dictionary that is written by hand.
fn legacy(pickle: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".as_slice();
    [
        magic,
        b"\x80\x02M\xe9\x03.",
        b"\x80\x02}.",
        pickle,
        b"\x80\x02]X\x01\x00\x00\x000a.",
        &2u64.to_le_bytes(),
        &[0; 8],
    ]
    .concat()
}

/// `{"w": tensor}` over a storage of two f32, with these operations for start, shape and strides.
fn one_tensor(start: &[u8], shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02NtQ";
    let head = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(";
    legacy(&[head.as_slice(), storage, start, shape, strides, b"\x89ccollections\nOrderedDict\n)RtRs."].concat())
}

#[test]
fn views_that_leave_their_storage_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.bin");
    std::fs::write(&path, one_tensor(b"K\0", b"K\x02\x85", b"K\x01\x85")).unwrap();
    assert_eq!(open(&path).unwrap().tensors().len(), 1);
    for (start, shape, strides, word) in [
        (b"K\x01".as_slice(), b"K\x02\x85".as_slice(), b"K\x01\x85".as_slice(), "elements within a storage of 2"),
        (b"K\0", b"K\x03\x85", b"K\x01\x85", "elements within a storage of 2"),
        (b"K\0", b"K\x02\x85", b"K\x02\x85", "elements within a storage of 2"),
        (b"J\xff\xff\xff\x7f", b"K\x02\x85", b"K\x01\x85", "elements within a storage of 2"),
        (b"J\xff\xff\xff\xff", b"K\x02\x85", b"K\x01\x85", "found -1, expected a number from 0"),
        (b"K\0", b"J\xff\xff\xff\x7f\x85", b"K\0\x85", "about as many elements"),
        (b"K\0", b"K\x02\x85", b")", "each with its stride"),
        (b"N", b"K\x02\x85", b"K\x01\x85", "found None, expected a number"),
    ] {
        let (class, text) = refusal(&one_tensor(start, shape, strides));
        assert!(class == Class::Invalid && text.contains(word), "{text} should say {word}");
    }
}

#[test]
fn broken_pickles_say_where_they_break() {
    for (pickle, word) in [
        (b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.".as_slice(), "os.system"),
        (b"\x80\x02c__builtin__\neval\n.", "__builtin__.eval"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", "posix.system"),
        (b"\x80\x00.", "pickle protocol 0"),
        (b"\x80\x02i", "operation 0x69"),
        (b"\x80\x02\x82\x01.", "operation 0x82"),
        (b"\x80\x02X\xff\xff\xff\xff", "a string of 4294967295 bytes"),
        (b"\x80\x02h\x07.", "memo 7"),
        (b"\x80\x02t.", "no mark"),
        (b"\x80\x020.", "an empty stack"),
        (b"\x80\x02(\x850.", "an empty stack"),
        (b"\x80\x02}(Nu.", "a key without value"),
        (b"\x80\x02NN\x85R.", "a call of None"),
        (b"\x80\x02]N)s.", "found a list, expected a dictionary"),
        (b"\x80\x02}.", "that no tensor has"),
    ] {
        let (_, text) = refusal(&legacy(pickle));
        assert!(text.contains(word), "{text} should say {word}");
    }
    let nested = [b"\x80\x02".as_slice(), &b"(".repeat(5000), b"."].concat();
    assert!(refusal(&legacy(&nested)).1.contains("containers within each other"));
    let growing = [b"\x80\x02]".as_slice(), &b"2".repeat(1 << 21), b"."].concat();
    assert!(refusal(&legacy(&growing)).1.contains("values on the stack"));
    for bytes in [b"".as_slice(), b"<html>", b"version https://git-lfs", b"\x80\x02}q\0."] {
        assert!(refusal(bytes).1.contains("another kind of file"));
    }
}

#[test]
fn a_compressed_or_cut_archive_is_refused() {
    let whole = std::fs::read(fixture("module.pt")).unwrap();
    assert!(refusal(&whole[..whole.len() - 30]).1.contains("no directory"));
    let mut packed = whole.clone();
    let directory = packed.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    packed[directory + 10] = 8;
    assert!(refusal(&packed).1.contains("compression method 8"));
    let mut far = whole;
    far[directory + 42..directory + 46].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    assert!(refusal(&far).1.contains("a file of 3706 bytes"));
}
