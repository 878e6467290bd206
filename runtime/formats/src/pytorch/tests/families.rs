//! The weights of every fixture as torch.save would write them: converted, they are what they were.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use alcazar_core::WeightSource as _;

use crate::{
    Error,
    checkpoint::{
        Found,
        convert::{self, Plan},
    },
    file::SourceFile,
    safetensors,
};

/// A storage's class, its numbers and the shape of the tensor that is a view of all of them.
struct Saved {
    class: &'static str,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let groups =
        ["runtime/models/testdata", "tests/fixtures/decoders", "tests/fixtures/embedders", "tests/fixtures/encoders"];
    let folders = groups.map(|group| std::fs::read_dir(root.join(group)).unwrap());
    let mut models: Vec<_> = folders.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    models.retain(|path| path.join("model.safetensors").exists());
    models.sort();
    models
}

fn saved(folder: &Path) -> BTreeMap<String, Saved> {
    let file = SourceFile::open(&folder.join("model.safetensors")).unwrap();
    let entries = safetensors::read_header(&file).unwrap().into_iter();
    let of = |(name, entry): (String, crate::gguf::TensorEntry)| {
        let class = match entry.stored_type().as_str() {
            "F32" => "FloatStorage",
            "F16" => "HalfStorage",
            "U8" => "ByteStorage",
            other => panic!("{name} is {other}"),
        };
        (name, Saved { class, bytes: file.bytes_at(entry.offset, entry.n_bytes).unwrap(), shape: entry.shape })
    };
    entries.map(of).collect()
}

fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &u32::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat()
}

fn number(n: usize) -> Vec<u8> {
    [b"J".as_slice(), &i32::try_from(n).unwrap().to_le_bytes()].concat()
}

fn tuple(numbers: impl Iterator<Item = usize>) -> Vec<u8> {
    [b"(".to_vec(), numbers.flat_map(number).collect(), b"t".to_vec()].concat()
}

/// `data.pkl` of a dictionary of tensors, each over a storage of its own.
fn pickle(tensors: &BTreeMap<String, Saved>) -> Vec<u8> {
    let mut out = b"\x80\x02}(".to_vec();
    for (key, (name, tensor)) in tensors.iter().enumerate() {
        let n: usize = tensor.shape.iter().product();
        let strides = (0..tensor.shape.len()).map(|axis| tensor.shape[axis + 1..].iter().product());
        out.extend(text(name));
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        out.extend(text("storage"));
        out.extend(format!("ctorch\n{}\n", tensor.class).into_bytes());
        out.extend([text(&key.to_string()), text("cpu"), number(n), b"tQK\0".to_vec()].concat());
        out.extend(tuple(tensor.shape.iter().copied()));
        out.extend(tuple(strides));
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"u.");
    out
}

/// Stored entries, and their directory.
fn archive(entries: &[(String, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in entries {
        let size = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let name_length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let at = u32::try_from(out.len()).unwrap().to_le_bytes();
        // Versions, flags, method, time and checksum are nothing that a reader of weights looks at.
        let sizes = [size.as_slice(), &size, &name_length, &[0; 2]].concat();
        out.extend([b"PK\x03\x04".as_slice(), &[0; 14], &sizes, name.as_bytes(), bytes].concat());
        let entry = [b"PK\x01\x02".as_slice(), &[0; 16], &sizes, &[0; 10], &at, name.as_bytes()];
        directory.extend(entry.concat());
    }
    let n = u16::try_from(entries.len()).unwrap().to_le_bytes();
    let size = u32::try_from(directory.len()).unwrap().to_le_bytes();
    let at = u32::try_from(out.len()).unwrap().to_le_bytes();
    [&out, &directory, b"PK\x05\x06".as_slice(), &[0; 4], &n, &n, &size, &at, &[0; 2]].concat()
}

fn write(tensors: &BTreeMap<String, Saved>, path: &Path) {
    let dictionary = pickle(tensors);
    let mut entries = vec![("model/data.pkl".to_owned(), dictionary.as_slice())];
    let storages = tensors.values().enumerate();
    entries.extend(storages.map(|(key, tensor)| (format!("model/data/{key}"), tensor.bytes.as_slice())));
    std::fs::write(path, archive(&entries)).unwrap();
}

fn copy_but_weights(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&copy).unwrap();
            copy_but_weights(&path, &copy);
            // Of what sentence-transformers adds, only the model's own weights are torch's.
            let own = path.join("model.safetensors");
            if own.exists() {
                std::fs::copy(own, copy.join("model.safetensors")).unwrap();
            }
        } else if path.extension().is_some_and(|extension| extension == "json") {
            std::fs::copy(&path, copy).unwrap();
        }
    }
}

/// A copy of the fixture whose only weights are a converted `pytorch_model.bin`.
fn converted(folder: &Path, tensors: &BTreeMap<String, Saved>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(tensors, &dir.path().join("pytorch_model.bin"));
    let checkpoint = Found::look(&crate::Plain, dir.path()).unwrap().unwrap().open(&crate::Plain, dir.path()).unwrap();
    let failed = |source: io::Error| Error::Read { file: "out".into(), offset: 0, source };
    for shard in Plan::new(&checkpoint, convert::SHARD_BYTES).shards() {
        let mut out = Vec::new();
        convert::write(&checkpoint, shard, &mut out, failed).unwrap();
        std::fs::write(dir.path().join(&shard.name), out).unwrap();
    }
    std::fs::remove_file(dir.path().join("pytorch_model.bin")).unwrap();
    copy_but_weights(folder, dir.path());
    dir
}

#[test]
fn every_family_comes_through_pytorch_as_it_was() {
    let models = fixtures();
    assert!(models.len() > 80, "{} fixtures", models.len());
    for folder in models {
        let tensors = saved(&folder);
        let dir = converted(&folder, &tensors);
        let place = folder.display();
        let (before, after) = (crate::open(&folder).unwrap(), crate::open(dir.path()).unwrap());
        assert_eq!(after.config(), before.config(), "{place}");
        assert_eq!(after.facts().parameter_count, before.facts().parameter_count, "{place}");
        for name in tensors.keys() {
            assert_eq!(after.describe(name), before.describe(name), "{place}: {name}");
            assert!(after.read(name).unwrap().data == before.read(name).unwrap().data, "{place}: {name}");
        }
    }
}
