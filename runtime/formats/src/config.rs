//! A decoder's dimensions out of GGUF metadata or a `config.json`, within bounds.
//!
//! The bounds are far above any known model, and low enough that products of dimensions fit 64 bits.

use std::{ops::RangeInclusive, path::Path};

use alcazar_core::DecoderConfig;

use crate::Error;

pub(crate) mod gguf;
pub(crate) mod hugging_face;

const LAYERS: RangeInclusive<u64> = 1..=1024;
const WIDTH: RangeInclusive<u64> = 1..=1 << 20;
const HEADS: RangeInclusive<u64> = 1..=4096;
const HEAD_DIM: RangeInclusive<u64> = 2..=4096;
const VOCABULARY: RangeInclusive<u64> = 1..=1 << 22;
const CONTEXT: RangeInclusive<u64> = 1..=1 << 26;

/// Where dimensions are read from.
trait Source {
    fn file(&self) -> &Path;
    fn integer(&self, key: &str) -> Option<u64>;
    fn float(&self, key: &str) -> Option<f64>;
}

fn wrong(source: &impl Source, key: &str, found: &str, expected: &str) -> Error {
    Error::malformed(source.file(), 0, format!("{key} {found}"), expected)
}

fn dimension(source: &impl Source, key: &str, range: RangeInclusive<u64>) -> Result<usize, Error> {
    let expected = format!("{} to {}", range.start(), range.end());
    match source.integer(key) {
        None => Err(wrong(source, key, "nowhere", &expected)),
        Some(n) if range.contains(&n) => usize::try_from(n).map_err(|_| wrong(source, key, &n.to_string(), &expected)),
        Some(n) => Err(wrong(source, key, &n.to_string(), &expected)),
    }
}

fn dimension_or(source: &impl Source, key: &str, range: RangeInclusive<u64>, default: usize) -> Result<usize, Error> {
    if source.integer(key).is_none() {
        return Ok(default);
    }
    dimension(source, key, range)
}

fn positive(source: &impl Source, key: &str, default: Option<f32>) -> Result<f32, Error> {
    let Some(x) = source.float(key) else {
        return default.ok_or_else(|| wrong(source, key, "nowhere", "a positive number"));
    };
    #[expect(clippy::cast_possible_truncation, reason = "the models compute in f32")]
    let narrow = x as f32;
    if narrow.is_finite() && narrow > 0.0 {
        return Ok(narrow);
    }
    Err(wrong(source, key, &x.to_string(), "a positive number"))
}

/// What must hold between the dimensions.
fn check(config: &DecoderConfig, file: &Path) -> Result<(), Error> {
    let malformed = |found: String, expected: String| Err(Error::malformed(file, 0, found, expected));
    if !config.n_heads.is_multiple_of(config.n_kv_heads) {
        return malformed(
            format!("{} heads with {} key-value heads", config.n_heads, config.n_kv_heads),
            "a multiple".to_owned(),
        );
    }
    let dims = config.rope.dims;
    if !dims.is_multiple_of(2) || dims == 0 || dims > config.head_dim {
        let expected = format!("an even number up to the head's {}", config.head_dim);
        return malformed(format!("{dims} rotated elements"), expected);
    }
    Ok(())
}
