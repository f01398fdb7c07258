//! An index in memory.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use async_trait::async_trait;
use claviger_core::Revision;
use parking_lot::Mutex;

use crate::{Entry, Index, Op, Result, Stream};

/// An index that is lost with the process.
#[derive(Debug, Default)]
pub struct MemoryIndex {
    folds: Mutex<HashMap<String, Fold>>,
}

#[derive(Debug, Default)]
struct Fold {
    entries: BTreeMap<String, Vec<u8>>,
    reflected: BTreeMap<Stream, Revision>,
}

impl MemoryIndex {
    /// An empty index.
    #[must_use]
    pub fn new() -> MemoryIndex {
        MemoryIndex::default()
    }
}

#[async_trait]
impl Index for MemoryIndex {
    async fn write(&self, fold: &str, ops: Vec<Op>, reflected: BTreeMap<Stream, Revision>) -> Result<()> {
        let mut folds = self.folds.lock();
        let fold = folds.entry(fold.to_owned()).or_default();
        for op in ops {
            match op {
                Op::Put { key, value } => fold.entries.insert(key, value),
                Op::Delete { key } => fold.entries.remove(&key),
            };
        }
        fold.reflected.extend(reflected);
        Ok(())
    }

    async fn reflected(&self, fold: &str) -> Result<BTreeMap<Stream, Revision>> {
        Ok(self.folds.lock().get(fold).map(|fold| fold.reflected.clone()).unwrap_or_default())
    }

    async fn get(&self, fold: &str, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.folds.lock().get(fold).and_then(|fold| fold.entries.get(key).cloned()))
    }

    async fn scan(&self, fold: &str, prefix: &str, after: &str, limit: usize) -> Result<Vec<Entry>> {
        let from = if after.is_empty() || after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let folds = self.folds.lock();
        let Some(fold) = folds.get(fold) else { return Ok(Vec::new()) };
        let entries = fold.entries.range::<str, _>((from, Bound::Unbounded));
        Ok(entries
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| Entry { key: key.clone(), value: value.clone() })
            .collect())
    }

    async fn clear(&self, fold: &str) -> Result<()> {
        self.folds.lock().remove(fold);
        Ok(())
    }
}
