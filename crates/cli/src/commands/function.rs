//! `claviger function`: what workers have registered.

use clap::{Args, Subcommand};
use claviger_api::{Function, FunctionList};
use reqwest::Method;

use crate::{
    args::Connection,
    client::Client,
    failure::Failure,
    output::{Output, Table, ago, table},
};

/// Functions in one environment.
#[derive(Debug, Subcommand)]
pub(crate) enum FunctionCommand {
    /// List functions: triggers, declared secrets, connected workers
    #[command(after_help = "\
A secret with `!` is required: runs wait while it is not set.

Examples:
  claviger function list
  claviger function list --env prod -o json")]
    List(ListArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(FunctionCommand::List(arguments): FunctionCommand) -> Result<(), Failure> {
    let client = Client::new(&arguments.connection)?;
    let list: FunctionList = client.call_in(Method::GET, &["functions"]).send().await?;
    let empty = format!("no functions in environment `{}`; a worker registers its own", client.environment());
    Output::new(arguments.connection.output).list(&list.items, rows, &empty)
}

fn rows(functions: &[Function]) -> Table {
    table(
        ["function", "triggers", "secrets", "workers", "updated"],
        functions.iter().map(|function| {
            let secrets = function.secrets.iter().map(|secret| {
                let mark = if secret.required { "!" } else { "" };
                format!("{}{mark}", secret.name)
            });
            [
                function.id.clone(),
                function.triggers.join("\n"),
                secrets.collect::<Vec<_>>().join("\n"),
                function.workers.to_string(),
                ago(function.updated_at),
            ]
        }),
    )
}
