//! What every request handler shares.

use std::{ops::Deref, sync::Arc};

use claviger_engine::Engine;

use crate::known_ids::KnownIds;

/// Shared state. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Arc<Engine>,
    /// What ids stand for.
    pub(crate) ids: KnownIds,
}

impl App {
    pub(crate) fn new(engine: Arc<Engine>) -> App {
        App(Arc::new(Inner { engine, ids: KnownIds::default() }))
    }
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
