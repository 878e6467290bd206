//! A checkpoint as safetensors: the same bytes for the same checkpoint, whoever writes them.

use std::{
    collections::HashSet,
    io::{self, Write},
};

use serde_json::{Map, Value, json};

use super::{Checkpoint, Tensor};
use crate::Error;

/// What the Hugging Face hub calls them.
const SINGLE: &str = "model.safetensors";
/// Name of the table that says which shard has which tensor.
pub const INDEX: &str = "model.safetensors.index.json";
/// Data of one shard, as the Python library has it.
pub const SHARD_BYTES: u64 = 5_000_000_000;
/// Tables of safetensors end at a multiple of it.
const ALIGNMENT: usize = 8;

/// Names that Hugging Face's own safetensors leave out when they are the very tensor that another name has already:
/// outputs tied to embeddings or biases. Whoever loads the model ties them again.
const TIED: [&str; 8] = [
    "lm_head.weight",
    "lm_head.bias",
    "decoder.weight",
    "decoder.bias",
    "embed_out.weight",
    "embed_tokens.weight",
    "word_embeddings_layer.weight",
    "generator_lm_head.weight",
];

/// Which tensor goes into which file.
#[derive(Debug)]
pub struct Plan {
    shards: Vec<Shard>,
}

/// A file to write.
#[derive(Debug)]
pub struct Shard {
    /// Its name.
    pub name: String,
    /// By their place in the checkpoint, in the order of the file.
    tensors: Vec<usize>,
    header: Vec<u8>,
    n_bytes: u64,
}

impl Plan {
    /// Files of at most `shard_bytes` each, but for a single tensor that is larger.
    pub fn new(checkpoint: &Checkpoint, shard_bytes: u64) -> Self {
        let (mut groups, mut group, mut room) = (Vec::new(), Vec::new(), shard_bytes);
        let mut views = HashSet::new();
        for (nth, tensor) in checkpoint.tensors.iter().enumerate() {
            let view = (tensor.file, tensor.element, tensor.start, &tensor.storage, &tensor.shape, &tensor.strides);
            let is_new = views.insert(view);
            if tensor.n_elements() == 0 || (!is_new && may_be_tied(&tensor.name)) {
                continue;
            }
            let n_bytes = tensor.written_bytes();
            if n_bytes > room && !group.is_empty() {
                groups.push(std::mem::take(&mut group));
                room = shard_bytes;
            }
            group.push(nth);
            room = room.saturating_sub(n_bytes);
        }
        groups.push(group);
        let n = groups.len();
        let named = groups.into_iter().enumerate().map(|(nth, group)| {
            let name = if n == 1 { SINGLE.to_owned() } else { format!("model-{:05}-of-{n:05}.safetensors", nth + 1) };
            shard(name, group, checkpoint)
        });
        Self { shards: named.collect() }
    }

    /// The weight files.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// Content of [`INDEX`]; `None` where one file holds everything.
    pub fn index(&self, checkpoint: &Checkpoint) -> Option<Vec<u8>> {
        if self.shards.len() < 2 {
            return None;
        }
        let mut names: Vec<(&str, &str)> = Vec::new();
        let mut total_size = 0u64;
        for shard in &self.shards {
            for tensor in shard.tensors.iter().filter_map(|nth| checkpoint.tensors.get(*nth)) {
                names.push((&tensor.name, &shard.name));
                total_size = total_size.saturating_add(tensor.written_bytes());
            }
        }
        names.sort_unstable();
        let map: Map<String, Value> = names.into_iter().map(|(name, file)| (name.to_owned(), json!(file))).collect();
        let mut text = format!("{:#}", json!({"metadata": {"total_size": total_size}, "weight_map": map})).into_bytes();
        text.push(b'\n');
        Some(text)
    }

    /// Bytes of all files but the index.
    pub fn size_bytes(&self) -> u64 {
        self.shards.iter().fold(0, |sum, shard| sum.saturating_add(shard.n_bytes))
    }
}

/// Writes one file, in pieces: memory does not grow with the tensors.
pub fn write<E: From<Error>>(
    checkpoint: &Checkpoint,
    shard: &Shard,
    out: &mut impl Write,
    write_failed: impl Fn(io::Error) -> E,
) -> Result<(), E> {
    out.write_all(&(shard.header.len() as u64).to_le_bytes()).map_err(&write_failed)?;
    out.write_all(&shard.header).map_err(&write_failed)?;
    for tensor in shard.tensors.iter().filter_map(|nth| checkpoint.tensors.get(*nth)) {
        checkpoint.write_tensor(tensor, out, &write_failed)?;
    }
    Ok(())
}

fn may_be_tied(name: &str) -> bool {
    TIED.iter().any(|tied| name.strip_suffix(tied).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

fn shard(name: String, mut group: Vec<usize>, checkpoint: &Checkpoint) -> Shard {
    let tensor = |nth: &usize| checkpoint.tensors.get(*nth);
    // Widest numbers first, so that all are aligned; then by name.
    group.sort_by_key(|nth| {
        tensor(nth).map(|tensor| (std::cmp::Reverse(tensor.element.written().bytes()), tensor.name.clone()))
    });
    let mut table = Map::new();
    table.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut end = 0u64;
    for tensor in group.iter().filter_map(tensor) {
        let begin = end;
        end = end.saturating_add(tensor.written_bytes());
        table.insert(tensor.name.clone(), entry(tensor, begin, end));
    }
    let mut header = Value::Object(table).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    let n_bytes = end.saturating_add(header.len() as u64).saturating_add(8);
    Shard { name, tensors: group, header, n_bytes }
}

fn entry(tensor: &Tensor, begin: u64, end: u64) -> Value {
    json!({"dtype": tensor.element.written().to_string(), "shape": tensor.shape, "data_offsets": [begin, end]})
}
