//! The table of tensors of a GGUF file.

use std::{
    collections::{HashMap, hash_map::Entry},
    io::Read,
};

use alcazar_core::WeightType;

use super::{Packing, cursor::Cursor};
use crate::{Error, error::excerpt, file::SourceFile};

const DIMENSION_LIMIT: u64 = 1 << 40;
const MAX_DIMENSIONS: u32 = 4;

/// Where a tensor lies and how it is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorEntry {
    /// How the numbers are stored, or what they become when they are read.
    pub weight_type: WeightType,
    /// How the file packs them, where that is another way.
    pub packing: Option<Packing>,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// From the start of the file.
    pub offset: u64,
    /// Length of its data in the file.
    pub n_bytes: u64,
}

/// Reads the table; offsets are still relative to the start of the data.
pub(super) fn read_table(
    cursor: &mut Cursor<'_, impl Read>,
    n_tensors: u64,
) -> Result<HashMap<String, TensorEntry>, Error> {
    let mut tensors = HashMap::new();
    for _ in 0..n_tensors {
        let (name, tensor) = read_entry(cursor)?;
        match tensors.entry(name) {
            Entry::Vacant(slot) => slot.insert(tensor),
            Entry::Occupied(slot) => {
                let found = format!("tensor {} twice", excerpt(slot.key()));
                return Err(cursor.malformed(found, "each tensor once"));
            }
        };
    }
    Ok(tensors)
}

fn read_entry(cursor: &mut Cursor<'_, impl Read>) -> Result<(String, TensorEntry), Error> {
    let name = cursor.key("a tensor's name")?;
    let n_dimensions = cursor.u32()?;
    if !(1..=MAX_DIMENSIONS).contains(&n_dimensions) {
        let found = format!("{n_dimensions} dimensions of tensor {}", excerpt(&name));
        return Err(cursor.malformed(found, format!("1 to {MAX_DIMENSIONS}")));
    }
    let mut shape = Vec::new();
    for _ in 0..n_dimensions {
        let dimension = cursor.u64()?;
        if !(1..=DIMENSION_LIMIT).contains(&dimension) {
            let found = format!("dimension {dimension} of tensor {}", excerpt(&name));
            return Err(cursor.malformed(found, format!("1 to {DIMENSION_LIMIT}")));
        }
        shape.push(usize::try_from(dimension).unwrap_or(usize::MAX));
    }
    shape.reverse();
    let (weight_type, packing) = stored_as(cursor.u32()?, &name, cursor)?;
    let (kind, block, n_bytes) = match packing {
        Some(packing) => (packing.to_string(), packing.block_elements(), packing.tensor_bytes(&shape)),
        None => (weight_type.to_string(), weight_type.block_elements(), weight_type.tensor_bytes(&shape)),
    };
    let Some(n_bytes) = n_bytes else {
        let found = format!("shape {shape:?} of tensor {}", excerpt(&name));
        return Err(cursor.malformed(found, format!("rows of whole {kind} blocks ({block} numbers each)")));
    };
    let offset = cursor.u64()?;
    Ok((name, TensorEntry { weight_type, packing, shape, offset, n_bytes }))
}

impl TensorEntry {
    /// Bytes that backends are given: more than the file has where it packs the numbers.
    pub(crate) fn served_bytes(&self) -> u64 {
        self.weight_type.tensor_bytes(&self.shape).unwrap_or(self.n_bytes)
    }

    /// The type that people know the file's numbers by.
    pub(crate) fn stored_type(&self) -> String {
        self.packing.map_or_else(|| self.weight_type.to_string(), |packing| packing.to_string())
    }
}

type Stored = (WeightType, Option<Packing>);

fn stored_as(code: u32, name: &str, cursor: &Cursor<'_, impl Read>) -> Result<Stored, Error> {
    let packing = match code {
        20 => Packing::IQ4_NL,
        23 => Packing::IQ4_XS,
        _ => return Ok((weight_type(code, name, cursor)?, None)),
    };
    Ok((packing.becomes(), Some(packing)))
}

fn weight_type(code: u32, name: &str, cursor: &Cursor<'_, impl Read>) -> Result<WeightType, Error> {
    let found = match code {
        0 => return Ok(WeightType::F32),
        1 => return Ok(WeightType::F16),
        2 => return Ok(WeightType::Q4_0),
        3 => return Ok(WeightType::Q4_1),
        6 => return Ok(WeightType::Q5_0),
        7 => return Ok(WeightType::Q5_1),
        8 => return Ok(WeightType::Q8_0),
        10 => return Ok(WeightType::Q2_K),
        11 => return Ok(WeightType::Q3_K),
        12 => return Ok(WeightType::Q4_K),
        13 => return Ok(WeightType::Q5_K),
        14 => return Ok(WeightType::Q6_K),
        30 => return Ok(WeightType::BF16),
        39 => return Ok(WeightType::MXFP4),
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        21 => "IQ3_S",
        22 => "IQ2_S",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        4..=64 => "a type that models do not use",
        _ => {
            return Err(cursor.malformed(format!("type {code} of tensor {}", excerpt(name)), "a type of GGML"));
        }
    };
    let supported = WeightType::ALL.map(|supported| supported.to_string()).join(", ") + ", IQ4_NL, IQ4_XS";
    Err(Error::unsupported(cursor.file(), format!("tensor {} of type {found} ({code})", excerpt(name)), supported))
}

/// Makes offsets absolute; each tensor must lie in the file, aligned, and share no byte with another.
pub(super) fn place(
    mut tensors: HashMap<String, TensorEntry>,
    data_start: u64,
    alignment: u64,
    file: &SourceFile,
) -> Result<HashMap<String, TensorEntry>, Error> {
    for (name, tensor) in &mut tensors {
        let place = tensor.offset.checked_add(data_start).filter(|_| tensor.offset.is_multiple_of(alignment));
        let Some(offset) = place else {
            let found = format!("offset {} of tensor {}", tensor.offset, excerpt(name));
            return Err(Error::malformed(file.path(), data_start, found, format!("a multiple of {alignment}")));
        };
        tensor.offset = offset;
        if offset.checked_add(tensor.n_bytes).is_none_or(|end| end > file.length()) {
            let found = format!("a file of {} bytes", file.length());
            let expected = format!("{} bytes of tensor {} here (the file is cut off)", tensor.n_bytes, excerpt(name));
            return Err(Error::malformed(file.path(), offset, found, expected));
        }
    }
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
    Ok(tensors)
}
