//! What transformers adds to Jinja for chat templates.

use minijinja::{Error, ErrorKind, Output, State, Value, value::ValueKind};

/// Marks an error as the template's own.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct RaisedByTemplate {
    pub(super) message: String,
}

pub(super) fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(RaisedByTemplate { message }))
}

/// The date, in UTC: a pod has no other zone.
pub(super) fn strftime(format: &str, now: jiff::Timestamp) -> Result<String, Error> {
    jiff::fmt::strtime::format(format, &now.to_zoned(jiff::tz::TimeZone::UTC))
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, "strftime_now").with_source(error))
}

/// Whether Python could iterate over it; unlike the engine's own test, nothing and undefined cannot be.
pub(super) fn is_iterable(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable)
}

/// Prints `True`, `False` and `None` as Python does.
pub(super) fn format_as_python(output: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let word = match value.kind() {
        ValueKind::Bool if value.is_true() => "True",
        ValueKind::Bool => "False",
        ValueKind::None => "None",
        _ => return minijinja::escape_formatter(output, state, value),
    };
    output.write_str(word).map_err(Error::from)
}
