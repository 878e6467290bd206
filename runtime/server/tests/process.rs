//! The program itself: fetched from a hub, killed, taken up again, served over TLS, drained by SIGTERM; and with
//! weights that are encrypted.

#[cfg(test)]
#[path = "process/adapters.rs"]
mod adapters;
#[cfg(test)]
#[path = "process/bench.rs"]
mod bench;
#[cfg(test)]
#[path = "process/encrypted.rs"]
mod encrypted;
#[cfg(test)]
#[path = "process/life.rs"]
mod life;
#[cfg(test)]
#[path = "process/program.rs"]
mod program;
#[cfg(test)]
#[path = "process/tiny.rs"]
mod tiny;
