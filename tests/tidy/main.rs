//! The house rules as tests: each rule is a function over text that also has a failing sample beside it.
#![forbid(unsafe_code)]
#![allow(clippy::panic, reason = "a test says by a panic what it saw")]

mod budgets;
mod clients;
mod crates;
mod documents;
mod mask;
mod purity;
mod sources;
mod tree;
mod versions;
