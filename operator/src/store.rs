//! What the watches saw, kept small, with our own writes already in it. No IO.
//!
//! One store for each kind, shared by both controllers. An object is kept as compact JSON without what nobody reads
//! (managed fields, most of a pod's spec): a fifth of its size as a typed value. A write of ours goes into the store with the
//! API server's answer, and an older event of the watch never replaces it, so a pass always sees what the last one did.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use crate::children::OwnerKind;

mod cached;
pub mod kinds;
pub mod object;
#[cfg(test)]
mod tests;

use cached::Written;
pub(crate) use cached::Wrote;
pub use cached::{Cached, Undeserialisable};
pub use kinds::{Kind, Stores};
pub use object::WatchedObject;

/// Namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Never empty: all kinds here are namespaced.
    pub namespace: String,
    /// Never empty.
    pub name: String,
}

impl Key {
    /// From anything stringly.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One of our objects, by kind and name: what a change wakes up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnerKey {
    /// Which controller.
    pub kind: OwnerKind,
    /// Which object.
    pub key: Key,
}

/// What a change to a store means for those who wait.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Owners to wake: of the object as it is and as it was.
    pub owners: BTreeSet<OwnerKey>,
    /// Objects of the kind itself, for kinds that have a controller.
    pub objects: BTreeSet<Key>,
    /// What the objects are found by, as they are and as they were; see [`Kind::marks`].
    pub marks: BTreeSet<Box<str>>,
    /// The change is our own write, come back by the watch: who wrote it knows already.
    pub(crate) echo: Option<Wrote>,
}

impl Changed {
    fn note<K>(&mut self, key: &Key, object: &Cached<K>) {
        self.owners.extend(object.owner.clone());
        self.marks.extend(object.marks.iter().cloned());
        self.objects.insert(key.clone());
    }

    fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

struct Inner<K> {
    objects: HashMap<Key, Arc<Cached<K>>>,
    by_owner: HashMap<OwnerKey, BTreeSet<String>>,
    by_mark: HashMap<Box<str>, BTreeSet<Key>>,
}

/// All objects of one kind that the operator may see.
pub struct Store<K> {
    inner: Arc<RwLock<Inner<K>>>,
    settled: Arc<Mutex<HashMap<Key, String>>>,
    lists_due: Arc<AtomicUsize>,
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            settled: Arc::clone(&self.settled),
            lists_due: Arc::clone(&self.lists_due),
        }
    }
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        let inner = Inner { objects: HashMap::new(), by_owner: HashMap::new(), by_mark: HashMap::new() };
        Self { inner: Arc::new(RwLock::new(inner)), settled: Arc::default(), lists_due: Arc::new(AtomicUsize::new(1)) }
    }
}

