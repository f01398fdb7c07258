//! `claviger secret`: set, list, get, delete, and the commands of spaces. No answer has a value in it.

use clap::{Args, Subcommand, ValueEnum};
use claviger_api::{self as api, DeletedSecret, Secret, SecretList, SetSecret};
use claviger_core::{SecretName, SpaceName};
use reqwest::Method;

use super::{
    name,
    secret_block::{self, BlockArgs},
    secret_explain::{self, ExplainArgs},
    secret_table,
    secret_value::{self, ValueArgs},
};
use crate::{
    args::{Connection, PlaceArgs},
    client::{Call, Client},
    failure::Failure,
    output::Output,
    terminal::say,
};

/// Secrets in one environment, or in a space of it.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Set a secret: a new one, or the next version of one that is there
    #[command(after_help = "\
The value is read from standard input when that is not a terminal: all bytes, but one line break at the end is left \
out (`--raw` keeps it). On a terminal it is asked for twice and not shown. A value among the arguments works too, but \
other users of this machine and your shell's history may see it.

Examples:
  claviger secret set STRIPE_KEY                    # asks for the value
  printf %s \"$NEW\" | claviger secret set STRIPE_KEY
  claviger secret set TLS_KEY --file server.key -d 'Key of the web server'
  claviger secret set STRIPE_KEY --cas 12 < new     # if its revision is 12
  claviger secret set STRIPE_KEY --cas 0 < new      # if it does not exist
  claviger secret set SLACK_TOKEN --space acme      # overrides it there
  claviger secret set STRIPE_KEY sk_live_123 -d 'Stripe live key'")]
    Set(SetArgs),
    /// List secrets: names and metadata, never a value
    #[command(after_help = "\
With `--space` the origin of each is shown: `inherited` from the environment, `overridden` by the space, the space's `own`, \
or `blocked` in it.

Examples:
  claviger secret list
  claviger secret list --env prod -o json
  claviger secret list --space acme")]
    List(ListArgs),
    /// Describe a secret: its metadata and versions, never the value
    #[command(after_help = "\
Examples:
  claviger secret get STRIPE_KEY
  claviger secret get STRIPE_KEY -o json
  claviger secret get SLACK_TOKEN --space acme")]
    Get(GetArgs),
    /// Delete a secret: it is not served any more
    #[command(after_help = "\
With `--space` it deletes the override: the space sees the environment's value again, at once.

Examples:
  claviger secret delete STRIPE_KEY
  claviger secret delete STRIPE_KEY --cas 12
  claviger secret delete SLACK_TOKEN --space acme")]
    Delete(DeleteArgs),
    /// Block a name in a space: it must not see the environment's value
    #[command(after_help = "\
An override of the same name is not served any more either. `claviger secret unblock` lifts the block, and so does setting \
the secret in the space.

Examples:
  claviger secret block SLACK_TOKEN --space acme")]
    Block(BlockArgs),
    /// Lift a block: the space sees the environment's value again
    #[command(after_help = "Examples:\n  claviger secret unblock SLACK_TOKEN --space acme")]
    Unblock(BlockArgs),
    /// Tell why a name means what it means: the scopes that are tried, and which one decides
    #[command(after_help = "\
Examples:
  claviger secret explain SLACK_TOKEN --space acme
  claviger secret explain SLACK_TOKEN --env prod -o json")]
    Explain(ExplainArgs),
}

#[derive(Args, Debug)]
pub(crate) struct SetArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    value: ValueArgs,
    /// What people should know about it; left out, the present description stays
    #[arg(short, long, value_name = "TEXT")]
    description: Option<String>,
    /// Set it only if its revision is still this one; 0: only if it does not exist
    #[arg(long, value_name = "REVISION")]
    cas: Option<u64>,
    /// Accept a value of fewer than 6 bytes, which is never masked in logs and results
    #[arg(long)]
    allow_short: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    freshness: Freshness,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    freshness: Freshness,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args, Clone, Copy, Debug)]
