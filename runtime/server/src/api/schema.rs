//! The bodies of the API as types, from which `/openapi.json` is written. Requests are read by `Fields`, which tells each
//! fault by its place; a test holds both to the same names.
#![expect(dead_code, reason = "these types are read by their schema, not by their fields")]

pub(super) mod answers;
pub(super) mod encoders;
mod knobs;
pub(super) mod requests;
