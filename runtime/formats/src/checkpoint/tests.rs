//! What conversion writes, read again.

use std::{collections::BTreeMap, io, path::Path};

use alcazar_core::WeightType;
use proptest::prelude::*;

use super::{
    Checkpoint, Chunk, Element, Found, Storage, Tensor, bands,
    convert::{self, Plan},
    row_major,
};
use crate::{Error, Format, file::SourceFile, safetensors};

fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/pytorch"))
}

/// A directory with some of torch's files under other names.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (from, to) in files {
        std::fs::copy(fixtures().join(from), dir.path().join(to)).unwrap();
    }
    dir
}

fn open(dir: &Path) -> Checkpoint {
    Found::look(&crate::Plain, dir).unwrap().unwrap().open(&crate::Plain, dir).unwrap()
}

fn convert_all(checkpoint: &Checkpoint, shard_bytes: u64) -> BTreeMap<String, Vec<u8>> {
    let plan = Plan::new(checkpoint, shard_bytes);
    let failed = |source: io::Error| Error::Read { file: "out".into(), offset: 0, source };
    let mut files: BTreeMap<_, _> = plan
        .shards()
        .iter()
        .map(|shard| {
            let mut out = Vec::new();
            convert::write(checkpoint, shard, &mut out, failed).unwrap();
            (shard.name.clone(), out)
        })
        .collect();
    assert_eq!(plan.size_bytes(), files.values().map(|file| file.len() as u64).sum::<u64>());
    files.extend(plan.index(checkpoint).map(|index| (convert::INDEX.to_owned(), index)));
    files
}

/// The table of a safetensors file as a person would read it.
fn table(bytes: &[u8]) -> serde_json::Value {
    let n = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    assert!(n.is_multiple_of(8));
    serde_json::from_slice(&bytes[8..8 + n]).unwrap()
}

#[test]
fn one_file_becomes_one_file_with_each_tensor_once() {
    let dir = directory(&[("views.bin", "pytorch_model.bin")]);
    let checkpoint = open(dir.path());
    let files = convert_all(&checkpoint, convert::SHARD_BYTES);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["model.safetensors"]);
    let table = table(&files["model.safetensors"]);
    assert_eq!(table["__metadata__"]["format"], "pt");
    let names: Vec<_> = table.as_object().unwrap().keys().collect();
    assert!(names.contains(&&"twin".to_owned()), "a view that two names have is written under both");
    assert!(!names.contains(&&"lm_head.weight".to_owned()), "a tied output is left out, as Hugging Face does");
    assert!(!names.contains(&&"empty".to_owned()));
    assert_eq!(table["scalar"]["dtype"], "F32", "64 bits become 32");
    let path = dir.path().join("model.safetensors");
    std::fs::write(&path, &files["model.safetensors"]).unwrap();
    let file = SourceFile::open(&path).unwrap();
    let entries = safetensors::read_header(&file).unwrap();
    let transposed = &entries["transposed"];
    assert_eq!((transposed.weight_type, transposed.shape.as_slice()), (WeightType::F32, [8, 6].as_slice()));
    let original = checkpoint.tensors().iter().find(|tensor| tensor.name == "transposed").unwrap();
    assert_eq!(file.bytes_at(transposed.offset, transposed.n_bytes).unwrap(), checkpoint.read(original).unwrap());
}

#[test]
fn the_same_checkpoint_gives_the_same_bytes() {
    let (zip, legacy) = (directory(&[("views.bin", "a.bin")]), directory(&[("views-legacy.bin", "b.pt")]));
    let [zip, legacy] = [zip, legacy].map(|dir| convert_all(&open(dir.path()), convert::SHARD_BYTES));
    assert_eq!(zip, legacy);
}

#[test]
fn what_is_larger_than_a_shard_is_cut_between_tensors() {
    let dir = directory(&[("module.pt", "model.pt")]);
    let checkpoint = open(dir.path());
    let files = convert_all(&checkpoint, 40);
    assert_eq!(files.len(), 5, "{:?}", files.keys());
    let index: serde_json::Value = serde_json::from_slice(&files[convert::INDEX]).unwrap();
    for tensor in checkpoint.tensors() {
        let file = index["weight_map"][&tensor.name].as_str().unwrap();
        assert_eq!(table(&files[file])[&tensor.name]["shape"], serde_json::json!(tensor.shape));
    }
    assert_eq!(index["metadata"]["total_size"], 140);
}

