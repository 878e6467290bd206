//! Writes small GGUF files: the fixtures of this workspace's tests. Models are never written by the runtime.

use alcazar_core::WeightType;

use super::{Array, Value};

/// Collects pairs and tensors; [`GgufWriter::finish`] lays them out.
#[derive(Clone, Debug)]
pub struct GgufWriter {
    version: u32,
    alignment: usize,
    pairs: Vec<(String, Value)>,
    tensors: Vec<Tensor>,
}

#[derive(Clone, Debug)]
struct Tensor {
    name: String,
    weight_type: WeightType,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Default for GgufWriter {
    fn default() -> Self {
        Self { version: 3, alignment: 32, pairs: Vec::new(), tensors: Vec::new() }
    }
}

impl GgufWriter {
    /// Writes this version's header instead of version 3's.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Adds a pair.
    #[must_use]
    pub fn pair(mut self, key: &str, value: Value) -> Self {
        self.pairs.push((key.to_owned(), value));
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, key: &str, value: &str) -> Self {
        self.pair(key, Value::String(value.to_owned()))
    }

    /// Adds a number.
    #[must_use]
    pub fn number(self, key: &str, value: u32) -> Self {
        self.pair(key, Value::Unsigned(value.into()))
    }

    /// Adds a list of texts.
    #[must_use]
    pub fn texts<S: Into<String>>(self, key: &str, values: impl IntoIterator<Item = S>) -> Self {
        self.pair(key, Value::Array(Array::Strings(values.into_iter().map(Into::into).collect())))
    }

    /// Adds a tensor; `shape` has the outermost dimension first.
    #[must_use]
    pub fn tensor(mut self, name: &str, weight_type: WeightType, shape: &[usize], data: Vec<u8>) -> Self {
        self.tensors.push(Tensor { name: name.to_owned(), weight_type, shape: shape.to_owned(), data });
        self
    }

    /// Adds a tensor of f32.
    #[must_use]
    pub fn floats(self, name: &str, shape: &[usize], values: &[f32]) -> Self {
        self.tensor(name, WeightType::F32, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// The file's bytes.
    pub fn finish(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.pairs.len() as u64).to_le_bytes());
        for (key, value) in &self.pairs {
            put_string(&mut out, key);
            put_value(&mut out, value);
        }
        let mut offset = 0usize;
        for tensor in &self.tensors {
            put_string(&mut out, &tensor.name);
            out.extend(u32::try_from(tensor.shape.len()).unwrap_or(u32::MAX).to_le_bytes());
            tensor.shape.iter().rev().for_each(|dim| out.extend((*dim as u64).to_le_bytes()));
            out.extend(type_code(tensor.weight_type).to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset = (offset + tensor.data.len()).next_multiple_of(self.alignment);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(self.alignment), 0);
            out.extend(&tensor.data);
        }
        out
    }
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    let mut tagged = |tag: u32, bytes: &[u8]| {
        out.extend(tag.to_le_bytes());
        out.extend(bytes);
    };
    match value {
        // As the usual writers do: u32 where it fits.
        Value::Unsigned(n) => match u32::try_from(*n) {
            Ok(n) => tagged(4, &n.to_le_bytes()),
            Err(_) => tagged(10, &n.to_le_bytes()),
        },
        Value::Signed(n) => tagged(11, &n.to_le_bytes()),
        #[expect(clippy::cast_possible_truncation, reason = "files hold f32")]
        Value::Float(x) => tagged(6, &(*x as f32).to_le_bytes()),
        Value::Bool(yes) => tagged(7, &[u8::from(*yes)]),
        Value::String(text) => {
            tagged(8, &[]);
            put_string(out, text);
        }
        Value::Array(array) => {
            tagged(9, &[]);
            put_array(out, array);
        }
    }
}

fn put_array(out: &mut Vec<u8>, array: &Array) {
    let (tag, n) = match array {
        Array::Integers(numbers) => (5u32, numbers.len()),
        Array::Floats(numbers) => (6, numbers.len()),
        Array::Strings(texts) => (8, texts.len()),
    };
    out.extend(tag.to_le_bytes());
    out.extend((n as u64).to_le_bytes());
    match array {
        Array::Integers(numbers) => {
            out.extend(numbers.iter().flat_map(|n| i32::try_from(*n).unwrap_or(i32::MAX).to_le_bytes()));
        }
        Array::Floats(numbers) => numbers.iter().for_each(|x| out.extend(x.to_le_bytes())),
        Array::Strings(texts) => texts.iter().for_each(|text| put_string(out, text)),
    }
}

const fn type_code(weight_type: WeightType) -> u32 {
    match weight_type {
        WeightType::F32 => 0,
        WeightType::F16 => 1,
        WeightType::Q4_0 => 2,
        WeightType::Q4_1 => 3,
        WeightType::Q5_0 => 6,
        WeightType::Q5_1 => 7,
        WeightType::Q8_0 => 8,
        WeightType::Q2_K => 10,
        WeightType::Q3_K => 11,
        WeightType::Q4_K => 12,
        WeightType::Q5_K => 13,
        WeightType::Q6_K => 14,
        // GGML has signed bytes alone.
        WeightType::U8 => 24,
        WeightType::BF16 => 30,
        WeightType::MXFP4 => 39,
    }
}
