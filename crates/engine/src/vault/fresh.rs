//! A small map that forgets what has not been used for long.

use std::{collections::HashMap, hash::Hash};

/// Keeps at least the `capacity` entries used last and at most twice as many: two generations, of which the older is
/// dropped when the younger is full.
pub(super) struct Fresh<K, V> {
    capacity: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash + Clone, V: Clone> Fresh<K, V> {
    pub(super) fn new(capacity: usize) -> Fresh<K, V> {
        Fresh { capacity, young: HashMap::new(), old: HashMap::new() }
    }

    /// The entry if it is young: needs no more than a shared look.
    pub(super) fn peek(&self, key: &K) -> Option<&V> {
        self.young.get(key)
    }

    /// The entry, which is young then.
    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.insert(key.clone(), value.clone());
        Some(value)
    }

    /// The entry, whatever its generation, left where it is.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self.young.get_mut(key) {
            Some(value) => Some(value),
            None => self.old.get_mut(key),
        }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        self.young.insert(key, value);
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// Drops what does not pass.
    pub(super) fn retain(&mut self, mut passes: impl FnMut(&V) -> bool) {
        self.young.retain(|_, value| passes(value));
        self.old.retain(|_, value| passes(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_used_and_forgets_the_rest() {
        let mut fresh = Fresh::new(4);
        fresh.insert(0, "kept");
        for other in 1..100 {
            assert_eq!(fresh.get(&0), Some("kept"), "before {other}");
            fresh.insert(other, "other");
        }
        assert!(fresh.young.len() + fresh.old.len() <= 8);
        assert_eq!(fresh.get(&1), None);
    }
}
