//! The operations of a pickle, protocols 2 to 5, as far as PyTorch writes them.

use std::collections::HashMap;

use super::{Global, Input, Loaded, Machine, Value, stack::ITEM_LIMIT};
use crate::Error;

const OPERATION_LIMIT: usize = 16 << 20;
const MEMO_LIMIT: usize = 1 << 20;
const MARK_LIMIT: usize = 1 << 10;

const STOP: u8 = b'.';

/// Reads one pickle; the input is left behind its end.
pub(in crate::pytorch) fn load(input: &mut Input<'_>) -> Result<Loaded, Error> {
    let mut machine = Machine {
        at: input.position(),
        input,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        items_left: ITEM_LIMIT,
    };
    for _ in 0..OPERATION_LIMIT {
        machine.at = machine.input.position();
        match machine.input.u8()? {
            STOP => {
                let root = machine.pop()?;
                return Ok(Loaded { values: machine.values, root });
            }
            operation => machine.step(operation)?,
        }
    }
    Err(machine.malformed(format!("more than {OPERATION_LIMIT} operations"), "the end of the pickle"))
}

impl Machine<'_, '_> {
    fn step(&mut self, operation: u8) -> Result<(), Error> {
        match operation {
            0x80 => self.protocol(),
            0x95 => self.input.u64().map(drop), // FRAME: a hint for readers
            b'(' => self.mark(),
            b'0' => self.pop().map(drop),
            b'1' => self.pop_mark().map(drop),
            b'2' => {
                let top = self.top()?;
                self.push_id(top)
            }
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memo_operation(operation),
            b')' | 0x85..=0x87 | b't' | b']' | b'}' | 0x8f | b'l' | b'd' | b'a' | b'e' | b's' | b'u' | 0x90 | 0x91 => {
                self.container(operation)
            }
            b'c' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                self.global(&module, &name)
            }
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.global(&module, &name)
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop_tuple()?, self.pop()?);
                self.call(callable, &arguments)
            }
            b'b' => {
                // What is left of an object beyond its items: hooks, metadata, attributes.
                self.pop()?;
                self.top().map(drop)
            }
            b'Q' => {
                let parts = self.pop_tuple()?;
                self.persistent(&parts)
            }
            _ => self.constant(operation),
        }
    }

    fn constant(&mut self, operation: u8) -> Result<(), Error> {
        let value = match operation {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Int(self.input.i32()?.into()),
            b'K' => Value::Int(self.input.u8()?.into()),
            b'M' => Value::Int(self.input.u16()?.into()),
            0x8a => {
                let n = self.input.u8()?;
                long(self.input.bytes(n.into())?)
            }
            0x8b => {
                let n = self.input.u32()?;
                long(self.input.bytes(n.into())?)
            }
            b'G' => {
                self.input.array::<8>()?;
                Value::Opaque
            }
            // U and T are the strings of Python 2, which name the tensors of the oldest files.
            b'X' | b'T' => {
                let n = self.input.u32()?;
                Value::Text(self.input.text(n.into())?)
            }
            0x8c | b'U' => {
                let n = self.input.u8()?;
                Value::Text(self.input.text(n.into())?)
            }
            0x8d => {
                let n = self.input.u64()?;
                Value::Text(self.input.text(n)?)
            }
            b'C' => {
                let n = self.input.u8()?;
                self.input.bytes(n.into())?;
                Value::Opaque
            }
            b'B' => {
                let n = self.input.u32()?;
                self.input.bytes(n.into())?;
                Value::Opaque
            }
            0x8e => {
                let n = self.input.u64()?;
                self.input.bytes(n)?;
                Value::Opaque
            }
            other => return Err(self.refused(&format!("operation 0x{other:02x}"))),
        };
        self.push(value)
    }

    fn container(&mut self, operation: u8) -> Result<(), Error> {
        match operation {
            b')' => self.push(Value::Tuple(Vec::new())),
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            0x8f => self.push(Value::Opaque),
            0x85..=0x87 => {
                let n = usize::from(operation - 0x84);
                let height = self.height_above_mark(n)?;
                let items = self.stack.split_off(height);
                self.take_items(n)?;
                self.push(Value::Tuple(items))
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Value::Tuple(items))
            }
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Value::List(items))
            }
            b'd' => {
                let pairs = self.pop_pairs()?;
                self.push(Value::Dict(pairs))
            }
            0x91 => {
                self.pop_mark()?;
                self.push(Value::Opaque)
            }
            b'a' => {
                let item = self.pop()?;
                self.take_items(1)?;
                self.append(&[item])
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(&items)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.take_items(1)?;
                self.insert(&[(key, value)])
            }
            b'u' => {
                let pairs = self.pop_pairs()?;
                self.insert(&pairs)
            }
            // Items of a set, which holds no weights.
            _ => self.pop_mark().map(drop),
        }
    }

    fn memo_operation(&mut self, operation: u8) -> Result<(), Error> {
        let slot = match operation {
            b'q' | b'h' => self.input.u8()?.into(),
            b'r' | b'j' => self.input.u32()?,
            _ => u32::try_from(self.memo.len()).unwrap_or(u32::MAX),
        };
        if matches!(operation, b'h' | b'j') {
            return match self.memo.get(&slot) {
                Some(id) => self.push_id(*id),
                None => Err(self.malformed(format!("memo {slot}"), "one that was filled before")),
            };
        }
        if self.memo.len() >= MEMO_LIMIT {
            return Err(self.malformed(format!("more than {MEMO_LIMIT} remembered values"), "fewer"));
        }
        let top = self.top()?;
        self.memo.insert(slot, top);
        Ok(())
    }

    fn protocol(&mut self) -> Result<(), Error> {
        match self.input.u8()? {
            2..=5 => Ok(()),
            other => Err(self.refused(&format!("pickle protocol {other}"))),
        }
    }

    fn mark(&mut self) -> Result<(), Error> {
        if self.marks.len() >= MARK_LIMIT {
            return Err(self.malformed(format!("more than {MARK_LIMIT} containers within each other"), "fewer"));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), Error> {
        match Global::resolve(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None => Err(self.refused(&format!("{module}.{name}"))),
        }
    }
}

fn long(bytes: Vec<u8>) -> Value {
    if bytes.len() > 8 {
        return Value::Long(bytes);
    }
    let fill = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
    let mut wide = [fill; 8];
    wide.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
    Value::Int(i64::from_le_bytes(wide))
}
