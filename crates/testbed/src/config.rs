//! How a server is to be, and its configuration file.

use std::{fmt::Write, path::Path, sync::Arc};

use anyhow::Result;

use crate::{FreePorts, Operator, Tls};

/// How a server is to be.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// When JetStream's files are synced.
    pub sync: SyncInterval,
    /// Who gets in.
    pub access: Access,
    /// Certificates; without them clients connect in the clear.
    pub tls: Option<Arc<Tls>>,
    /// Most bytes that JetStream keeps in files; `None` leaves it to the server.
    pub max_file_store: Option<u64>,
    /// Most bytes that JetStream keeps in memory; `None` leaves it to the server.
    pub max_memory_store: Option<u64>,
    /// More of the configuration, as it stands in the file.
    pub more: String,
}

/// When JetStream's files are synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncInterval {
    /// Every two minutes: the server's default.
    #[default]
    Default,
    /// Before a write is acknowledged.
    Always,
}

/// Who gets in.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// Everybody.
    #[default]
    Open,
    /// One user with a password.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
    /// Users with credentials of this operator.
    Operator(Arc<Operator>),
}

/// The ports of one server, on loopback.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    pub(crate) client: u16,
    pub(crate) monitor: u16,
    pub(crate) cluster: u16,
    _taken: FreePorts,
}

impl Ports {
    /// How many one server needs.
    pub(crate) const EACH: u16 = 3;

    /// Those of the server with this place among all that share what was taken.
    pub(crate) fn of(taken: &FreePorts, place: u16) -> Ports {
        let port = |at| taken.nth(Ports::EACH * place + at);
        Ports { client: port(0), monitor: port(1), cluster: port(2), _taken: taken.clone() }
    }
}

/// A server's place in a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    /// Where it connects to the others, as `host:port`.
    pub(crate) routes: Vec<String>,
    /// Where it tells the others that it is; `None`: where it is.
    pub(crate) advertised: Option<String>,
}

impl ServerOptions {
    /// The text of the configuration file.
    pub(crate) fn file(
        &self,
        name: &str,
        ports: &Ports,
        store: &Path,
        membership: Option<&Membership>,
    ) -> Result<String> {
        let mut text = format!(
            "server_name: {name}\nlisten: \"127.0.0.1:{}\"\nhttp: \"127.0.0.1:{}\"\n",
            ports.client, ports.monitor
        );
        let mut block = |what: &str, lines: Vec<String>| {
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "{what} {{\n  {}\n}}", lines.join("\n  "));
        };
        block("jetstream", self.jetstream(store));
        if let Some(tls) = &self.tls {
            block("tls", tls.lines());
        }
        if let Access::Password { user, password } = &self.access {
            block("authorization", vec![format!("user: \"{user}\""), format!("password: \"{password}\"")]);
        }
        if let Some(membership) = membership {
            block("cluster", membership.lines(ports));
        }
        if let Access::Operator(operator) = &self.access {
            text.push_str(&operator.lines()?);
        }
        text.push_str(&self.more);
        Ok(text)
    }

    fn jetstream(&self, store: &Path) -> Vec<String> {
        let mut lines = vec![format!("store_dir: \"{}\"", store.display())];
        if self.sync == SyncInterval::Always {
            lines.push("sync_interval: always".to_owned());
        }
        lines.extend(self.max_file_store.map(|bytes| format!("max_file_store: {bytes}")));
        lines.extend(self.max_memory_store.map(|bytes| format!("max_memory_store: {bytes}")));
        lines
    }
}

impl Membership {
    fn lines(&self, ports: &Ports) -> Vec<String> {
        let routes: Vec<String> = self.routes.iter().map(|route| format!("\"nats://{route}\"")).collect();
        let mut lines = vec![
            "name: testbed".to_owned(),
            format!("listen: \"127.0.0.1:{}\"", ports.cluster),
            // Clients know the addresses that they were given, and no way around a proxy.
            "no_advertise: true".to_owned(),
            format!("routes: [{}]", routes.join(", ")),
        ];
        lines.extend(self.advertised.as_ref().map(|address| format!("cluster_advertise: \"{address}\"")));
        lines
    }
}
