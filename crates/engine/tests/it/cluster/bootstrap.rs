//! The first admin key is made once.

use std::{sync::Arc, time::Duration};

use claviger_core::Role;
use claviger_engine::{Engine, Error};

use super::node::{Sea, admitted};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// All do it at the same time. Answers the one key that was made.
async fn bootstrap(servers: &[Arc<Engine>]) -> String {
    let all = servers.iter().cloned().map(|engine| tokio::spawn(async move { engine.access().bootstrap(DAY).await }));
    let (mut made, mut refused) = (Vec::new(), Vec::new());
    for outcome in futures_util::future::join_all(all).await {
        match outcome.expect("it ends") {
            Ok((info, key)) => made.push((info, key)),
            Err(error) => refused.push(error),
        }
    }
    let [(info, key)] = &made[..] else { panic!("{} were made: {refused:?}", made.len()) };
    assert_eq!((info.role, refused.len()), (Role::Admin, servers.len() - 1));
    for error in refused {
        assert!(matches!(&error, Error::AdminKeyExists { id } if *id == info.id), "{error:?}");
        assert_eq!(error.code(), "admin_key_exists");
    }
    key.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_servers_one_makes_it() {
    for _ in 0..10 {
        let sea = Sea::new();
        let mut servers = Vec::new();
        for _ in 0..6 {
            servers.push(Arc::new(sea.node().engine().await));
        }
        let key = bootstrap(&servers).await;
        for server in &servers {
            assert_eq!(admitted(server, &key).await.role, Role::Admin);
        }
        // As long as it is accepted there is no other; after that there is one again.
        assert!(matches!(servers[0].access().bootstrap(DAY).await, Err(Error::AdminKeyExists { .. })));
        sea.clock().pass(DAY);
        let next = bootstrap(&servers).await;
        assert_ne!(next, key);
    }
}

#[tokio::test]
async fn on_a_store_of_ones_own_it_is_made_once_too() {
    let (_store, engine) = crate::support::memory_engine().await;
    let (info, key) = engine.access().bootstrap(DAY).await.expect("made");
    assert_eq!(engine.access().authenticate(&key).expect("accepted").id, info.id);
    assert!(matches!(engine.access().bootstrap(DAY).await, Err(Error::AdminKeyExists { .. })));
    engine.access().revoke_api_key(&claviger_engine::access::system_caller(), &info.id).await.expect("revoked");
    let (next, _) = engine.access().bootstrap(DAY).await.expect("made");
    assert_ne!(next.id, info.id);
}
