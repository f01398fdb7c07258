//! Where the streams are kept, as their leaders say.

use async_nats::jetstream::stream::{Info, StorageType};
use futures_util::future::try_join_all;

use super::{connection::NatsConnection, shared::Shared};
use crate::{Result, Stream};

/// How and where a stream is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The stream.
    pub stream: Stream,
    /// Its name on NATS.
    pub name: String,
    /// How many servers keep it.
    pub replicas: usize,
    /// Whether no server keeps it in files.
    pub is_in_memory: bool,
    /// The names of the servers that keep it.
    pub servers: Vec<String>,
}

/// Asks the leader of every stream.
pub(super) async fn placements(shared: &Shared) -> Result<Vec<Placement>> {
    let connection = &shared.connection;
    try_join_all(Stream::ALL.map(async |stream| {
        let info = connection.info(&shared.names(stream).stream).await.map_err(|fault| connection.explain(fault))?;
        Ok(placement(connection, stream, info))
    }))
    .await
}

fn placement(connection: &NatsConnection, stream: Stream, info: Info) -> Placement {
    let servers = match info.cluster {
        Some(cluster) => cluster.leader.into_iter().chain(cluster.replicas.into_iter().map(|peer| peer.name)).collect(),
        // A server that is alone.
        None => vec![connection.client().server_info().server_name],
    };
    Placement {
        stream,
        name: info.config.name,
        replicas: info.config.num_replicas,
        is_in_memory: info.config.storage == StorageType::Memory,
        servers,
    }
}