struct Freshness {
    /// How new the answer has to be
    #[arg(long, value_name = "CONSISTENCY", value_enum, default_value_t)]
    consistency: Consistency,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Consistency {
    /// What the server knows
    #[default]
    Default,
    /// Everything that was acknowledged before, by whichever server of a cluster
    Strong,
}

impl Freshness {
    fn ask(self, call: Call<'_>) -> Call<'_> {
        match self.consistency {
            Consistency::Default => call,
            Consistency::Strong => call.query("consistency", api::Consistency::Strong.as_str()),
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    /// Its name
    name: String,
    /// Delete it only if its revision is still this one
    #[arg(long, value_name = "REVISION")]
    cas: Option<u64>,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    connection: Connection,
}

impl SetArgs {
    /// Overwrites the value where the system shows it to others. To be called as early as possible.
    pub(crate) fn hide_value(&self) {
        self.value.hide();
    }
}

pub(crate) async fn run(command: SecretCommand) -> Result<(), Failure> {
    match command {
        SecretCommand::Set(arguments) => set(arguments).await,
        SecretCommand::List(arguments) => list(&arguments).await,
        SecretCommand::Get(arguments) => get(&arguments).await,
        SecretCommand::Delete(arguments) => delete(&arguments).await,
        SecretCommand::Block(arguments) => secret_block::block(&arguments).await,
        SecretCommand::Unblock(arguments) => secret_block::unblock(&arguments).await,
        SecretCommand::Explain(arguments) => secret_explain::run(&arguments).await,
    }
}

async fn set(arguments: SetArgs) -> Result<(), Failure> {
    let (name, space) = named(&arguments.name, &arguments.place)?;
    let client = Client::new(&arguments.connection)?;
    if client.has_development_key().await {
        say("warning: the server has a development key only: whoever has its data directory has the secrets");
    }
    let value = secret_value::read(arguments.value, (&name, space.as_ref()))?;
    let (text, encoding) = secret_value::encoded(&value);
    let body =
        SetSecret { value: text, encoding, description: arguments.description, allow_short: arguments.allow_short };
    let call = client.call_at(Method::PUT, space.as_ref(), &["secrets", name.as_str()]).json(&body);
    // The server repeats no value. If it did, it would end here.
    let redactor = secret_value::redactor(&name, &value);
    let secret: Secret = call.expecting(arguments.cas).send().await.map_err(|failure| failure.redacted(&redactor))?;
    if secret.unmaskable {
        say("warning: the value is shorter than 6 bytes, so it is never masked in logs and results");
    }
    Output::new(arguments.connection.output).redacting(redactor).item(&secret, secret_table::describe)
}

async fn list(arguments: &ListArgs) -> Result<(), Failure> {
    let space = name::space(arguments.place.space.as_deref())?;
    let client = Client::new(&arguments.connection)?;
    let mut secrets = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let call = client.call_at(Method::GET, space.as_ref(), &["secrets"]).query("limit", "1000");
        let mut call = arguments.freshness.ask(call);
        if let Some(after) = &after {
            call = call.query("after", after);
        }
        let page: SecretList = call.send().await?;
        secrets.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let scope = space.as_ref().map(|space| format!("space `{space}` of ")).unwrap_or_default();
    let environment = client.environment();
    let empty = format!("no secrets in {scope}environment `{environment}`; `claviger secret set NAME` sets one");
    let rows = if space.is_some() { secret_table::of_space } else { secret_table::of_environment };
    Output::new(arguments.connection.output).list(&secrets, rows, &empty)
}

async fn get(arguments: &GetArgs) -> Result<(), Failure> {
    let (name, space) = named(&arguments.name, &arguments.place)?;
    let client = Client::new(&arguments.connection)?;
    let call = client.call_at(Method::GET, space.as_ref(), &["secrets", name.as_str()]);
    let secret: Secret = arguments.freshness.ask(call).send().await?;
    Output::new(arguments.connection.output).item(&secret, secret_table::describe)
}

async fn delete(arguments: &DeleteArgs) -> Result<(), Failure> {
    let (name, space) = named(&arguments.name, &arguments.place)?;
    let client = Client::new(&arguments.connection)?;
    let call = client.call_at(Method::DELETE, space.as_ref(), &["secrets", name.as_str()]);
    let deleted: Result<DeletedSecret, Failure> = call.expecting(arguments.cas).send().await;
    let deleted = deleted.map_err(|failure| match &space {
        Some(space) if failure.has_code("secret_not_found") => failure.hint(format!(
            "the space has none of its own; if it inherits or blocks it: `claviger secret block` or `unblock`, with `--space \"{space}\"`"
        )),
        _ => failure,
    })?;
    Output::new(arguments.connection.output).item(&deleted, secret_table::deleted)
}

fn named(name: &str, place: &PlaceArgs) -> Result<(SecretName, Option<SpaceName>), Failure> {
    Ok((name::parse(name)?, name::space(place.space.as_deref())?))
}
