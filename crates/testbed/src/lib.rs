//! Real nats-servers for tests and measurements: one, or a cluster of three, on loopback, with faults to order.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use claviger_testbed::{NatsServer, ServerOptions};
//!
//! let server = NatsServer::start(ServerOptions::default()).await?;
//! println!("{:?}", server.urls());
//! server.kill();
//! server.restart().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Every server has a directory of its own, which goes with it, and dies with the process that started it. The program is
//! what [`binary`] finds.

mod binary;
mod cluster;
mod config;
mod credentials;
mod monitor;
mod ports;
mod process;
mod proxy;
mod server;
mod stand_in;
mod talk;
mod tls;

pub use binary::binary;
pub use cluster::{NatsCluster, Routes};
pub use config::{Access, ServerOptions, SyncInterval};
pub use credentials::Operator;
pub use ports::FreePorts;
pub use process::Process;
pub use proxy::Proxy;
pub use server::NatsServer;
pub use stand_in::StandIn;
pub use tls::{ClientFiles, Tls};
