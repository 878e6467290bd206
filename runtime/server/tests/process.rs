//! The program itself: fetched from a hub, killed, taken up again, served over TLS, drained by SIGTERM.

#[cfg(test)]
#[path = "process/adapters.rs"]
mod adapters;
#[cfg(test)]
#[path = "process/life.rs"]
mod life;
#[cfg(test)]
#[path = "process/program.rs"]
mod program;
#[cfg(test)]
#[path = "process/tiny.rs"]
mod tiny;
