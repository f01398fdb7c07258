//! `claviger run`: list, get, cancel.

use clap::{Args, Subcommand};
use claviger_api::{AuditedSecret, CancelRun, Cancellation, Run, RunList, RunStatus, Step};
use reqwest::Method;
use serde::Serialize;

use crate::{
    args::Connection,
    client::Client,
    failure::Failure,
    output::{Output, Table, ago, fields, maybe_ago, table},
    terminal::say,
};

/// Runs in one environment.
#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// List runs, newest first
    #[command(after_help = "\
Examples:
  claviger run list
  claviger run list --status failed --function payout
  claviger run list --limit 500 -o json")]
    List(ListArgs),
    /// Show a run with its steps and the secrets that it was given: names and versions
    #[command(after_help = "Examples:\n  claviger run get RUN\n  claviger run get RUN -o json")]
    Get(GetArgs),
    /// Cancel a run, also while one of its steps is executed
    #[command(after_help = "Examples:\n  claviger run cancel RUN --reason 'sent twice'")]
    Cancel(CancelArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Only runs of this function
    #[arg(long, value_name = "ID")]
    function: Option<String>,
    /// Only runs that stand so: queued, running, sleeping, waiting, blocked, retrying, completed, failed, cancelled
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// How many, at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// The cursor that an earlier list ended with
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// Its id
    run: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args, Debug)]
pub(crate) struct CancelArgs {
    /// Its id
    run: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(command: RunCommand) -> Result<(), Failure> {
    match command {
        RunCommand::List(arguments) => list(&arguments).await,
        RunCommand::Get(arguments) => {
            let client = Client::new(&arguments.connection)?;
            let run: Run = client.call_in(Method::GET, &["runs", &arguments.run]).send().await?;
            Output::new(arguments.connection.output).item(&run, describe)
        }
        RunCommand::Cancel(arguments) => {
            let client = Client::new(&arguments.connection)?;
            let call = client.call_in(Method::POST, &["runs", &arguments.run, "cancel"]);
            let run: Run = call.json(&CancelRun { reason: arguments.reason }).send().await?;
            Output::new(arguments.connection.output).item(&run, describe)
        }
    }
}

async fn list(arguments: &ListArgs) -> Result<(), Failure> {
    let client = Client::new(&arguments.connection)?;
    let mut call = client.call_in(Method::GET, &["runs"]).query("limit", &arguments.limit.to_string());
    let filters = [("function", &arguments.function), ("status", &arguments.status), ("after", &arguments.after)];
    for (name, value) in filters {
        if let Some(value) = value {
            call = call.query(name, value);
        }
    }
    let page: RunList = call.send().await?;
    let empty = format!("no runs in environment `{}`", client.environment());
    Output::new(arguments.connection.output).list(&page.items, rows, &empty)?;
    if let Some(next) = page.next {
        say(format_args!("older ones: --after {next}"));
    }
    Ok(())
}

/// Runs as a table.
pub(super) fn rows(runs: &[Run]) -> Table {
    table(
        ["run", "function", "status", "attempt", "event", "created", "ended"],
        runs.iter().map(|run| {
            [
                run.id.clone(),
                run.function.clone(),
                word(&run.status),
                run.attempt.to_string(),
                run.event.name.clone(),
                ago(run.created_at),
                maybe_ago(run.ended_at),
            ]
        }),
    )
}

fn describe(run: &Run) -> Table {
    let steps: Vec<String> = run.steps.iter().flatten().map(step).collect();
    let delivered = run.deliveries.iter().flatten().filter(|delivery| !delivery.secrets.is_empty());
    let given = delivered.map(|delivery| {
        let secrets: Vec<String> = delivery.secrets.iter().map(secret).collect();
        let place = delivery.environment.as_ref().map(|name| format!(" of environment {name}")).unwrap_or_default();
        format!("{}{place} (attempt {})", secrets.join(", "), delivery.attempt)
    });
    let given: Vec<String> = given.collect();
    let lines = |lines: Vec<String>| (!lines.is_empty()).then(|| lines.join("\n"));
    let waits = run.next_attempt_at.filter(|_| !matches!(run.status, RunStatus::Completed | RunStatus::Cancelled));
    fields([
        ("run", Some(run.id.clone())),
        ("function", Some(run.function.clone())),
        ("environment", Some(run.environment.clone())),
        ("space", run.space.clone()),
        ("status", Some(word(&run.status))),
        ("attempt", Some(run.attempt.to_string())),
        ("event", Some(format!("{} ({})", run.event.name, run.event.id))),
        ("created", Some(ago(run.created_at))),
        ("started", run.started_at.map(ago)),
        ("ended", run.ended_at.map(ago)),
        ("goes on", waits.map(ago)),
        ("missing", super::joined(&run.missing)),
        ("result", run.result.as_ref().map(|result| result.get().to_owned())),
        ("error", run.error.as_ref().map(|error| format!("{}: {}", error.name, error.message))),
        ("cancelled", run.cancelled.as_ref().map(cancellation)),
        ("parent", run.parent.clone()),
        ("steps", lines(steps)),
        ("was given", lines(given)),
    ])
}

/// Name and version, and whose it was if not the environment's.
fn secret(secret: &AuditedSecret) -> String {
    let space = secret.space.as_ref().map(|space| format!(" of space {space}")).unwrap_or_default();
    format!("{}@{}{space}", secret.name, secret.version)
}

fn cancellation(cancelled: &Cancellation) -> String {
    let reason = cancelled.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("by {}{reason}", cancelled.by)
}

fn step(step: &Step) -> String {
    let mut line = format!("{} {} {}", step.id, step.kind, word(&step.status));
    if let Some(error) = &step.error {
        line.push_str(&format!(" {}: {}", error.name, error.message));
    } else if let Some(result) = &step.result {
        line.push_str(&format!(" {}", result.get()));
    }
    line
}

/// The word that stands for it in JSON.
fn word<T: Serialize>(value: &T) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