impl<K> Store<K> {
    /// The object of that name, if it carries our label.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Cached<K>>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).objects.get(key).cloned()
    }

    /// All objects that say by label that they belong to `owner`, by name.
    #[must_use]
    pub fn of_owner(&self, owner: &OwnerKey) -> Vec<(Key, Arc<Cached<K>>)> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let names = inner.by_owner.get(owner).into_iter().flatten();
        let keys = names.map(|name| Key::new(owner.key.namespace.clone(), name.clone()));
        keys.filter_map(|key| inner.objects.get(&key).cloned().map(|object| (key, object))).collect()
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).objects.keys().cloned().collect()
    }

    /// Identities of all objects.
    #[must_use]
    pub fn uids(&self) -> HashSet<String> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.objects.values().map(|object| object.uid.to_string()).collect()
    }

    /// Keys of the objects that `wanted` accepts.
    #[must_use]
    pub fn keys_where(&self, wanted: impl Fn(&Key, &Cached<K>) -> bool) -> Vec<Key> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.objects.iter().filter(|(key, object)| wanted(key, object)).map(|(key, _)| key.clone()).collect()
    }

    /// Keys of the objects that are found by `mark`, in order.
    #[must_use]
    pub fn marked(&self, mark: &str) -> Vec<Key> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.by_mark.get(mark).into_iter().flatten().cloned().collect()
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).objects.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the first list is complete. Absence means nothing before that.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.lists_due.load(Ordering::Acquire) == 0
    }

    /// How many lists make the store complete: one for each namespace that is looked after.
    pub(crate) fn expect_lists(&self, count: usize) {
        self.lists_due.store(count, Ordering::Release);
    }

    /// A list is complete; answers whether it was the last one due.
    pub(crate) fn listed(&self) -> bool {
        let less = |due: usize| due.checked_sub(1);
        self.lists_due.fetch_update(Ordering::AcqRel, Ordering::Acquire, less) == Ok(1)
    }

    /// An object from the watch. What is older than what is here changes nothing; what we wrote ourselves is an echo.
    pub(crate) fn saw(&self, object: WatchedObject<K>) -> Option<Changed> {
        self.put(object, None)
    }

    /// The API server's answer to a write of ours.
    pub(crate) fn wrote(&self, object: WatchedObject<K>, what: Wrote) {
        self.put(object, Some(Written { what, at: Instant::now(), heard: AtomicBool::new(false) }));
    }

    fn put(&self, object: WatchedObject<K>, written: Option<Written>) -> Option<Changed> {
        let (key, mut new) = object.into_cached(written);
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Changed::default();
        if let Some(old) = inner.objects.get(&key).filter(|old| old.uid == new.uid && old.version >= new.version) {
            if old.version > new.version {
                return None;
            }
            if let Some(written) = &mut new.written {
                // The event has overtaken the answer and was told as news.
                *written.heard.get_mut() = true;
                inner.insert(key, new);
                return None;
            }
            let echo = old.written.as_ref().filter(|written| !written.heard.swap(true, Ordering::Relaxed))?;
            changed.echo = Some(echo.what);
            changed.note(&key, old);
            return Some(changed);
        }
        if let Some(old) = inner.objects.get(&key) {
            if old.uid == new.uid && old.json == new.json {
                // Another version of what nobody reads: somebody else's part of the status.
                inner.insert(key, new);
                return None;
            }
            changed.note(&key, old);
        }
        changed.note(&key, &new);
        inner.insert(key, new);
        Some(changed)
    }

    /// A deletion from the watch, or an object that lost our label.
    pub(crate) fn gone(&self, object: WatchedObject<K>) -> Option<Changed> {
        let (key, gone) = object.into_cached(None);
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let old = inner.objects.get(&key)?;
        // Newer than the deletion: made again by us before the event of the deletion arrived.
        if old.version > gone.version {
            return None;
        }
        let mut changed = Changed::default();
        changed.note(&key, old);
        inner.remove(&key);
        Some(changed)
    }

    /// The API server says that it is not there (a write of ours found it missing or deleted it).
    pub(crate) fn forget(&self, key: &Key, uid: &str) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if inner.objects.get(key).is_some_and(|old| &*old.uid == uid) {
            inner.remove(key);
        }
    }

    /// Our write left a difference: something at the API server insists on it. Not to be tried again while nothing changes.
    pub(crate) fn settle(&self, key: &Key, fingerprint: String) {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), fingerprint);
    }

    /// Whether that very difference was left by our last write.
    pub(crate) fn is_settled(&self, key: &Key, fingerprint: &str) -> bool {
        let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        settled.get(key).is_some_and(|known| known == fingerprint)
    }

    /// Drops what a complete list, begun at `began`, did not hold; what we wrote since then stays.
    pub(crate) fn retain_listed(&self, scope: Option<&str>, listed: &BTreeSet<Key>, began: Instant) -> Option<Changed> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let stale: Vec<Key> = inner
            .objects
            .iter()
            .filter(|(key, object)| {
                scope.is_none_or(|namespace| key.namespace == namespace)
                    && !listed.contains(*key)
                    && object.written.as_ref().is_none_or(|written| written.at < began)
            })
            .map(|(key, _)| key.clone())
            .collect();
        let mut changed = Changed::default();
        for key in stale {
            if let Some(old) = inner.remove(&key) {
                changed.note(&key, &old);
            }
        }
        (!changed.is_empty()).then_some(changed)
    }
}

impl<K> Inner<K> {
    fn insert(&mut self, key: Key, new: Cached<K>) {
        self.remove(&key);
        if let Some(owner) = &new.owner {
            self.by_owner.entry(owner.clone()).or_default().insert(key.name.clone());
        }
        for mark in &new.marks {
            self.by_mark.entry(mark.clone()).or_default().insert(key.clone());
        }
        self.objects.insert(key, Arc::new(new));
    }

    fn remove(&mut self, key: &Key) -> Option<Arc<Cached<K>>> {
        let old = self.objects.remove(key)?;
        for mark in &old.marks {
            if let Some(keys) = self.by_mark.get_mut(mark) {
                keys.remove(key);
                if keys.is_empty() {
                    self.by_mark.remove(mark);
                }
            }
        }
        if let Some(owner) = &old.owner
            && let Some(names) = self.by_owner.get_mut(owner)
        {
            names.remove(&key.name);
            if names.is_empty() {
                self.by_owner.remove(owner);
            }
        }
        Some(old)
    }
}

/// Whose child an object with these labels is. A deployment's own model carries the deployment's label.
fn owner_of(namespace: &str, label: impl Fn(&str) -> Option<String>) -> Option<OwnerKey> {
    [OwnerKind::Deployment, OwnerKind::Model, OwnerKind::ApiKey]
        .into_iter()
        .find_map(|kind| Some(OwnerKey { kind, key: Key::new(namespace, label(kind.label())?) }))
}