#[test]
fn shards_are_found_by_their_table_or_their_names() {
    let dir = directory(&[("module.pt", "a-00001-of-00002.bin"), ("dtypes.bin", "a-00002-of-00002.bin")]);
    let found = Found::look(&crate::Plain, dir.path()).unwrap().unwrap();
    assert_eq!((found.format, found.files().count()), (Format::PyTorch, 2));
    assert_eq!(found.open(&crate::Plain, dir.path()).unwrap().tensors().len(), 9 + 13);
    std::fs::write(dir.path().join("other.bin"), "x").unwrap();
    assert!(Found::look(&crate::Plain, dir.path()).unwrap_err().to_string().contains("3 weight files"));
    let index = r#"{"weight_map": {"0.weight": "a-00001-of-00002.bin", "x": "a-00002-of-00002.bin"}}"#;
    std::fs::write(dir.path().join("pytorch_model.bin.index.json"), index).unwrap();
    assert_eq!(Found::look(&crate::Plain, dir.path()).unwrap().unwrap().files().count(), 3);
    std::fs::copy(dir.path().join("a-00001-of-00002.bin"), dir.path().join("a-00002-of-00002.bin")).unwrap();
    let twice = Found::look(&crate::Plain, dir.path()).unwrap().unwrap().open(&crate::Plain, dir.path()).unwrap_err();
    assert!(twice.to_string().contains("twice"), "{twice}");
    assert_eq!(Found::look(&crate::Plain, tempfile::tempdir().unwrap().path()).unwrap(), None);
}

#[test]
fn boxes_become_rows() {
    // [3, 5] in boxes of [2, 2]; what hangs over the edge is 99.
    let boxes = [[0, 1, 5, 6], [2, 3, 7, 8], [4, 99, 9, 99], [10, 11, 99, 99], [12, 13, 99, 99], [14, 99, 99, 99]];
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x"), boxes.as_flattened()).unwrap();
    let at = |nth: u64| Chunk { at: vec![nth / 3 * 2, nth % 3 * 2], offset: nth * 4 };
    let chunks: Vec<Chunk> = (0..6).map(at).collect();
    let storage = Storage::Chunks { shape: vec![3, 5], chunk_shape: vec![2, 2], chunks };
    let tensor = Tensor {
        name: "x".to_owned(),
        element: Element::U8,
        shape: vec![3, 5],
        file: 0,
        storage,
        start: 0,
        strides: row_major(&[3, 5]).unwrap(),
        checksum: None,
    };
    let file = SourceFile::open(&dir.path().join("x")).unwrap();
    tensor.check(&file).unwrap();
    let checkpoint = Checkpoint { files: vec![file], tensors: vec![tensor.clone()] };
    assert_eq!(checkpoint.read(&tensor).unwrap(), (0..15).collect::<Vec<u8>>());
    assert_eq!(checkpoint.read(&tensor.transposed()).unwrap(), [0, 5, 10, 1, 6, 11, 2, 7, 12, 3, 8, 13, 4, 9, 14]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_view_is_the_same_in_bands_of_any_size(
        axes in prop::collection::vec((1..6usize, 0..9u64), 0..4),
        start in 0..5u64,
        band_bytes in 1..200u64,
    ) {
        let (shape, strides): (Vec<usize>, Vec<u64>) = axes.into_iter().unzip();
        let n: usize = shape.iter().product();
        let place = |nth: usize| {
            let (mut rest, mut at) = (nth, start);
            for (n, stride) in shape.iter().zip(&strides).rev() {
                at += (rest % n) as u64 * stride;
                rest /= n;
            }
            at
        };
        // Each element is its own place.
        let wanted: Vec<u8> = (0..n).flat_map(|nth| u16::try_from(place(nth)).unwrap().to_le_bytes()).collect();
        let dir = tempfile::tempdir().unwrap();
        let numbers: Vec<u8> = (0..256u16).flat_map(u16::to_le_bytes).collect();
        std::fs::write(dir.path().join("x"), [b"head".as_slice(), &numbers].concat()).unwrap();
        let file = SourceFile::open(&dir.path().join("x")).unwrap();
        let storage = Storage::Span { offset: 4, n_bytes: 512 };
        let tensor = Tensor { name: "x".to_owned(), element: Element::U16, shape, file: 0, storage, start, strides, checksum: None };
        tensor.check(&file).unwrap();
        let in_file = bands::Elements::File { file: &file, offset: 4 };
        let in_memory = bands::Elements::Memory { file: &file, bytes: &numbers };
        for elements in [in_file, in_memory] {
            let mut found = Vec::new();
            bands::each::<Error>(&tensor, &elements, band_bytes, |band| {
                assert!(band.len() as u64 <= band_bytes.max(2));
                found.extend(band);
                Ok(())
            })
            .unwrap();
            prop_assert_eq!(&found, &wanted);
        }
    }
}
