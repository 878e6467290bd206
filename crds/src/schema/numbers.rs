//! Bounded integers. Only int32 and int64 occur: the API has no unsigned numbers and no fractions.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Largest whole number that every JSON reader keeps exact.
const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;

fn int32(minimum: i32, maximum: i32) -> Schema {
    json_schema!({"type": "integer", "format": "int32", "minimum": minimum, "maximum": maximum})
}

fn int64(minimum: i64, maximum: i64) -> Schema {
    json_schema!({"type": "integer", "format": "int64", "minimum": minimum, "maximum": maximum})
}

pub(crate) fn replicas(_: &mut SchemaGenerator) -> Schema {
    int32(0, 1000)
}

pub(crate) fn gpus(_: &mut SchemaGenerator) -> Schema {
    int32(0, 64)
}

pub(crate) fn context_length(_: &mut SchemaGenerator) -> Schema {
    int32(16, 16_777_216)
}

pub(crate) fn max_sequences(_: &mut SchemaGenerator) -> Schema {
    int32(1, 1024)
}

pub(crate) fn progress_deadline_seconds(_: &mut SchemaGenerator) -> Schema {
    int32(60, 86_400)
}

pub(crate) fn drain_seconds(_: &mut SchemaGenerator) -> Schema {
    int32(0, 3600)
}

pub(crate) fn retention_days(_: &mut SchemaGenerator) -> Schema {
    int32(1, 90)
}

pub(crate) fn limit32(_: &mut SchemaGenerator) -> Schema {
    int32(1, i32::MAX)
}

pub(crate) fn limit64(_: &mut SchemaGenerator) -> Schema {
    int64(1, MAX_SAFE_INTEGER)
}

pub(crate) fn percent(_: &mut SchemaGenerator) -> Schema {
    int32(0, 100)
}

pub(crate) fn count32(_: &mut SchemaGenerator) -> Schema {
    int32(0, i32::MAX)
}

pub(crate) fn count64(_: &mut SchemaGenerator) -> Schema {
    int64(0, MAX_SAFE_INTEGER)
}

pub(crate) fn observed_generation(_: &mut SchemaGenerator) -> Schema {
    int64(-1, MAX_SAFE_INTEGER)
}
