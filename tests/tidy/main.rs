//! The house rules as tests: each rule is a function over text that also has a failing sample beside it.
#![forbid(unsafe_code)]

mod budgets;
mod clients;
mod crates;
mod documents;
mod mask;
mod purity;
mod sources;
mod tree;
mod versions;
