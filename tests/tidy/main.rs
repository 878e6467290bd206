//! The house rules as tests: each rule is a function over text that also has a failing sample beside it.
#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a program of tests alone: a panic is how a test tells that it failed")]

mod budgets;
mod clients;
mod crates;
mod documents;
mod mask;
mod modules;
mod purity;
mod sources;
mod tree;
mod versions;
