//! An object as a store keeps it: what is asked of it often, and the rest as compact JSON. Pure.

use std::{marker::PhantomData, sync::atomic::AtomicBool, time::Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::OwnerKey;

/// A stored object.
pub struct Cached<K> {
    pub(super) uid: Box<str>,
    pub(super) version: u64,
    pub(super) generation: i64,
    pub(super) owner: Option<OwnerKey>,
    pub(super) controller_uid: Option<Box<str>>,
    pub(super) terminating: bool,
    pub(super) unvisited: bool,
    pub(super) marks: Box<[Box<str>]>,
    pub(super) json: Box<str>,
    pub(super) written: Option<Written>,
    pub(super) kind: PhantomData<fn() -> K>,
}

/// A stored object whose JSON is not of its kind's shape.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the stored object: {source}")]
pub struct Undeserialisable {
    /// Field and reason.
    #[from]
    source: serde_json::Error,
}

impl<K> Cached<K> {
    /// Identity of the object.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// `metadata.resourceVersion`.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// `metadata.generation`; 0 where the kind has none.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// UID of the controller in the owner references.
    #[must_use]
    pub fn controller_uid(&self) -> Option<&str> {
        self.controller_uid.as_deref()
    }

    /// Whose child it says it is, by label.
    #[must_use]
    pub fn owner(&self) -> Option<&OwnerKey> {
        self.owner.as_ref()
    }

    /// Whether it is being deleted.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.terminating
    }

    /// The object as JSON.
    pub fn value(&self) -> Result<Value, Undeserialisable> {
        Ok(serde_json::from_str(&self.json)?)
    }

    /// When we last wrote it, unless somebody else wrote it since.
    #[must_use]
    pub fn written(&self) -> Option<Instant> {
        self.written.as_ref().map(|written| written.at)
    }

    /// Whether no controller has given it a status yet.
    #[must_use]
    pub fn is_unvisited(&self) -> bool {
        self.unvisited
    }
}

impl<K: DeserializeOwned> Cached<K> {
    /// The object as its type.
    pub fn parse(&self) -> Result<K, Undeserialisable> {
        Ok(serde_json::from_str(&self.json)?)
    }
}

/// What of an object we wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// Its status: its own controller did.
    Status,
    /// All but its status: the controller of its owner did.
    Child,
}

/// A write of ours.
pub(super) struct Written {
    pub(super) what: Wrote,
    pub(super) at: Instant,
    /// Whether the watch has told of it.
    pub(super) heard: AtomicBool,
}
