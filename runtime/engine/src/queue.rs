//! Who runs next.

use std::{collections::VecDeque, sync::Arc};

use alcazar_core::SeqId;

use crate::entry::Entry;

/// Sequences that wait. Tenants take turns, and each one's requests keep their order: who sends many waits for his own.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// They ran before and gave way to older ones; before all others, the oldest first.
    returned: VecDeque<Entry>,
    /// Tenants with requests, whose turn it is first.
    tenants: VecDeque<(Arc<str>, VecDeque<Entry>)>,
}

impl Queue {
    pub(crate) fn push(&mut self, entry: Entry) {
        match self.tenants.iter_mut().find(|(tenant, _)| *tenant == entry.tenant) {
            Some((_, entries)) => entries.push_back(entry),
            None => self.tenants.push_back((Arc::clone(&entry.tenant), VecDeque::from([entry]))),
        }
    }

    /// Takes back the youngest of those that ran.
    pub(crate) fn put_back(&mut self, entry: Entry) {
        self.returned.push_front(entry);
    }

    /// Whom [`Self::pop`] gives.
    pub(crate) fn front(&self) -> Option<&Entry> {
        self.returned.front().or_else(|| self.tenants.front()?.1.front())
    }

    pub(crate) fn pop(&mut self) -> Option<Entry> {
        if let Some(entry) = self.returned.pop_front() {
            return Some(entry);
        }
        let (tenant, mut entries) = self.tenants.pop_front()?;
        let entry = entries.pop_front();
        if !entries.is_empty() {
            self.tenants.push_back((tenant, entries));
        }
        entry
    }

    pub(crate) fn remove(&mut self, id: SeqId) -> Option<Entry> {
        if let Some(at) = self.returned.iter().position(|entry| entry.id == id) {
            return self.returned.remove(at);
        }
        let place = |entries: &VecDeque<Entry>| entries.iter().position(|entry| entry.id == id);
        let mut tenants = self.tenants.iter().enumerate();
        let (tenant, at) = tenants.find_map(|(tenant, (_, entries))| Some((tenant, place(entries)?)))?;
        let (_, entries) = self.tenants.get_mut(tenant)?;
        let entry = entries.remove(at);
        if entries.is_empty() {
            self.tenants.remove(tenant);
        }
        entry
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.returned.iter().chain(self.tenants.iter().flat_map(|(_, entries)| entries))
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.front().is_none()
    }
}
