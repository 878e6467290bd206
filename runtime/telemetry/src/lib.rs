//! What no program of ours may say, whatever its settings: lines of libraries that show headers, frames or bodies, and the
//! text of a panic.
//!
//! Our own lines hold no text of a request; that is a rule of the code, and the canary suites prove it. A library knows
//! no such rule: at `trace`, HTTP libraries print headers and rejected bodies. [`Ceiling`] keeps them at `info`, so that
//! somebody who looks for a fault with the finest level of ours sees no prompt.
#![forbid(unsafe_code)]

mod ceiling;
pub mod panics;

pub use ceiling::{Ceiling, Unclear};
