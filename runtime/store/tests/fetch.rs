//! Fetches from a hub that misbehaves: what is sealed, what is refused, what is taken up again.

#[path = "fetch/bench.rs"]
mod bench;
#[path = "fetch/hub.rs"]
mod hub;
#[path = "fetch/refused.rs"]
mod refused;
#[path = "fetch/resumed.rs"]
mod resumed;
#[path = "fetch/sealed.rs"]
mod sealed;
