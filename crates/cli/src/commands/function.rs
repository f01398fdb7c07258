//! `claviger function`: what workers have registered.

use clap::{Args, Subcommand};
use claviger_api::{Function, FunctionList, FunctionTrigger};
use reqwest::Method;

use super::joined;
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
A secret with `!` is required: runs wait while it is not set. A listener looks its secrets up by name, while it has an event.

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
            [
                function.id.clone(),
                triggers(function),
                secrets(function),
                function.workers.to_string(),
                ago(function.updated_at),
            ]
        }),
    )
}

/// What starts it, a line for each pattern, and one for the spaces that it is about.
fn triggers(function: &Function) -> String {
    let spaces = function.spaces.as_deref().and_then(joined).map(|names| format!("in {names}"));
    function.triggers.iter().map(trigger).chain(spaces).collect::<Vec<_>>().join("\n")
}

fn trigger(trigger: &FunctionTrigger) -> String {
    let conditions = trigger.r#match.iter().map(|condition| format!("{} = {}", condition.path, condition.equals));
    match joined(&conditions.collect::<Vec<_>>()) {
        Some(conditions) => format!("{} if {conditions}", trigger.event),
        None => trigger.event.clone(),
    }
}

fn secrets(function: &Function) -> String {
    let declared = function.secrets.iter().map(|secret| {
        let mark = if secret.required { "!" } else { "" };
        format!("{}{mark}", secret.name)
    });
    let looked_up = function.lookups.then(|| "by name".to_owned());
    declared.chain(looked_up).collect::<Vec<_>>().join("\n")
}
