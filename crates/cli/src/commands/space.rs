//! `claviger space`: create, list, get, update, delete.

use clap::{Args, Subcommand};
use claviger_api::{CreateSpace, DeletedSpace, Space, SpaceList, UpdateSpace};
use claviger_core::SpaceName;
use reqwest::Method;

use super::{json_argument::Form, name};
use crate::{
    args::Connection,
    client::Client,
    failure::Failure,
    output::{Output, Table, ago, fields, shortened, table},
};

/// More than the server takes, which counts the text without what JSON may leave out.
const METADATA: Form = Form {
    what: "metadata",
    limit: 64 * 1024,
    too_large: "body_too_large",
    example: "--metadata '{\"plan\": \"gold\"}'",
};

/// Characters of metadata in a list; `get` shows all.
const SHOWN: usize = 60;

/// Spaces of one environment: each sees the environment's secrets, and may override or block them.
#[derive(Debug, Subcommand)]
pub(crate) enum SpaceCommand {
    /// Create a space: it sees every secret of the environment
    #[command(after_help = "\
Examples:
  claviger space create acme --env prod
  claviger space create acme --metadata '{\"plan\": \"gold\"}'
  claviger secret set SLACK_TOKEN --space acme     # overrides one secret")]
    Create(CreateArgs),
    /// List the spaces of the environment
    #[command(after_help = "Examples:\n  claviger space list --env prod\n  claviger space list -o json")]
    List(ListArgs),
    /// Show a space and its metadata
    #[command(after_help = "Examples:\n  claviger space get acme\n  claviger space get acme -o json")]
    Get(GetArgs),
    /// Replace a space's metadata
    #[command(after_help = "\
Examples:
  claviger space update acme --metadata '{\"plan\": \"silver\"}'
  claviger space update acme --metadata @acme.json
  claviger space update acme --metadata @acme.json --cas 12")]
    Update(UpdateArgs),
    /// Delete a space, and with it the secrets of its own
    #[command(after_help = "\
The environment's secrets stay. A space that is created again with the same name begins with what the environment has.

Examples:
  claviger space delete acme --env prod
  claviger space delete acme --cas 12")]
    Delete(DeleteArgs),
}

#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// Its name: 1 to 200 characters
    name: String,
    /// One JSON object of at most 8 KiB, for everybody to read: settings, not secrets; `@FILE` reads a file, `-` standard
    /// input [default: {}]
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct UpdateArgs {
    /// Its name
    name: String,
    /// One JSON object of at most 8 KiB, in place of the present one; `@FILE` reads a file, `-` standard input
    #[arg(long, value_name = "JSON")]
    metadata: String,
    /// Update it only if its revision is still this one
    #[arg(long, value_name = "REVISION")]
    cas: Option<u64>,
    #[command(flatten)]
    connection: Connection,
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

pub(crate) async fn run(command: SpaceCommand) -> Result<(), Failure> {
    match command {
        SpaceCommand::Create(arguments) => create(&arguments).await,
        SpaceCommand::List(arguments) => list(&arguments).await,
        SpaceCommand::Get(arguments) => get(&arguments).await,
        SpaceCommand::Update(arguments) => update(&arguments).await,
        SpaceCommand::Delete(arguments) => delete(&arguments).await,
    }
}

async fn create(arguments: &CreateArgs) -> Result<(), Failure> {
    let name: SpaceName = name::parse(&arguments.name)?;
    let metadata = arguments.metadata.as_deref().map(|text| METADATA.read(text)).transpose()?;
    let client = Client::new(&arguments.connection)?;
    let body = CreateSpace { name: name.to_string(), metadata };
    let space: Space = client.call_in(Method::POST, &["spaces"]).json(&body).send().await?;
    Output::new(arguments.connection.output).item(&space, describe)
}

async fn list(arguments: &ListArgs) -> Result<(), Failure> {
    let client = Client::new(&arguments.connection)?;
    let mut spaces: Vec<Space> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut call = client.call_in(Method::GET, &["spaces"]).query("limit", "1000");
        if let Some(after) = &after {
            call = call.query("after", after);
        }
        let page: SpaceList = call.send().await?;
        spaces.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let empty = format!("no spaces in environment `{}`; `claviger space create NAME` makes one", client.environment());
    Output::new(arguments.connection.output).list(&spaces, rows, &empty)
}

async fn get(arguments: &GetArgs) -> Result<(), Failure> {
    let name: SpaceName = name::parse(&arguments.name)?;
    let client = Client::new(&arguments.connection)?;
    let space: Space = client.call_in_space(Method::GET, &name, &[]).send().await?;
    Output::new(arguments.connection.output).item(&space, describe)
}

async fn update(arguments: &UpdateArgs) -> Result<(), Failure> {
    let name: SpaceName = name::parse(&arguments.name)?;
    let body = UpdateSpace { metadata: METADATA.read(&arguments.metadata)? };
    let client = Client::new(&arguments.connection)?;
    let call = client.call_in_space(Method::PATCH, &name, &[]).json(&body);
    let space: Space = call.expecting(arguments.cas).send().await?;
    Output::new(arguments.connection.output).item(&space, describe)
}

async fn delete(arguments: &DeleteArgs) -> Result<(), Failure> {
    let name: SpaceName = name::parse(&arguments.name)?;
    let client = Client::new(&arguments.connection)?;
    let call = client.call_in_space(Method::DELETE, &name, &[]);
    let deleted: DeletedSpace = call.expecting(arguments.cas).send().await?;
    Output::new(arguments.connection.output).item(&deleted, |deleted| {
        fields([
            ("deleted", Some(deleted.name.clone())),
            ("environment", Some(deleted.environment.clone())),
            ("its secrets", Some(format!("{} deleted", deleted.deleted_secrets))),
        ])
    })
}

fn rows(spaces: &[Space]) -> Table {
    table(
        ["space", "metadata", "created", "updated"],
        spaces.iter().map(|space| {
            [space.name.clone(), shortened(space.metadata.get(), SHOWN), ago(space.created_at), ago(space.updated_at)]
        }),
    )
}

fn describe(space: &Space) -> Table {
    fields([
        ("space", Some(space.name.clone())),
        ("environment", Some(space.environment.clone())),
        ("metadata", Some(space.metadata.get().to_owned())),
        ("revision", Some(space.revision.to_string())),
        ("created", Some(format!("{} by {}", ago(space.created_at), space.created_by))),
        ("updated", Some(format!("{} by {}", ago(space.updated_at), space.updated_by))),
    ])
}
