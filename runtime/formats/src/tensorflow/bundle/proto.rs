//! The fields of a message of protocol buffers.

use crate::fields::Fields;

/// `DT_STRING`.
pub(super) const STRING: u64 = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Fixed32(u32),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

/// Number and value of each field; `None`, once, where the message is broken.
pub(super) fn fields(message: &[u8]) -> impl Iterator<Item = Option<(u64, Value<'_>)>> {
    let mut rest = Fields { bytes: message };
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest);
        if field.is_none() {
            rest = Fields { bytes: &[] };
        }
        Some(field)
    })
}

fn field<'a>(rest: &mut Fields<'a>) -> Option<(u64, Value<'a>)> {
    let tag = rest.varint()?;
    let value = match tag & 7 {
        0 => Value::Number(rest.varint()?),
        1 => Value::Fixed64(rest.u64()?),
        2 => {
            let n = rest.varint()?;
            Value::Bytes(rest.take_u64(n)?)
        }
        5 => Value::Fixed32(rest.u32()?),
        _ => return None,
    };
    Some((tag >> 3, value))
}
