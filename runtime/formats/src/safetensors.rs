//! Safetensors: a JSON table of tensors, then their bytes.
//!
//! ```text
//! u64 n   n bytes of JSON   tensor data…
//! ```

use std::{collections::HashMap, fmt};

use alcazar_core::WeightType;
use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::{Error, error::excerpt, file::SourceFile, gguf::TensorEntry};

/// As the format's own library has it.
const HEADER_LIMIT: u64 = 100_000_000;
const TENSOR_LIMIT: usize = 1 << 16;

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

struct Table(HashMap<String, Entry>);

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TableVisitor;
        impl<'de> Visitor<'de> for TableVisitor {
            type Value = Table;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table, A::Error> {
                let mut table = HashMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let entry = map.next_value::<Entry>()?;
                    let found = excerpt(&name);
                    if table.insert(name, entry).is_some() {
                        return Err(serde::de::Error::custom(format!("tensor {found} twice")));
                    }
                    if table.len() > TENSOR_LIMIT {
                        return Err(serde::de::Error::custom(format!("more than {TENSOR_LIMIT} tensors")));
                    }
                }
                Ok(Table(table))
            }
        }
        deserializer.deserialize_map(TableVisitor)
    }
}

/// Reads the table, and checks that each tensor lies in the file, alone.
pub(crate) fn read_header(file: &SourceFile) -> Result<HashMap<String, TensorEntry>, Error> {
    let malformed =
        |offset, found: String, expected: &str| Error::malformed(file.path(), offset, found, expected.to_owned());
    let length = file.bytes_at(0, 8)?;
    let length = u64::from_le_bytes(length.try_into().unwrap_or_default());
    let room = file.length().saturating_sub(8).min(HEADER_LIMIT);
    if length > room {
        let found = format!("a table of {length} bytes");
        return Err(Error::malformed(
            file.path(),
            0,
            found,
            format!("at most {room} (the file's length or the limit)"),
        ));
    }
    let json = file.bytes_at(8, length)?;
    let Table(table) = serde_json::from_slice(&json)
        .map_err(|error| malformed(8, format!("a table that is no JSON of tensors: {error}"), "a table of tensors"))?;
    let data_start = 8 + length;
    let mut tensors = HashMap::new();
    for (name, entry) in table {
        let Some(weight_type) = weight_type(&entry.dtype, &name, file)? else { continue };
        let [begin, end] = entry.data_offsets;
        let expected = weight_type.tensor_bytes(&entry.shape);
        let found = end.checked_sub(begin);
        let (Some(n_bytes), true) = (found, found == expected && found.is_some_and(|n| n > 0)) else {
            let found = format!("bytes {begin} to {end} for shape {:?} of {}", entry.shape, excerpt(&name));
            return Err(malformed(data_start, found, "a range that fits the shape"));
        };
        let Some(offset) = begin
            .checked_add(data_start)
            .filter(|offset| offset.checked_add(n_bytes).is_some_and(|end| end <= file.length()))
        else {
            let found = format!("a file of {} bytes", file.length());
            let expected = format!("tensor {} up to byte {end} of the data (the file is cut off)", excerpt(&name));
            return Err(malformed(data_start, found, &expected));
        };
        tensors.insert(name, TensorEntry { weight_type, packing: None, shape: entry.shape, offset, n_bytes });
    }
    check_overlap(&tensors, file)?;
    Ok(tensors)
}

fn check_overlap(tensors: &HashMap<String, TensorEntry>, file: &SourceFile) -> Result<(), Error> {
    let mut order: Vec<_> = tensors.iter().collect();
    order.sort_unstable_by_key(|(_, tensor)| tensor.offset);
    for pair in order.windows(2) {
        if let [(first, a), (second, b)] = pair
            && a.offset + a.n_bytes > b.offset
        {
            let found = format!("tensor {} inside tensor {}", excerpt(second), excerpt(first));
            return Err(Error::malformed(file.path(), b.offset, found, "tensors that share no byte"));
        }
    }
    Ok(())
}

/// `None`: numbers that are no weights (masks and position tables that some checkpoints carry).
fn weight_type(dtype: &str, name: &str, file: &SourceFile) -> Result<Option<WeightType>, Error> {
    match dtype {
        "F32" => Ok(Some(WeightType::F32)),
        "F16" => Ok(Some(WeightType::F16)),
        "BF16" => Ok(Some(WeightType::BF16)),
        // Halves of MXFP4 (gpt-oss), which are put together where the model is made.
        "U8" if name.ends_with("_blocks") || name.ends_with("_scales") => Ok(Some(WeightType::U8)),
        "BOOL" | "I8" | "U8" | "I16" | "U16" | "I32" | "U32" | "I64" | "U64" => Ok(None),
        _ => {
            let found = format!("tensor {} of type {}", excerpt(name), excerpt(dtype));
            Err(Error::unsupported(file.path(), found, "F32, F16, BF16"))
        }
    }
}
