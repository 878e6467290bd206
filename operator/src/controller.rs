//! The controllers, one for each kind, all of one shape: observe → validate → plan → build → apply → status.

pub mod deployment;
pub mod model;
