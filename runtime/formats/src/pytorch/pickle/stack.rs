//! The stack of the machine, and what goes from it into containers.

use super::{Id, Machine, Value};
use crate::Error;

const VALUE_LIMIT: usize = 1 << 20;
const STACK_LIMIT: usize = 1 << 20;
pub(super) const ITEM_LIMIT: usize = 8 << 20;
/// PyTorch's functions take eight at most.
pub(super) const ARGUMENT_LIMIT: usize = 16;

impl Machine<'_, '_> {
    pub(super) fn push(&mut self, value: Value) -> Result<(), Error> {
        if self.values.len() >= VALUE_LIMIT {
            return Err(self.malformed(format!("more than {VALUE_LIMIT} values"), "the weights of a model alone"));
        }
        let id = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value);
        self.push_id(id)
    }

    pub(super) fn push_id(&mut self, id: Id) -> Result<(), Error> {
        if self.stack.len() >= STACK_LIMIT {
            return Err(self.malformed(format!("more than {STACK_LIMIT} values on the stack"), "fewer"));
        }
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn get(&self, id: Id) -> &Value {
        self.values.get(id as usize).unwrap_or(&Value::None)
    }

    /// Height of the stack without its top `n`, which must lie above the last mark.
    pub(super) fn height_above_mark(&self, n: usize) -> Result<usize, Error> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let height = self.stack.len().checked_sub(n).filter(|height| *height >= floor);
        height.ok_or_else(|| self.malformed("an empty stack", format!("{n} values")))
    }

    pub(super) fn top(&self) -> Result<Id, Error> {
        let at = self.height_above_mark(1)?;
        self.stack.get(at).copied().ok_or_else(|| self.malformed("an empty stack", "a value"))
    }

    pub(super) fn pop(&mut self) -> Result<Id, Error> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// What lies above the last mark.
    pub(super) fn pop_mark(&mut self) -> Result<Vec<Id>, Error> {
        let floor = self.marks.pop().filter(|floor| *floor <= self.stack.len());
        let Some(floor) = floor else { return Err(self.malformed("no mark", "a mark on the stack")) };
        let items = self.stack.split_off(floor);
        self.take_items(items.len())?;
        Ok(items)
    }

    pub(super) fn pop_pairs(&mut self) -> Result<Vec<(Id, Id)>, Error> {
        let items = self.pop_mark()?;
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.malformed("a key without value", "pairs"));
        }
        Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
    }

    pub(super) fn pop_tuple(&mut self) -> Result<Vec<Id>, Error> {
        let id = self.pop()?;
        match self.get(id) {
            Value::Tuple(items) if items.len() <= ARGUMENT_LIMIT => Ok(items.clone()),
            other => Err(self.malformed(kind(other), format!("a tuple of at most {ARGUMENT_LIMIT} arguments"))),
        }
    }

    pub(super) fn pop_text(&mut self) -> Result<String, Error> {
        let id = self.pop()?;
        match self.get(id) {
            Value::Text(text) => Ok(text.clone()),
            other => Err(self.malformed(kind(other), "a name")),
        }
    }

    pub(super) fn take_items(&mut self, n: usize) -> Result<(), Error> {
        match self.items_left.checked_sub(n) {
            Some(left) => {
                self.items_left = left;
                Ok(())
            }
            None => Err(self.malformed(format!("more than {ITEM_LIMIT} items"), "fewer")),
        }
    }

    pub(super) fn append(&mut self, items: &[Id]) -> Result<(), Error> {
        let top = self.top()?;
        match self.values.get_mut(top as usize) {
            Some(Value::List(list)) => {
                list.extend(items);
                Ok(())
            }
            Some(Value::Opaque) => Ok(()),
            other => {
                let found = kind(&other.map_or(Value::None, |value| value.clone()));
                Err(self.malformed(found, "a list"))
            }
        }
    }

    pub(super) fn insert(&mut self, pairs: &[(Id, Id)]) -> Result<(), Error> {
        let top = self.top()?;
        match self.values.get_mut(top as usize) {
            Some(Value::Dict(dict)) => {
                dict.extend(pairs);
                Ok(())
            }
            Some(Value::Opaque) => Ok(()),
            other => {
                let found = kind(&other.map_or(Value::None, |value| value.clone()));
                Err(self.malformed(found, "a dictionary"))
            }
        }
    }
}

/// A value's kind, for errors.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::None => "None",
        Value::Bool(_) => "a truth value",
        Value::Int(_) | Value::Long(_) => "a number",
        Value::Text(_) => "a string",
        Value::Tuple(_) => "a tuple",
        Value::List(_) => "a list",
        Value::Dict(_) => "a dictionary",
        Value::Global(_) => "a name",
        Value::Storage(_) => "a storage",
        Value::Tensor(_) => "a tensor",
        Value::Opaque => "another object",
    }
}
