//! Whose turn it is. Pure: the clock is passed in.
//!
//! A key is in the queue once, however often it is woken; it never runs twice at a time; woken while it runs, it runs again.
//! Objects that nobody has looked at yet come first, so that a new object gets its first status however long the queue is.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::Hash,
    time::Instant,
};

#[cfg(test)]
mod tests;

/// Which line a key waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Never visited.
    First,
    /// All others.
    Normal,
}

/// A queue of keys with the moment from which each may run.
#[derive(Debug)]
pub struct Queue<K> {
    due: BTreeSet<(Lane, Instant, u64)>,
    keys: BTreeMap<u64, K>,
    places: HashMap<K, (Lane, Instant, u64)>,
    running: HashSet<K>,
    again: HashMap<K, (Lane, Instant)>,
    ticket: u64,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self {
            due: BTreeSet::new(),
            keys: BTreeMap::new(),
            places: HashMap::new(),
            running: HashSet::new(),
            again: HashMap::new(),
            ticket: 0,
        }
    }
}

impl<K: Clone + Eq + Hash> Queue<K> {
    /// Asks for a turn at `at` or, if one is promised earlier or in a better lane, keeps that.
    pub fn push(&mut self, key: K, lane: Lane, at: Instant) {
        if self.running.contains(&key) {
            let place = self.again.entry(key).or_insert((lane, at));
            *place = (lane.min(place.0), at.min(place.1));
            return;
        }
        let (mut lane, mut at) = (lane, at);
        if let Some(old @ (old_lane, old_at, ticket)) = self.places.get(&key).copied() {
            if old_lane <= lane && old_at <= at {
                return;
            }
            (lane, at) = (lane.min(old_lane), at.min(old_at));
            self.due.remove(&old);
            self.keys.remove(&ticket);
        }
        self.ticket += 1;
        let place = (lane, at, self.ticket);
        self.due.insert(place);
        self.keys.insert(self.ticket, key.clone());
        self.places.insert(key, place);
    }

    /// The next key of any lane, the first lane first.
    pub fn pop(&mut self, now: Instant) -> Option<K> {
        self.pop_lane(Lane::First, now).or_else(|| self.pop_lane(Lane::Normal, now))
    }

    /// The next key of that lane whose moment has come; it counts as running until [`Self::done`].
    pub fn pop_lane(&mut self, lane: Lane, now: Instant) -> Option<K> {
        let place = self.head(lane).filter(|place| place.1 <= now)?;
        self.due.remove(&place);
        let key = self.keys.remove(&place.2)?;
        self.places.remove(&key);
        self.running.insert(key.clone());
        Some(key)
    }

    /// The run of `key` is over; it runs again if it was woken meanwhile.
    pub fn done(&mut self, key: &K) {
        self.running.remove(key);
        if let Some((lane, at)) = self.again.remove(key) {
            self.push(key.clone(), lane, at);
        }
    }

    /// When [`Self::pop`] will next have something, if nothing else is pushed.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        [Lane::First, Lane::Normal].into_iter().filter_map(|lane| self.head(lane)).map(|place| place.1).min()
    }

    /// How many keys run now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// How many keys wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.places.len()
    }

    fn head(&self, lane: Lane) -> Option<(Lane, Instant, u64)> {
        self.due.iter().find(|place| place.0 == lane).copied()
    }
}
