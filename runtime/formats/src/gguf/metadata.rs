//! The key-value pairs of a GGUF file.

use std::{collections::HashMap, io::Read};

use super::cursor::Cursor;
use crate::{Error, error::excerpt};

/// All pairs of a file.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    pairs: HashMap<String, Value>,
}

/// A value, widened: who asks wants a number, not its width.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any unsigned number.
    Unsigned(u64),
    /// Any signed number.
    Signed(i64),
    /// Any floating-point number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// Text.
    String(String),
    /// A list of one kind.
    Array(Array),
}

/// A list of one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    /// Numbers without a fraction, and yes or no as 1 and 0.
    Integers(Vec<i64>),
    /// Numbers with a fraction.
    Floats(Vec<f32>),
    /// Texts.
    Strings(Vec<String>),
}

impl Metadata {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.pairs.get(key)
    }

    /// A number that is not negative.
    pub fn u64(&self, key: &str) -> Option<u64> {
        match self.get(key)? {
            Value::Unsigned(n) => Some(*n),
            Value::Signed(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// A number with a fraction.
    pub fn f64(&self, key: &str) -> Option<f64> {
        match self.get(key)? {
            Value::Float(x) => Some(*x),
            _ => None,
        }
    }

    /// Yes or no.
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(yes) => Some(*yes),
            _ => None,
        }
    }

    /// Text.
    pub fn str(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// A list of texts.
    pub fn strings(&self, key: &str) -> Option<&[String]> {
        match self.get(key)? {
            Value::Array(Array::Strings(texts)) => Some(texts),
            _ => None,
        }
    }

    /// A list of whole numbers.
    pub fn integers(&self, key: &str) -> Option<&[i64]> {
        match self.get(key)? {
            Value::Array(Array::Integers(numbers)) => Some(numbers),
            _ => None,
        }
    }

    /// A list of numbers with a fraction.
    pub fn floats(&self, key: &str) -> Option<&[f32]> {
        match self.get(key)? {
            Value::Array(Array::Floats(numbers)) => Some(numbers),
            _ => None,
        }
    }

    /// For tests of what reads metadata.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, Value)>) -> Self {
        Self { pairs: pairs.into_iter().collect() }
    }
}

pub(super) fn read(cursor: &mut Cursor<'_, impl Read>, n_pairs: u64) -> Result<Metadata, Error> {
    let mut pairs = HashMap::new();
    for _ in 0..n_pairs {
        let key = cursor.key("a key")?;
        let kind = cursor.u32()?;
        let value = read_value(cursor, kind, &key)?;
        if pairs.contains_key(&key) {
            return Err(cursor.malformed(format!("key {} twice", excerpt(&key)), "each key once"));
        }
        pairs.insert(key, value);
    }
    Ok(Metadata { pairs })
}

fn read_value(cursor: &mut Cursor<'_, impl Read>, kind: u32, key: &str) -> Result<Value, Error> {
    Ok(match kind {
        8 => Value::String(cursor.string("a string")?),
        9 => Value::Array(read_array(cursor, key)?),
        _ => read_scalar(cursor, kind, key)?,
    })
}

fn read_scalar(cursor: &mut Cursor<'_, impl Read>, kind: u32, key: &str) -> Result<Value, Error> {
    Ok(match kind {
        0 => Value::Unsigned(u8::from_le_bytes(cursor.array()?).into()),
        1 => Value::Signed(i8::from_le_bytes(cursor.array()?).into()),
        2 => Value::Unsigned(u16::from_le_bytes(cursor.array()?).into()),
        3 => Value::Signed(i16::from_le_bytes(cursor.array()?).into()),
        4 => Value::Unsigned(cursor.u32()?.into()),
        5 => Value::Signed(i32::from_le_bytes(cursor.array()?).into()),
        6 => Value::Float(f32::from_le_bytes(cursor.array()?).into()),
        7 => Value::Bool(u8::from_le_bytes(cursor.array()?) != 0),
        10 => Value::Unsigned(cursor.u64()?),
        11 => Value::Signed(i64::from_le_bytes(cursor.array()?)),
        12 => Value::Float(f64::from_le_bytes(cursor.array()?)),
        _ => return Err(cursor.malformed(format!("value type {kind} of key {}", excerpt(key)), "a type from 0 to 12")),
    })
}

const fn scalar_bytes(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

fn read_array(cursor: &mut Cursor<'_, impl Read>, key: &str) -> Result<Array, Error> {
    let kind = cursor.u32()?;
    if kind == 8 {
        let n = cursor.array_length(8)?;
        cursor.allow_strings(n)?;
        return (0..n).map(|_| cursor.string("a string")).collect::<Result<_, _>>().map(Array::Strings);
    }
    let Some(bytes_each) = scalar_bytes(kind) else {
        let found = format!("an array of type {kind} in key {}", excerpt(key));
        return Err(cursor.malformed(found, "an array of numbers, booleans or strings"));
    };
    let n = cursor.array_length(bytes_each)?;
    if kind == 6 || kind == 12 {
        let mut floats = Vec::new();
        for _ in 0..n {
            if let Value::Float(x) = read_scalar(cursor, kind, key)? {
                #[expect(clippy::cast_possible_truncation, reason = "scores are f32 in every known file")]
                floats.push(x as f32);
            }
        }
        return Ok(Array::Floats(floats));
    }
    let mut integers = Vec::new();
    for _ in 0..n {
        integers.push(match read_scalar(cursor, kind, key)? {
            Value::Signed(n) => n,
            Value::Unsigned(n) => i64::try_from(n).unwrap_or(i64::MAX),
            Value::Bool(yes) => yes.into(),
            Value::Float(_) | Value::String(_) | Value::Array(_) => continue,
        });
    }
    Ok(Array::Integers(integers))
}
