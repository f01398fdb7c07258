//! Binding, serving, stopping.

use std::{io, net::SocketAddr, sync::Arc};

use claviger_api::Durability;
use claviger_engine::Engine;
use tokio::net::TcpListener;

use crate::{Mount, app::App, cors::Origins, door::Door, listener};

/// How a server is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Browser origins that may read subscriptions and metadata: `scheme://host[:port]`, exactly.
    pub cors_origins: Vec<String>,
    /// Where the master key is from; told by `/readyz`.
    pub master_key: MasterKeyOrigin,
    /// What the operator should know; told by `/readyz`, so without names.
    pub warnings: Vec<String>,
    /// The backend's name; told by `/readyz`.
    pub store: &'static str,
    /// What becomes of acknowledged writes; told by `/readyz`.
    pub durability: Durability,
}

/// Where the master key is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasterKeyOrigin {
    /// The operator gave it.
    Configured,
    /// It was made for development and lies beside the data.
    Development,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Not an origin.
    #[error("`{origin}` is not an origin such as `https://app.example.com`")]
    Origin {
        /// What was configured.
        origin: String,
    },
}

/// A server that has its address and waits to serve.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: App,
    origins: Origins,
    mounts: Vec<Mount>,
}

impl Server {
    /// Takes the address. Connections wait until [`Server::serve`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn bind(engine: Arc<Engine>, options: Options) -> Result<Server, Error> {
        let origins = Origins::parse(&options.cors_origins)?;
        let failed = |source| Error::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let app = App::new(engine, options, Door::of(address));
        Ok(Server { listener, address, app, origins, mounts: Vec::new() })
    }

    /// Serves another protocol too.
    #[must_use]
    pub fn mount(mut self, mount: Mount) -> Server {
        self.mounts.push(mount);
        self
    }

    /// The address that it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the future is done; then takes no more connections, ends event streams and waits, tells workers to
    /// finish, and returns when all connections are closed, after 2.5 s at the latest. The engine is not closed.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let router = self.app.router(&self.origins, &self.mounts);
        listener::serve(self.listener, self.app, router, shutdown).await;
    }
}
