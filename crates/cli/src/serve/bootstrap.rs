//! `claviger apikey bootstrap`: the first admin key of a store, made beside the data and not over the network.

use std::time::Duration;

use clap::Args;
use claviger_api::{ApiKey, CreatedApiKey, Instant, SecretText};
use claviger_core::{Bounds, Role, Timestamp};
use claviger_engine::{
    Clock, Engine, WallClock,
    access::{ApiKeyMetadata, NewApiKey, system_caller},
};
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
    config: ConfigArgs,
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
        let data = DataDir::open(config.data())?;
        let store = Store::open(&config, data).map_err(while_it_runs)?;
        let opened = store.into_engine(key).await?;
        for warning in &opened.warnings {
            say(format_args!("warning: {warning}"));
        }
        let created = create(&opened.engine, arguments.ttl).await;
        opened.engine.close().await;
        created
    });
    runtime.shutdown_background();
    show_created(&Output::new(arguments.output), &created?)
}

fn while_it_runs(failure: Failure) -> Failure {
    if !failure.has_code("store_in_use") {
        return failure;
    }
    Failure::new(Exit::Conflict, "store_in_use", "a server runs on this data directory").hint(
        "stop it, make the key, and start it again; or make one with an admin key: `claviger apikey create admin`",
    )
}

/// Says how to make the first admin key, while there is none.
///
/// # Errors
/// What the engine says.
pub(super) async fn hint(engine: &Engine, data: &DataDir) -> Result<(), Failure> {
    if accepted_admin(engine).await?.is_none() {
        let data = data.path().display();
        say("hint: no admin key is accepted here. Stop this server, make one, and start again:");
        say(format_args!("hint: export CLAVIGER_API_KEY=$(claviger apikey bootstrap --data {data})"));
    }
    Ok(())
}

async fn create(engine: &Engine, ttl: Duration) -> Result<CreatedApiKey, Failure> {
    // Nobody else has the store open, so nobody makes one in between.
    if let Some(known) = accepted_admin(engine).await? {
        let message = format!("there is an admin key already, `{}`", known.id);
        return Err(Failure::plain(Exit::Conflict, message).hint("use it, or wait until it has expired"));
    }
    let new = NewApiKey {
        role: Role::Admin,
        environment: None,
        description: Some("made by `claviger apikey bootstrap`".to_owned()),
        bounds: Bounds::default(),
        ttl: Some(ttl),
    };
    let (info, key) = engine.access().create_api_key(&system_caller(), new).await?;
    Ok(CreatedApiKey { api_key: wire(info), key: SecretText::new(key) })
}

/// An admin key that is neither revoked nor expired. One that is cannot be used to make another, so it does not count.
async fn accepted_admin(engine: &Engine) -> Result<Option<ApiKeyMetadata>, Failure> {
    let now = WallClock.now();
    let keys = engine.access().list_api_keys(&system_caller()).await?;
    Ok(keys
        .into_iter()
        .find(|key| key.role == Role::Admin && key.revoked_at.is_none() && key.expires_at.is_none_or(|at| at > now)))
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
        events: Vec::new(),
        origins: Vec::new(),
        created_at: instant(info.created_at),
        created_by: info.created_by.to_string(),
        expires_at: info.expires_at.map(instant),
        revoked_at: None,
    }
}
