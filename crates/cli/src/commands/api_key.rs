//! `claviger apikey`: create, list, revoke, and the first one of a store.

use std::time::Duration;

use clap::{Args, Subcommand};
use claviger_api::{ApiKey, ApiKeyList, CreateApiKey, CreatedApiKey, Instant};
use reqwest::Method;

use super::{duration, joined};
use crate::{
    args::Connection,
    client::Client,
    failure::Failure,
    output::{Output, Table, ago, fields, maybe_ago, table},
    serve::BootstrapArgs,
    terminal::say,
};

/// API keys. Their secret parts are stored nowhere.
#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyCommand {
    /// Create an API key; it is shown this once
    #[command(after_help = "\
The key alone goes to standard output, what is known about it to standard error.

Roles:
  admin        everything but values, in all environments
  operator     spaces, secrets, events and runs of its environment
  runtime      workers: declared secrets within its `--secret` patterns
  viewer       names and metadata
  subscriber   its `--event` patterns and nothing else; for browsers

Examples:
  claviger apikey create --role operator --env prod -d 'deploy pipeline'
  claviger apikey create --role runtime --secret 'STRIPE_*' --function pay
  claviger apikey create --role runtime -e prod -s acme --secret 'SLACK_*'
  claviger apikey create --role subscriber --event 'system.secret.*.updated'
  claviger apikey create --role subscriber --event '>' \\
    --origin https://app.example
  claviger apikey create --role admin --ttl 8h")]
    Create(CreateArgs),
    /// List API keys, also expired and revoked ones
    #[command(after_help = "Examples:\n  claviger apikey list\n  claviger apikey list -o json")]
    List(ListArgs),
    /// Revoke an API key: it is refused from now on
    #[command(after_help = "Examples:\n  claviger apikey revoke k7wq2mxa")]
    Revoke(RevokeArgs),
    /// Make the first admin key of a store; on SQLite while no server runs on it
    #[command(after_help = "\
Needs the master key, like `claviger start`. Makes none while there is an admin key that is still accepted. On NATS the \
servers may go on meanwhile.

Examples:
  export CLAVIGER_API_KEY=$(claviger apikey bootstrap --data /srv/claviger)
  claviger apikey bootstrap --config config.toml --ttl 1h
  claviger apikey bootstrap --nats nats://127.0.0.1:4222")]
    Bootstrap(BootstrapArgs),
}

#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// admin, operator, runtime, viewer or subscriber
    #[arg(long, value_name = "ROLE")]
    role: String,
    /// For every environment, not only that of `--env`; admin keys always are
    #[arg(long)]
    all_environments: bool,
    /// What people should know about it
    #[arg(short, long, value_name = "TEXT")]
    description: Option<String>,
    /// runtime: a pattern of secrets that it may receive, `*` stands for any characters; may be repeated
    #[arg(long = "secret", value_name = "PATTERN")]
    secrets: Vec<String>,
    /// runtime: a function that it may serve [default: any]; may be repeated
    #[arg(long = "function", value_name = "ID")]
    functions: Vec<String>,
    /// runtime: only this space, not the environment itself [default: the environment and all its spaces]; may be repeated
    #[arg(short, long = "space", value_name = "SPACE")]
    spaces: Vec<String>,
    /// subscriber: a pattern of events that it may subscribe to; may be repeated
    #[arg(long = "event", value_name = "PATTERN")]
    events: Vec<String>,
    /// subscriber: a browser origin that it may be used from [default: any]; may be repeated
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    /// How long it is accepted [default: subscriber 24h, others without end]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    ttl: Option<Duration>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct RevokeArgs {
    /// Its id, the eight characters after the environment
    id: String,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(command: ApiKeyCommand) -> Result<(), Failure> {
    match command {
        ApiKeyCommand::Create(arguments) => create(arguments).await,
        ApiKeyCommand::List(arguments) => {
            let client = Client::new(&arguments.connection)?;
            let list: ApiKeyList = client.call(Method::GET, &["api-keys"]).send().await?;
            Output::new(arguments.connection.output).list(&list.items, rows, "no API keys")
        }
        ApiKeyCommand::Revoke(arguments) => {
            let client = Client::new(&arguments.connection)?;
            let revoked: ApiKey = client.call(Method::DELETE, &["api-keys", &arguments.id]).send().await?;
            Output::new(arguments.connection.output).item(&revoked, describe)
        }
        // It has no client: `main` hands it to `serve`, with the master key.
        ApiKeyCommand::Bootstrap(_) => Ok(()),
    }
}

