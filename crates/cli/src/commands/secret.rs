//! `claviger secret`: set, list, get, delete. No answer has a value in it.

use clap::{Args, Subcommand, ValueEnum};
use claviger_api::{self as api, DeletedSecret, Secret, SecretList, SetSecret};
use claviger_core::SecretName;
use reqwest::{
    Method,
    header::{HeaderValue, IF_MATCH},
};

use super::secret_value::{self, ValueArgs};
use crate::{
    args::Connection,
    client::{Call, Client},
    failure::{Exit, Failure},
    output::{Output, Table, ago, fields, table},
    terminal::say,
};

/// Secrets in one environment.
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
  claviger secret set STRIPE_KEY sk_live_123 -d 'Stripe live key'")]
    Set(SetArgs),
    /// List secrets: names and metadata, never a value
    #[command(after_help = "Examples:\n  claviger secret list\n  claviger secret list --env prod -o json")]
    List(ListArgs),
    /// Describe a secret: its metadata and versions, never the value
    #[command(after_help = "Examples:\n  claviger secret get STRIPE_KEY\n  claviger secret get STRIPE_KEY -o json")]
    Get(GetArgs),
    /// Delete a secret: it is not served any more
    #[command(
        after_help = "Examples:\n  claviger secret delete STRIPE_KEY\n  claviger secret delete STRIPE_KEY --cas 12"
    )]
    Delete(DeleteArgs),
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
    connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    freshness: Freshness,
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
    }
}

async fn set(arguments: SetArgs) -> Result<(), Failure> {
    let name = name(&arguments.name)?;
    let client = Client::new(&arguments.connection)?;
    if client.has_development_key().await {
        say("warning: the server has a development key only: whoever has its data directory has the secrets");
    }
    let value = secret_value::read(arguments.value, &name)?;
    let (text, encoding) = secret_value::encoded(&value);
    let body =
        SetSecret { value: text, encoding, description: arguments.description, allow_short: arguments.allow_short };
    let call = client.call_in(Method::PUT, &["secrets", name.as_str()]).json(&body);
    // The server repeats no value. If it did, it would end here.
    let redactor = secret_value::redactor(&name, &value);
    let secret: Secret = expecting(call, arguments.cas).send().await.map_err(|failure| failure.redacted(&redactor))?;
    if secret.unmaskable {
        say("warning: the value is shorter than 6 bytes, so it is never masked in logs and results");
    }
    Output::new(arguments.connection.output).redacting(redactor).item(&secret, describe)
}

async fn list(arguments: &ListArgs) -> Result<(), Failure> {
    let client = Client::new(&arguments.connection)?;
    let mut secrets = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let call = client.call_in(Method::GET, &["secrets"]).query("limit", "1000");
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
    let empty = format!("no secrets in environment `{}`; `claviger secret set NAME` sets one", client.environment());
    Output::new(arguments.connection.output).list(&secrets, rows, &empty)
}

async fn get(arguments: &GetArgs) -> Result<(), Failure> {
    let name = name(&arguments.name)?;
    let client = Client::new(&arguments.connection)?;
    let call = client.call_in(Method::GET, &["secrets", name.as_str()]);
    let secret: Secret = arguments.freshness.ask(call).send().await?;
    Output::new(arguments.connection.output).item(&secret, describe)
}

async fn delete(arguments: &DeleteArgs) -> Result<(), Failure> {
    let name = name(&arguments.name)?;
    let client = Client::new(&arguments.connection)?;
    let call = client.call_in(Method::DELETE, &["secrets", name.as_str()]);
    let deleted: DeletedSecret = expecting(call, arguments.cas).send().await?;
    Output::new(arguments.connection.output).item(&deleted, |deleted| {
        fields([
            ("deleted", Some(deleted.name.clone())),
            ("environment", Some(deleted.environment.clone())),
            ("version", Some(deleted.version.to_string())),
            ("revision", Some(deleted.revision.to_string())),
        ])
    })
}

/// Checked here too: a URL cannot even hold `..` as a name.
fn name(text: &str) -> Result<SecretName, Failure> {
    text.parse().map_err(|error: claviger_core::NameError| Failure::new(Exit::Usage, "invalid_name", error.to_string()))
}

fn expecting(call: Call<'_>, revision: Option<u64>) -> Call<'_> {
    let tag = revision.and_then(|revision| HeaderValue::from_str(&format!("\"{revision}\"")).ok());
    match tag {
        Some(tag) => call.header(IF_MATCH, tag),
        None => call,
    }
}

fn rows(secrets: &[Secret]) -> Table {
    table(
        ["name", "version", "revision", "description", "created", "updated"],
        secrets.iter().map(|secret| {
            [
                secret.name.clone(),
                secret.version.to_string(),
                secret.revision.to_string(),
                secret.description.clone().unwrap_or_default(),
                ago(secret.created_at),
                ago(secret.updated_at),
            ]
        }),
    )
}

fn describe(secret: &Secret) -> Table {
    let versions = secret
        .versions
        .iter()
        .flatten()
        .map(|version| format!("{} by {}, {}", version.version, version.created_by, ago(version.created_at)));
    let versions: Vec<String> = versions.collect();
    fields([
        ("name", Some(secret.name.clone())),
        ("environment", Some(secret.environment.clone())),
        ("version", Some(secret.version.to_string())),
        ("revision", Some(secret.revision.to_string())),
        ("description", secret.description.clone()),
        ("created", Some(ago(secret.created_at))),
        ("updated", Some(format!("{} by {}", ago(secret.updated_at), secret.updated_by))),
        ("unmaskable", secret.unmaskable.then(|| "yes, its value is too short to be masked".to_owned())),
        ("versions", (!versions.is_empty()).then(|| versions.join("\n"))),
    ])
}
