//! Serves many sequences at once on one model: admission, scheduling, cache blocks, sampling. No IO.
//!
//! ```text
//!  submit ─► waiting ─► running ─► step: plan ─► Model::forward ─► sample ─► effects
//!               ▲          │ (no blocks left: recompute later)
//!               └──────────┘
//! ```
//! [`Engine`] is a state machine: one thread of the server owns it, calls [`Engine::step`] and performs the effects.
//! It reads no clock and no randomness: a sequence's tokens follow from its prompt, its seed and the model.
#![forbid(unsafe_code)]

pub mod blocks;
pub mod constraint;
pub mod effect;
pub mod engine;
pub mod gate;
pub mod logprobs;
pub mod packer;
pub mod request;
pub mod sampler;
pub mod sampling;

mod entry;
mod queue;
mod scheduler;
mod speculation;

pub use constraint::{Constraint, ConstraintError, Progress};
pub use effect::{Effect, Load};
pub use engine::{Engine, EngineConfig};
pub use gate::{Gate, Overloaded, Permit};
pub use logprobs::TokenLogprobs;
pub use packer::Packer;
pub use request::{FinishReason, MAX_LOGPROBS, Refused, Request, Usage};
pub use sampling::Sampling;
pub use speculation::Speculation;
