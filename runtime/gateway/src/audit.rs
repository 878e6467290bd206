//! The audit log: one JSON line for each answered request, chained by hashes, so that a removed or changed line shows.
//!
//! Each line holds the hash of the line before (`prev`) and its own (`hash`: SHA-256, in hex, of everything before it in the
//! line). The chain goes on over rotation and restart of a file; on stdout it begins anew with each process. Whoever can
//! write the whole file can write a new chain, so the last hash should be kept elsewhere now and then. No prompt, no answer
//! and no key is ever in a record.

pub(crate) mod chain;
pub(crate) mod file;
pub(crate) mod log;
pub(crate) mod prompts;
mod verify;

pub use self::{
    chain::{Chain, GENESIS, Record},
    verify::{Broken, Verified, VerifyError, verify, verify_files},
};
