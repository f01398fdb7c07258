//! The backends in memory.

use std::sync::Arc;

use claviger_store::{Index, Ledger, MemoryIndex, MemoryLedger, MemoryQueue, Queue};

async fn ledger() -> (Arc<dyn Ledger>, ()) {
    (Arc::new(MemoryLedger::new()), ())
}

async fn queue() -> (Arc<dyn Queue>, ()) {
    (Arc::new(MemoryQueue::new()), ())
}

async fn index() -> (Arc<dyn Index>, ()) {
    (Arc::new(MemoryIndex::new()), ())
}

claviger_store::ledger_conformance!(ledger);
claviger_store::queue_conformance!(queue);
claviger_store::index_conformance!(index);

#[tokio::test]
async fn age_is_dropped() {
    claviger_store::conformance::retention::age_is_dropped(ledger().await.0).await;
}

#[test]
fn each_ledger_has_an_incarnation_of_its_own() {
    assert_ne!(MemoryLedger::new().incarnation(), MemoryLedger::new().incarnation());
}
