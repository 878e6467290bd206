//! Every reader against files that are cut off at every byte and changed at random, the same way each time.
//!
//! Nothing may panic, and nothing may ask for much more memory than the file has bytes: the whole runs a second time
//! in a process whose address space is small.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use alcazar_core::{AdapterSource as _, WeightSource as _};
use fastrand::Rng;

use crate::{
    Adapter, adapter,
    checkpoint::{
        Found,
        convert::{self, Plan},
    },
    file::SourceFile,
    gguf::{Value, write::GgufWriter},
    model, pytorch, safetensors, tensorflow,
};

/// Changes of each seed.
const MUTATIONS: usize = 400;
/// Seeds up to this length are cut at every byte, longer ones at so many places.
const CUTS: usize = 1200;
/// Address space of the second run: program, two stacks and what the readers may take.
const LIMIT_KIB: usize = 512 << 10;

fn testdata(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(path)).unwrap()
}

/// One to four changes of the kinds that break readers: other bytes, absurd numbers, parts that are missing or twice.
fn mutate(rng: &mut Rng, seed: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..rng.usize(1..=4) {
        let at = rng.usize(..bytes.len().max(1));
        let until = bytes.len().min(at + rng.usize(1..64));
        match rng.u8(..7) {
            0 => bytes[at..until].iter_mut().take(1).for_each(|byte| *byte = rng.u8(..)),
            1 => bytes[at..until].iter_mut().take(1).for_each(|byte| *byte ^= 1 << rng.u8(..8)),
            2 => bytes[at..until].iter_mut().take(8).for_each(|byte| *byte = 0xff),
            3 => bytes[at..until].iter_mut().take(8).zip([0, 0, 0, 0, 0, 1, 0, 0]).for_each(|(to, from)| *to = from),
            4 => drop(bytes.drain(at..until)),
            5 => {
                let part = bytes[at..until].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let from = rng.usize(..bytes.len().max(1));
                let part = bytes[from..bytes.len().min(from + until - at)].to_vec();
                bytes.splice(at..until, part);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

/// Gives all cuts and changes of the seeds to a reader.
fn attack(seeds: &[Vec<u8>], mut read: impl FnMut(&[u8])) {
    let mut rng = Rng::with_seed(2026);
    for seed in seeds {
        read(seed);
        let step = seed.len().div_ceil(CUTS).max(1);
        (0..seed.len()).step_by(step).for_each(|n| read(&seed[..n]));
        for _ in 0..MUTATIONS {
            read(&mutate(&mut rng, seed));
        }
    }
}

/// A reader of one file of this name in a directory.
fn in_directory<'a>(dir: &'a Path, name: &str, read: impl Fn(&Path) + 'a) -> impl FnMut(&[u8]) + 'a {
    let path = dir.join(name);
    move |bytes| {
        fs::write(&path, bytes).unwrap();
        read(dir);
    }
}

/// What fetch does with a checkpoint.
fn convert_all(dir: &Path) {
    let Ok(Some(found)) = Found::look(&crate::Plain, dir) else { return };
    let Ok(checkpoint) = found.open(&crate::Plain, dir) else { return };
    let plan = Plan::new(&checkpoint, convert::SHARD_BYTES);
    // Many names may share one storage; the volume bounds that sum, and so does this test.
    if plan.size_bytes() < 64 << 20 {
        for shard in plan.shards() {
            let _ = convert::write::<crate::Error>(&checkpoint, shard, &mut std::io::sink(), |error| {
                unreachable!("{error}")
            });
        }
    }
}

#[test]
fn pytorch_survives_what_is_hostile() {
    let dir = tempfile::tempdir().unwrap();
    let zip = ["module.pt", "views.bin", "training.pth", "refused-module.bin"];
    let legacy = ["module-legacy.pt", "views-legacy.bin", "dtypes-legacy.bin"];
    let seeds: Vec<_> = zip.iter().chain(&legacy).map(|name| testdata(&format!("pytorch/{name}"))).collect();
    attack(&seeds, in_directory(dir.path(), "pytorch_model.bin", convert_all));
    // The pickle alone, without the container that most changes break first.
    let whole = testdata("pytorch/views.bin");
    let begin = whole.windows(3).position(|window| window == b"\x80\x02c").unwrap();
    let end = begin + whole[begin..].windows(2).position(|window| window == b"PK").unwrap();
    let path = dir.path().join("pickle");
    attack(&[whole[begin..end].to_vec()], |bytes| {
        fs::write(&path, bytes).unwrap();
        let file = SourceFile::open(&path).unwrap();
        pytorch::try_pickle(&file);
    });
}

#[test]
fn keras_survives_what_is_hostile() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["latest.h5", "boxes.h5", "gpt2.h5", "refused-latest.h5", "refused-compressed.h5"];
    let seeds = names.map(|name| testdata(&format!("tensorflow/{name}")));
    attack(&seeds, in_directory(dir.path(), "tf_model.h5", convert_all));
}

#[test]
fn bundles_survive_what_is_hostile() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["gpt2_model.ckpt.data-00000-of-00001", "gpt2_model.ckpt.index"] {
        fs::write(dir.path().join(name), testdata(&format!("tensorflow/{name}"))).unwrap();
    }
    let table = testdata("tensorflow/gpt2_model.ckpt.index");
    attack(&[table], in_directory(dir.path(), "gpt2_model.ckpt.index", convert_all));
    // Behind the checksums.
    let graph = testdata("tensorflow/saved/variables/variables.data-00000-of-00001");
    let tables = ["gpt2_model.ckpt.index", "saved/variables/variables.index"];
    let tables = tables.map(|name| testdata(&format!("tensorflow/{name}")));
    attack(&[graph, tables[0].clone(), tables[1].clone()], tensorflow::try_parts);
}

fn small_gguf() -> Vec<u8> {
    let writer = GgufWriter::default().text("general.architecture", "llama").text("tokenizer.ggml.model", "gpt2");
    let numbers = ["block_count", "context_length", "attention.head_count"].iter();
    let writer = numbers.fold(writer, |writer, key| writer.number(&format!("llama.{key}"), 2));
    let writer = writer.number("llama.embedding_length", 8).number("llama.feed_forward_length", 16);
    writer
        .pair("llama.attention.layer_norm_rms_epsilon", Value::Float(1e-5))
        .texts("tokenizer.ggml.tokens", ["a", "b", "ab"])
        .floats("token_embd.weight", &[3, 8], &[0.5; 24])
        .finish()
}

#[test]
fn gguf_survives_what_is_hostile() {
    let dir = tempfile::tempdir().unwrap();
    attack(&[small_gguf()], in_directory(dir.path(), "x.gguf", |dir| drop(model::open(dir))));
}

#[test]
fn safetensors_and_their_neighbours_survive_what_is_hostile() {
    let dir = tempfile::tempdir().unwrap();
    let llama = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/testdata/llama");
    let weights = fs::read(llama.join("model.safetensors")).unwrap();
    let path = dir.path().join("x");
    attack(std::slice::from_ref(&weights), |bytes| {
        fs::write(&path, bytes).unwrap();
        drop(safetensors::read_header(&SourceFile::open(&path).unwrap()));
    });
    let open = |dir: &Path| drop(model::open(dir));
    let config = fs::read(llama.join("config.json")).unwrap();
    fs::write(dir.path().join("tokenizer.json"), "{}").unwrap();
    fs::write(dir.path().join("model.safetensors"), &weights).unwrap();
    attack(std::slice::from_ref(&config), in_directory(dir.path(), "config.json", open));
    fs::write(dir.path().join("config.json"), &config).unwrap();
    let index = br#"{"metadata": {"total_size": 1}, "weight_map": {"model.norm.weight": "model.safetensors"}}"#;
    attack(&[index.to_vec()], in_directory(dir.path(), convert::INDEX, open));
}

#[test]
fn adapters_survive_what_is_hostile() {
    let dir = tempfile::tempdir().unwrap();
    let open = |dir: &Path| {
        let Ok(adapter) = Adapter::open("x", dir) else { return };
        for tensor in adapter.modules().iter().flat_map(|module| &module.tensors) {
            drop(adapter.read(tensor));
        }
    };
    let module = "base_model.model.model.layers.0.mlp.up_proj";
    let tensors = [(format!("{module}.lora_A.weight"), vec![2, 4]), (format!("{module}.lora_B.weight"), vec![6, 2])];
    let weights = adapter::tests::safetensors(&tensors);
    let settings = br#"{"peft_type": "LORA", "r": 2, "lora_alpha": 4.0, "use_rslora": true, "bias": "none",
        "rank_pattern": {"up_proj": 2}, "alpha_pattern": {"layers.[0-9]+.mlp.(up|down)_proj": 8}}"#;
    fs::write(dir.path().join(adapter::WEIGHTS), &weights).unwrap();
    attack(&[settings.to_vec()], in_directory(dir.path(), adapter::CONFIG, open));
    fs::write(dir.path().join(adapter::CONFIG), settings).unwrap();
    attack(&[weights], in_directory(dir.path(), adapter::WEIGHTS, open));
}

#[test]
fn little_memory_is_enough() {
    let this: PathBuf = std::env::current_exe().unwrap();
    let limited = format!("ulimit -v {LIMIT_KIB} && exec \"$0\" --test-threads=1 survive");
    let output = Command::new("sh").args(["-c", &limited]).arg(this).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("6 passed"), "{text}");
}
