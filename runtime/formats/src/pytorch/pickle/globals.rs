//! The names a checkpoint may use, and what each stands for here. Every other name is refused.

use super::{
    Id, Machine, StorageName, Value, View,
    stack::{ARGUMENT_LIMIT, kind},
};
use crate::{
    Error,
    checkpoint::{DIMENSIONS, Element},
};

/// Names of storages are numbers; each tensor carries its own copy.
const KEY_LIMIT: usize = 64;

/// A name of a module of Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pytorch) enum Global {
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`: its storage is bytes.
    RebuildTyped,
    RebuildParameter,
    RebuildWithType,
    /// A class that only says how its tensor is wrapped.
    TensorClass,
    Storage(Element),
    UntypedStorage,
    Number(Element),
    Size,
    Device,
}

impl Global {
    pub(super) fn resolve(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v3") => Self::RebuildTyped,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Self::RebuildParameter,
            ("torch._tensor", "_rebuild_from_type_v2") => Self::RebuildWithType,
            ("torch", "Tensor") | ("torch.nn.parameter", "Parameter" | "Buffer") => Self::TensorClass,
            ("torch" | "torch.storage", "UntypedStorage") => Self::UntypedStorage,
            ("torch", "Size") => Self::Size,
            ("torch", "device") => Self::Device,
            ("torch" | "torch.cuda", name) => match name.strip_suffix("Storage") {
                Some(storage) => Self::Storage(storage_element(storage)?),
                None => Self::Number(number(name)?),
            },
            _ => return None,
        })
    }
}

fn storage_element(name: &str) -> Option<Element> {
    Some(match name {
        "Double" => Element::F64,
        "Float" => Element::F32,
        "Half" => Element::F16,
        "BFloat16" => Element::BF16,
        "Long" => Element::I64,
        "Int" => Element::I32,
        "Short" => Element::I16,
        "Char" => Element::I8,
        "Byte" => Element::U8,
        "Bool" => Element::Bool,
        _ => return None,
    })
}

fn number(name: &str) -> Option<Element> {
    Some(match name {
        "float64" => Element::F64,
        "float32" => Element::F32,
        "float16" => Element::F16,
        "bfloat16" => Element::BF16,
        "int64" => Element::I64,
        "int32" => Element::I32,
        "int16" => Element::I16,
        "int8" => Element::I8,
        "uint64" => Element::U64,
        "uint32" => Element::U32,
        "uint16" => Element::U16,
        "uint8" => Element::U8,
        "bool" => Element::Bool,
        _ => return None,
    })
}

impl Machine<'_, '_> {
    /// REDUCE and NEWOBJ.
    pub(super) fn call(&mut self, callable: Id, arguments: &[Id]) -> Result<(), Error> {
        let Value::Global(global) = *self.get(callable) else {
            let found = kind(self.get(callable));
            return Err(self.malformed(format!("a call of {found}"), "a call of a name"));
        };
        match (global, arguments) {
            (Global::OrderedDict, []) => self.push(Value::Dict(Vec::new())),
            (Global::OrderedDict, [pairs]) => self.dict_of(*pairs),
            (Global::RebuildTensor, [storage, start, shape, strides, ..]) => {
                self.tensor(*storage, None, [*start, *shape, *strides])
            }
            (Global::RebuildTyped, [storage, start, shape, strides, _, _, number, ..]) => {
                let Value::Global(Global::Number(element)) = *self.get(*number) else {
                    return Err(self.malformed(kind(self.get(*number)), "a type of numbers"));
                };
                self.tensor(*storage, Some(element), [*start, *shape, *strides])
            }
            (Global::RebuildParameter, [tensor, ..]) => match self.get(*tensor) {
                Value::Tensor(_) => self.push_id(*tensor),
                other => Err(self.malformed(kind(other), "a tensor")),
            },
            (Global::RebuildWithType, [function, _, inner, ..]) => {
                let is_itself = matches!(self.get(*function), Value::Global(Global::RebuildWithType));
                match self.get(*inner) {
                    // Never itself: one level is all that PyTorch writes.
                    Value::Tuple(inner) if !is_itself && inner.len() <= ARGUMENT_LIMIT => {
                        self.call(*function, &inner.clone())
                    }
                    other => Err(self.malformed(kind(other), "the arguments of a tensor")),
                }
            }
            (Global::Size, [shape]) => self.push_id(*shape),
            (Global::Device, _) => self.push(Value::Opaque),
            _ => Err(self.malformed(
                format!("a call of {global:?} with {} arguments", arguments.len()),
                "those that PyTorch writes",
            )),
        }
    }

    fn dict_of(&mut self, pairs: Id) -> Result<(), Error> {
        let (Value::List(items) | Value::Tuple(items)) = self.get(pairs) else {
            return Err(self.malformed(kind(self.get(pairs)), "a list of pairs"));
        };
        let mut dict = Vec::new();
        for item in items {
            match self.get(*item) {
                Value::Tuple(pair) | Value::List(pair) if pair.len() == 2 => {
                    dict.extend(pair.first().copied().zip(pair.get(1).copied()));
                }
                other => return Err(self.malformed(kind(other), "a pair")),
            }
        }
        self.take_items(dict.len())?;
        self.push(Value::Dict(dict))
    }

    fn tensor(&mut self, storage: Id, element: Option<Element>, [start, shape, strides]: [Id; 3]) -> Result<(), Error> {
        let Value::Storage(storage) = self.get(storage) else {
            return Err(self.malformed(kind(self.get(storage)), "a storage"));
        };
        let Some(element) = storage.element.or(element) else {
            return Err(self.malformed("a tensor of bytes", "a type of numbers"));
        };
        let storage = storage.clone();
        let dimensions = self.numbers(shape)?;
        let view = View {
            element,
            start: self.natural(start)?,
            shape: dimensions.iter().map(|n| usize::try_from(*n).unwrap_or(usize::MAX)).collect(),
            strides: self.numbers(strides)?,
            storage,
            at: self.at,
        };
        self.push(Value::Tensor(Box::new(view)))
    }

    /// `("storage", class, key, device, number of elements)`, in old files also where a view of it lies.
    pub(super) fn persistent(&mut self, parts: &[Id]) -> Result<(), Error> {
        let [tag, class, key, _, n_elements, rest @ ..] = parts else {
            return Err(self.malformed(format!("a storage of {} parts", parts.len()), "5 or 6"));
        };
        match self.get(*tag) {
            Value::Text(tag) if tag == "storage" => {}
            Value::Text(other) => return Err(self.refused(&format!("a persistent {other}"))),
            other => return Err(self.malformed(kind(other), "the word storage")),
        }
        let element = match self.get(*class) {
            Value::Global(Global::Storage(element)) => Some(*element),
            Value::Global(Global::UntypedStorage) => None,
            other => return Err(self.malformed(kind(other), "a class of storages")),
        };
        let key = match self.get(*key) {
            Value::Text(key) if key.len() <= KEY_LIMIT => key.clone(),
            Value::Int(key) => key.to_string(),
            other => return Err(self.malformed(kind(other), "the name of a storage")),
        };
        let mut storage = StorageName { key, element, n_elements: self.natural(*n_elements)?, first: 0 };
        if let [view] = rest
            && let Value::Tuple(view) = self.get(*view)
        {
            let [_, first, n] = view.as_slice() else {
                return Err(self.malformed("a view of a storage", "its key, first element and length"));
            };
            (storage.first, storage.n_elements) = (self.natural(*first)?, self.natural(*n)?);
        }
        self.push(Value::Storage(storage))
    }

    fn natural(&self, id: Id) -> Result<u64, Error> {
        match self.get(id) {
            Value::Int(n) => u64::try_from(*n).map_err(|_| self.malformed(n.to_string(), "a number from 0")),
            other => Err(self.malformed(kind(other), "a number")),
        }
    }

    fn numbers(&self, id: Id) -> Result<Vec<u64>, Error> {
        match self.get(id) {
            Value::Tuple(items) | Value::List(items) if items.len() <= DIMENSIONS => {
                items.iter().map(|item| self.natural(*item)).collect()
            }
            other => Err(self.malformed(kind(other), format!("at most {DIMENSIONS} numbers"))),
        }
    }
}
