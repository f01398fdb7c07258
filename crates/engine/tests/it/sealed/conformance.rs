//! Sealed, a ledger and a queue keep what they promise.

mod ledger {
    use std::sync::Arc;

    use claviger_store::Ledger;

    async fn open() -> (Arc<dyn Ledger>, ()) {
        (Arc::new(crate::sealed::sealed().0), ())
    }

    claviger_store::ledger_conformance!(open);
}

mod queue {
    use std::sync::Arc;

    use claviger_engine::SealedQueue;
    use claviger_store::{MemoryQueue, Queue};

    async fn open() -> (Arc<dyn Queue>, ()) {
        (Arc::new(SealedQueue::new(Arc::new(MemoryQueue::new()), &crate::sealed::keyring())), ())
    }

    claviger_store::queue_conformance!(open);
}
