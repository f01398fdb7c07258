//! What ids stand for. They are derived from names: each name's id is computed once, when the name is new.

use std::collections::HashMap;

use claviger_core::{Scope, SecretName};
use claviger_engine::spaces::Spaces;
use parking_lot::RwLock;

use crate::id;

/// Ids of secrets remembered.
const CAPACITY: usize = 100_000;

/// What ids stand for. Whether it is still there, and the caller's to see, is asked each time.
#[derive(Default)]
pub(crate) struct KnownIds {
    spaces: RwLock<SpaceIds>,
    secrets: RwLock<HashMap<String, (Scope, SecretName)>>,
}

/// The ids of the first spaces that the engine has heard of.
#[derive(Default)]
struct SpaceIds {
    count: usize,
    by_id: HashMap<String, Vec<Scope>>,
}

impl KnownIds {
    /// The spaces of an id, there or deleted, in whatever environment: seldom more than one.
    pub(crate) fn spaces(&self, spaces: &Spaces, id: &str) -> Vec<Scope> {
        let known = self.spaces.read();
        let has_news = !spaces.heard_of(known.count).is_empty();
        if !has_news {
            return known.of(id);
        }
        drop(known);
        let mut known = self.spaces.write();
        let new = spaces.heard_of(known.count);
        known.add(new);
        known.of(id)
    }

    /// The id of a secret, which is remembered.
    pub(crate) fn give_out(&self, scope: &Scope, name: &SecretName) -> String {
        let id = id::of_secret(scope, name);
        if !self.secrets.read().contains_key(&id) {
            let mut known = self.secrets.write();
            if known.len() >= CAPACITY {
                known.clear();
            }
            known.insert(id.clone(), (scope.clone(), name.clone()));
        }
        id
    }

    /// The secret of an id that was given out.
    pub(crate) fn secret(&self, id: &str) -> Option<(Scope, SecretName)> {
        self.secrets.read().get(id).cloned()
    }
}

impl SpaceIds {
    fn add(&mut self, new: Vec<Scope>) {
        self.count += new.len();
        for scope in new {
            if let Some(name) = &scope.space {
                self.by_id.entry(id::of_space(&scope.environment, name)).or_default().push(scope);
            }
        }
    }

    fn of(&self, id: &str) -> Vec<Scope> {
        self.by_id.get(id).cloned().unwrap_or_default()
    }
}
