//! Brings model files to a volume: sources, resumable transfer, digest, seal, verification.
//!
//! The way of a fetch, each word a module: [`source`] says which files, `transfer` brings them into a
//! `.partial-` directory under the rules of [`policy`], `hash` and [`manifest`] say what they are, `convert` turns
//! what is not served into safetensors, [`inspect`] whether they are a model we serve, and `seal` makes them visible in
//! one rename. `protection` says whose signature they must have and for whom they are encrypted (`encryption`);
//! `verified` holds them to what they were hashed as when they are read again.
#![forbid(unsafe_code)]

mod chunked;
mod client;
mod convert;
mod credentials;
mod encryption;
mod error;
mod fetch;
mod hash;
pub mod inspect;
pub mod manifest;
mod partial;
pub mod path;
pub mod policy;
mod progress;
mod protection;
mod ranges;
mod report;
mod resolver;
mod seal;
mod signature;
mod source;
mod transfer;
mod verified;
mod verify;
mod volume;

pub use crate::{
    client::Timing,
    credentials::Credentials,
    encryption::Keys,
    error::FetchError,
    fetch::{Fetch, fetch},
    inspect::{FormatsInspector, Inspect, Inspected},
    progress::Progress,
    protection::Protection,
    report::{failed, last_word, write_last_word, write_termination_log},
    resolver::{Lookup, SystemLookup},
    verified::Verified,
    verify::{digest_of, prove, verify},
};
