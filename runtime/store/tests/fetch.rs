//! Fetches from a hub that misbehaves: what is sealed, what is refused, what is taken up again.

#[cfg(test)]
#[path = "fetch/adapters.rs"]
mod adapters;
#[cfg(test)]
#[path = "fetch/bench.rs"]
mod bench;
#[cfg(test)]
#[path = "fetch/converted.rs"]
mod converted;
#[cfg(test)]
#[path = "fetch/hub.rs"]
mod hub;
#[cfg(test)]
#[path = "fetch/protected.rs"]
mod protected;
#[cfg(test)]
#[path = "fetch/rebinding.rs"]
mod rebinding;
#[cfg(test)]
#[path = "fetch/refused.rs"]
mod refused;
#[cfg(test)]
#[path = "fetch/resumed.rs"]
mod resumed;
#[cfg(test)]
#[path = "fetch/sealed.rs"]
mod sealed;
