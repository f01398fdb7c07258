//! `claviger env`: create, list.

use clap::{Args, Subcommand};
use claviger_api::{CreateEnvironment, Environment, EnvironmentList};
use reqwest::Method;

use crate::{
    args::Connection,
    client::Client,
    failure::Failure,
    output::{Output, ago, fields, table},
};

/// Environments: hard boundaries, each with secrets, functions, runs and keys of its own.
#[derive(Debug, Subcommand)]
pub(crate) enum EnvironmentCommand {
    /// Create an environment
    #[command(after_help = "Examples:\n  claviger env create staging")]
    Create(CreateArgs),
    /// List the environments that the API key reaches
    #[command(after_help = "Examples:\n  claviger env list -o json")]
    List(ListArgs),
}

#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// Its name: lower-case letters, digits and `-`, at most 39 characters, not `all`
    name: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(command: EnvironmentCommand) -> Result<(), Failure> {
    match command {
        EnvironmentCommand::Create(arguments) => {
            let client = Client::new(&arguments.connection)?;
            let body = CreateEnvironment { name: arguments.name };
            let created: Environment = client.call(Method::POST, &["environments"]).json(&body).send().await?;
            Output::new(arguments.connection.output).item(&created, |environment| {
                fields([
                    ("environment", Some(environment.name.clone())),
                    ("created", Some(ago(environment.created_at))),
                ])
            })
        }
        EnvironmentCommand::List(arguments) => {
            let client = Client::new(&arguments.connection)?;
            let list: EnvironmentList = client.call(Method::GET, &["environments"]).send().await?;
            let rows = |items: &[Environment]| {
                table(["environment", "created"], items.iter().map(|item| [item.name.clone(), ago(item.created_at)]))
            };
            Output::new(arguments.connection.output).list(&list.items, rows, "no environments")
        }
    }
}
