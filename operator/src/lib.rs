//! The operator: turns the kinds of Alcazar into private pods.
//!
//! Four controllers of one shape (observe → validate → plan → build → apply → status) stand on a small
//! frame: [`store`] keeps what the watches saw, [`queue`] says whose turn it is, [`runner`] gives turns,
//! [`apply`] brings built objects to the cluster and only when they differ, [`conditions`] keeps status honest.
#![forbid(unsafe_code)]

pub mod admin;
pub mod apply;
pub mod authority;
mod bounds;
pub mod canary;
pub mod children;
pub mod compare;
pub mod conditions;
pub mod context;
pub mod controller;
pub mod env_vars;
pub mod lease;
pub mod lookup;
pub mod pod_http;
pub mod queue;
mod random;
pub mod run;
pub mod runner;
pub mod secrets;
pub mod settings;
pub mod status;
pub mod store;
pub mod telemetry;
pub mod watch;
