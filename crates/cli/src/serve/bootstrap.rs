//! `claviger apikey bootstrap`: the first admin key of a store, made beside the data and not over the network.

use std::time::Duration;

use clap::Args;
use claviger_api::{ApiKey, CreatedApiKey, Instant, SecretText};
use claviger_core::Timestamp;
use claviger_engine::{Engine, access::ApiKeyMetadata};
use zeroize::Zeroizing;

use super::store::Store;
use crate::{
    args::OutputArgs,
    commands::{api_key::show_created, duration},
    config::{Config, ConfigArgs},
    data_dir::DataDir,
    failure::{Exit, Failure},
    master_key,
    output::Output,
    terminal::say,
};

#[derive(Args, Debug)]
pub(crate) struct BootstrapArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// How long the key is accepted
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    ttl: Duration,
    #[command(flatten)]
    output: OutputArgs,
}

/// Makes the key and prints it.
///
/// # Errors
/// A conflict when there is an admin key already, and why the store cannot be opened.
pub(crate) fn run(arguments: &BootstrapArgs, key: Option<Zeroizing<Vec<u8>>>) -> Result<(), Failure> {
    claviger_crypto::harden_process();
    let (config, problems) = Config::read(&arguments.config);
    let key = problems.finish(master_key::find(key, &config))?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::plain(Exit::Other, error.to_string()))?;
    let created = runtime.block_on(async {
        let store = Store::visit(&config, key).await.map_err(while_it_runs)?;
        for warning in store.warnings() {
            say(format_args!("warning: {warning}"));
        }
        store.bootstrap(arguments.ttl).await
    });
    runtime.shutdown_background();
    let (info, key) = created?;
    show_created(&Output::new(arguments.output), &CreatedApiKey { api_key: wire(info), key: SecretText::new(key) })
}

fn while_it_runs(failure: Failure) -> Failure {
    if !failure.has_code("store_in_use") {
        return failure;
    }
    Failure::new(Exit::Conflict, "store_in_use", "a server runs on this data directory").hint(
        "stop it, make the key, and start it again; or make one with an admin key: `claviger apikey create --role admin`",
    )
}

/// Says how to make the first admin key, while there is none.
///
/// # Errors
/// What the engine says.
pub(super) async fn hint(engine: &Engine, config: &Config, data: &DataDir) -> Result<(), Failure> {
    if engine.access().accepted_admin().is_some() {
        return Ok(());
    }
    if config.nats().is_some() {
        say("hint: no admin key is accepted here. Make one, with the same configuration and master key:");
        say("hint: export CLAVIGER_API_KEY=$(claviger apikey bootstrap)");
    } else {
        let data = data.path().display();
        say("hint: no admin key is accepted here. Stop this server, make one, and start again:");
        say(format_args!("hint: export CLAVIGER_API_KEY=$(claviger apikey bootstrap --data {data})"));
    }
    Ok(())
}

fn wire(info: ApiKeyMetadata) -> ApiKey {
    let instant = |at: Timestamp| Instant(at.0);
    ApiKey {
        id: info.id.to_string(),
        role: info.role.to_string(),
        environment: claviger_crypto::ALL_ENVIRONMENTS.to_owned(),
        description: info.description,
        secrets: Vec::new(),
        functions: None,
        spaces: None,
        events: Vec::new(),
        origins: Vec::new(),
        created_at: instant(info.created_at),
        created_by: info.created_by.to_string(),
        expires_at: info.expires_at.map(instant),
        revoked_at: None,
    }
}