async fn create(arguments: CreateArgs) -> Result<(), Failure> {
    let client = Client::new(&arguments.connection)?;
    let everywhere = arguments.all_environments || arguments.role == "admin";
    let body = CreateApiKey {
        environment: if everywhere { "all" } else { client.environment() }.to_owned(),
        role: arguments.role,
        description: arguments.description,
        secrets: arguments.secrets,
        functions: (!arguments.functions.is_empty()).then_some(arguments.functions),
        spaces: (!arguments.spaces.is_empty()).then_some(arguments.spaces),
        events: arguments.events,
        origins: arguments.origins,
        ttl_seconds: arguments.ttl.map(|ttl| ttl.as_secs()),
    };
    let created: CreatedApiKey = client.call(Method::POST, &["api-keys"]).json(&body).send().await?;
    show_created(&Output::new(arguments.connection.output), &created)
}

/// People get the key alone on standard output, so that a variable can be set to it.
pub(crate) fn show_created(output: &Output, created: &CreatedApiKey) -> Result<(), Failure> {
    if !output.is_table() {
        return output.item(created, |created| describe(&created.api_key));
    }
    say(describe(&created.api_key));
    say("the key is shown this once:");
    output.text(created.key.reveal())
}

fn rows(keys: &[ApiKey]) -> Table {
    table(
        ["id", "role", "environment", "bounds", "description", "created", "expires", "state"],
        keys.iter().map(|key| {
            [
                key.id.clone(),
                key.role.clone(),
                key.environment.clone(),
                bounds(key),
                key.description.clone().unwrap_or_default(),
                ago(key.created_at),
                maybe_ago(key.expires_at),
                state(key).to_owned(),
            ]
        }),
    )
}

/// What narrows the key's role, a line for each kind.
fn bounds(key: &ApiKey) -> String {
    let functions = key.functions.as_deref().unwrap_or_default();
    let spaces = key.spaces.as_deref().unwrap_or_default();
    let bounds = [
        ("secrets", &*key.secrets),
        ("functions", functions),
        ("spaces", spaces),
        ("events", &key.events),
        ("origins", &key.origins),
    ];
    let lines = bounds.into_iter().filter_map(|(kind, items)| Some(format!("{kind} {}", joined(items)?)));
    lines.collect::<Vec<_>>().join("\n")
}

fn state(key: &ApiKey) -> &'static str {
    let now = Instant(jiff::Timestamp::now().as_millisecond());
    if key.revoked_at.is_some() {
        "revoked"
    } else if key.expires_at.is_some_and(|at| at <= now) {
        "expired"
    } else {
        "accepted"
    }
}

fn describe(key: &ApiKey) -> Table {
    fields([
        ("id", Some(key.id.clone())),
        ("role", Some(key.role.clone())),
        ("environment", Some(key.environment.clone())),
        ("description", key.description.clone()),
        ("secrets", joined(&key.secrets)),
        ("functions", key.functions.as_deref().and_then(joined)),
        ("spaces", key.spaces.as_deref().and_then(joined)),
        ("events", joined(&key.events)),
        ("origins", joined(&key.origins)),
        ("created", Some(format!("{} by {}", ago(key.created_at), key.created_by))),
        ("expires", key.expires_at.map(ago)),
        ("revoked", key.revoked_at.map(ago)),
    ])
}
