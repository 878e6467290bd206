//! Peers, a network that loses and reorders, and an endpoint, on one clock that tests move.

mod attack;
pub(crate) mod client;
mod many;
mod members;
mod timers;
mod transfer;
mod world;
