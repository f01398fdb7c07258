//! What NATS servers tell of themselves on their monitoring port.

use std::{collections::BTreeMap, fs, time::Duration};

use reqwest::{Certificate, Client};
use serde::Deserialize;

use crate::{
    config::{Endpoint, Nats, reason},
    failure::{Exit, Failure},
};

/// How long one server has to answer.
const WITHIN: Duration = Duration::from_secs(3);

/// When a server syncs its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// Before a write counts.
    Always,
    /// Now and then.
    Every(Duration),
}

/// What was learned.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// By server name.
    pub(super) syncs: BTreeMap<String, Sync>,
    /// Addresses that said nothing, each with why.
    pub(super) silent: Vec<String>,
}

/// The part of `/varz` that matters here.
#[derive(Deserialize)]
struct Varz {
    server_name: String,
    #[serde(default)]
    jetstream: JetStream,
}

#[derive(Default, Deserialize)]
struct JetStream {
    config: Option<JetStreamConfig>,
}

#[derive(Deserialize)]
struct JetStreamConfig {
    #[serde(default)]
    sync_always: bool,
    /// In nanoseconds.
    #[serde(default)]
    sync_interval: u64,
}

/// Asks every monitoring address that the configuration has.
///
/// # Errors
/// When the file of the certificate authority cannot be read.
pub(super) async fn ask(nats: &Nats) -> Result<Learned, Failure> {
    let mut learned = Learned::default();
    if nats.monitor.is_empty() {
        return Ok(learned);
    }
    let client = client(nats)?;
    for endpoint in &nats.monitor {
        match varz(&client, endpoint).await {
            Ok(varz) => {
                if let Some(config) = varz.jetstream.config {
                    learned.syncs.insert(varz.server_name, config.sync());
                }
            }
            Err(why) => learned.silent.push(format!("`{endpoint}` {why}")),
        }
    }
    Ok(learned)
}

impl JetStreamConfig {
    fn sync(&self) -> Sync {
        if self.sync_always { Sync::Always } else { Sync::Every(Duration::from_nanos(self.sync_interval)) }
    }
}

fn client(nats: &Nats) -> Result<Client, Failure> {
    let mut client = Client::builder().no_proxy().timeout(WITHIN);
    if let Some(path) = &nats.ca_file {
        let unusable = |why: String| Failure::plain(Exit::Usage, format!("`{}` {why}", path.display()));
        let pem = fs::read(path).map_err(|error| unusable(format!("cannot be read: {}", reason(&error))))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| unusable("is no certificate".to_owned()))?;
        for certificate in certificates {
            client = client.add_root_certificate(certificate);
        }
    }
    client.build().map_err(|error| Failure::plain(Exit::Other, error.to_string()))
}

async fn varz(client: &Client, endpoint: &Endpoint) -> Result<Varz, &'static str> {
    let url = endpoint.url().join("varz").map_err(|_| "is no address of a server")?;
    let response = client.get(url).send().await.map_err(|_| "does not answer")?;
    response.json().await.map_err(|_| "does not answer as the monitoring of a NATS server does")
}
