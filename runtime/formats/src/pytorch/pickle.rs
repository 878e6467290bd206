//! A pickle read as data. The machine has a stack, marks and a memo like Python's, and values instead of objects.
//!
//! Bounds: length of the pickle, operations, values, depth of the stack, items of all containers, length of a string.
//! Values lie in one table and name each other by number, so that neither cycles nor nesting cost anything.

use std::collections::HashMap;

use crate::{Error, error::excerpt};

mod globals;
mod input;
mod machine;
mod stack;

pub(super) use globals::Global;
pub(super) use input::Input;
pub(super) use machine::load;

use crate::checkpoint::Element;

/// Number of a value.
pub(super) type Id = u32;

/// What operations leave on the stack.
#[derive(Clone, Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits, little-endian.
    Long(Vec<u8>),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(StorageName),
    Tensor(Box<View>),
    /// Something that says nothing about weights: a device, a number with a fraction, bytes, a set.
    Opaque,
}

/// A storage as a pickle names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StorageName {
    pub(super) key: String,
    /// `None`: bytes, and each tensor says how to read them.
    pub(super) element: Option<Element>,
    pub(super) n_elements: u64,
    /// First element within the storage `key` (old files have views of storages).
    pub(super) first: u64,
}

/// A tensor as a pickle describes it.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) storage: StorageName,
    pub(super) element: Element,
    pub(super) start: u64,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<u64>,
    /// Where the pickle describes it, for errors.
    pub(super) at: u64,
}

/// All values of a pickle, and which of them it is.
#[derive(Debug)]
pub(super) struct Loaded {
    values: Vec<Value>,
    root: Id,
}

impl Loaded {
    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn get(&self, id: Id) -> &Value {
        self.values.get(id as usize).unwrap_or(&Value::None)
    }

    /// Every storage that was named, with the type of its numbers.
    pub(super) fn storages(&self) -> impl Iterator<Item = (&str, Element)> {
        self.values.iter().filter_map(|value| match value {
            Value::Storage(storage) => Some((storage.key.as_str(), storage.element.unwrap_or(Element::U8))),
            _ => None,
        })
    }
}

/// State of the machine.
struct Machine<'a, 'f> {
    input: &'a mut Input<'f>,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Items that containers may still take.
    items_left: usize,
    /// Where the current operation begins.
    at: u64,
}

impl Machine<'_, '_> {
    fn malformed(&self, found: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::malformed(self.input.file(), self.at, found, expected)
    }

    fn refused(&self, what: &str) -> Error {
        let found = format!("{} in the pickle at byte {}", excerpt(what), self.at);
        let supported = "tensors, parameters, storages and dictionaries of them (nothing in a pickle is ever run); \
                         save the state_dict alone, or use safetensors";
        Error::unsupported(self.input.file(), found, supported)
    }
}
