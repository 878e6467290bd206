//! An object on its way from the API server into a store: metadata typed, the rest as pruned JSON. Pure.

use std::{borrow::Cow, fmt, marker::PhantomData};

use kube::{Resource, api::ObjectMeta};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::Value;

use super::{Cached, Key, Kind, Undeserialisable, Written, owner_of};

/// Stands for `K` in a watch: any JSON object with metadata is accepted, so that one object of a wrong shape cannot stall
/// the others. Whether it is a `K` shows when a pass reads it.
pub struct WatchedObject<K> {
    pub(super) meta: ObjectMeta,
    controller_uid: Option<String>,
    unvisited: bool,
    marks: Vec<String>,
    pub(super) json: Box<str>,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> WatchedObject<K> {
    /// From the JSON of the API server, pruned as the kind says.
    pub fn from_value(mut value: Value) -> Result<Self, serde_json::Error> {
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
            if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
            }
        }
        let meta: ObjectMeta = match value.get("metadata") {
            Some(metadata) => Deserialize::deserialize(metadata)?,
            None => return Err(serde_json::Error::custom("the object has no metadata")),
        };
        // The store's key; an answer without them is none of the kinds here.
        if meta.name.is_none() || meta.namespace.is_none() {
            return Err(serde_json::Error::custom("the object has no namespace or no name"));
        }
        if let Some(fields) = value.as_object_mut() {
            // The items of a list do not say what they are, an event and an answer do: without this every first look
            // after a start would find a difference.
            fields.entry("apiVersion").or_insert_with(|| K::api_version(&()).into());
            fields.entry("kind").or_insert_with(|| K::kind(&()).into());
        }
        K::prune(&mut value);
        let controller_uid =
            meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true)).map(|o| o.uid.clone());
        let unvisited = value.pointer("/status/conditions").and_then(Value::as_array).is_none_or(Vec::is_empty);
        let marks = K::marks(&value);
        let json = value.to_string().into_boxed_str();
        Ok(Self { meta, controller_uid, unvisited, marks, json, kind: PhantomData })
    }
}

impl<K> WatchedObject<K> {
    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> Key {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        Key::new(part(&self.meta.namespace), part(&self.meta.name))
    }

    /// The object as JSON.
    pub fn value(&self) -> Result<Value, Undeserialisable> {
        Ok(serde_json::from_str(&self.json)?)
    }

    /// The object as its type.
    pub fn parse(&self) -> Result<K, Undeserialisable>
    where
        K: DeserializeOwned,
    {
        Ok(serde_json::from_str(&self.json)?)
    }

    pub(super) fn into_cached(self, written: Option<Written>) -> (Key, Cached<K>) {
        let namespace = self.meta.namespace.unwrap_or_default();
        let key = Key::new(namespace, self.meta.name.unwrap_or_default());
        let labels = self.meta.labels.unwrap_or_default();
        let cached = Cached {
            uid: self.meta.uid.unwrap_or_default().into_boxed_str(),
            // Versions of one kind are ordered numbers (Kubernetes states it since 1.35, etcd made it so before).
            version: self.meta.resource_version.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX),
            generation: self.meta.generation.unwrap_or_default(),
            owner: owner_of(&key.namespace, |label| labels.get(label).cloned()),
            controller_uid: self.controller_uid.map(String::into_boxed_str),
            terminating: self.meta.deletion_timestamp.is_some(),
            unvisited: self.unvisited,
            marks: self.marks.into_iter().map(String::into_boxed_str).collect(),
            json: self.json,
            written,
            kind: PhantomData,
        };
        (key, cached)
    }
}

impl<K> From<WatchedObject<K>> for Cached<K> {
    fn from(object: WatchedObject<K>) -> Self {
        object.into_cached(None).1
    }
}

impl<'de, K: Kind> Deserialize<'de> for WatchedObject<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<K> Clone for WatchedObject<K> {
    fn clone(&self) -> Self {
        Self {
            meta: self.meta.clone(),
            controller_uid: self.controller_uid.clone(),
            unvisited: self.unvisited,
            marks: self.marks.clone(),
            json: self.json.clone(),
            kind: PhantomData,
        }
    }
}

impl<K> fmt::Debug for WatchedObject<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedObject").field("name", &self.meta.name).finish_non_exhaustive()
    }
}

impl<K: Kind> Resource for WatchedObject<K> {
    type DynamicType = ();
    type Scope = kube::core::NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }
    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }
    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }
    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }
    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}
