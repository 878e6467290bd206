//! `alcazar`: what people do at their own machine, beside `kubectl`.
//!
//! A key or a private key is made here, shown once, and never sent anywhere: what goes to the cluster is the YAML on
//! standard output, which holds a hash or a public key and is fit for Git. So nothing here writes an object that
//! belongs into Git; `keys revoke` is the one write, for the moment when it cannot wait.
//!
//! What is printed is computed by pure functions ([`keys`], [`vpn`]); [`run`] and [`cluster`] are the edge.
#![forbid(unsafe_code)]

pub mod address;
pub mod audit;
pub mod cli;
pub mod cluster;
pub mod error;
pub mod expiry;
pub mod key_text;
pub mod keys;
pub mod manifest;
pub mod model;
pub mod print;
pub mod reference;
pub mod run;
pub mod vpn;
