//! NATS JetStream: any number of servers on one set of streams.

mod api;
mod append;
mod connection;
mod consumer;
mod credentials;
mod erase;
mod fault;
mod feed;
mod incarnation;
mod leader;
mod ledger;
mod life;
mod link;
mod login;
mod loss;
mod names;
mod notes;
mod options;
mod pause;
mod placement;
mod queue;
mod read;
mod replies;
mod shared;
mod streams;
mod survey;
mod turns;
mod write;

pub use connection::NatsConnection;
pub use ledger::NatsLedger;
pub use options::NatsOptions;
pub use placement::Placement;
pub use queue::NatsQueue;
