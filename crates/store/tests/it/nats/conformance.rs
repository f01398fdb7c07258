//! Everything that every ledger promises.

use std::sync::Arc;

use claviger_store::Ledger;

use super::house;

mod one {
    use claviger_testbed::NatsServer;

    use super::*;

    async fn ledger() -> (Arc<dyn Ledger>, Arc<NatsServer>) {
        let server = house::server().await;
        (Arc::new(house::ledger(server.urls()).await), server)
    }

    claviger_store::ledger_conformance!(ledger);
}

mod three {
    use claviger_testbed::NatsCluster;

    use super::*;

    async fn ledger() -> (Arc<dyn Ledger>, Arc<NatsCluster>) {
        let cluster = house::cluster().await;
        (Arc::new(house::ledger(cluster.urls()).await), cluster)
    }

    claviger_store::ledger_conformance!(ledger);
}
