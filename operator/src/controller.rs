//! The controllers, one for each kind, all of one shape: observe → validate → plan → build → apply → status.

pub mod api_key;
pub mod deployment;
pub mod model;
pub mod vpn_peer;

mod grant;
