//! `claviger event`: emits one, and waits for the runs that it starts.

use std::{fs::File, io::Read, time::Duration};

use clap::{Args, Subcommand};
use claviger_api::{EmitEvent, Emitted, EventRuns, Run, RunStatus};
use reqwest::Method;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{duration, run};
use crate::{
    args::Connection,
    client::Client,
    config::reason,
    failure::{Exit, Failure},
    output::{Output, ago, fields},
};

/// How long one request waits: less than the server allows, so that a lost connection is noticed.
const POLL: Duration = Duration::from_secs(20);

/// The server's limit of an event's data, and one byte that tells what is larger.
const MAX_DATA: u64 = 256 * 1024 + 1;

/// Events in one environment.
#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// Emit an event
    #[command(after_help = "\
Examples:
  claviger event emit payout.requested --data '{\"amount\": 1200}'
  claviger event emit payout.requested --data @payout.json --wait
  jq -c . payout.json | claviger event emit payout.requested --data -
  claviger event emit payout.requested --id order-77

With `--wait` the exit status is 1 if a run does not complete. An id that was emitted before starts nothing again.")]
    Emit(EmitArgs),
}

#[derive(Args, Debug)]
pub(crate) struct EmitArgs {
    /// Its dotted name; names under `system.` are the server's own
    name: String,
    /// Any JSON; `@FILE` reads it from a file, `-` from standard input [default: null]
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// Its id, unique in the environment: emitted again with the same id, it is not stored again
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Wait until the runs that it starts have ended, and print them
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    #[command(flatten)]
    connection: Connection,
}

/// What `--wait` prints.
#[derive(Serialize)]
struct Outcome {
    event: Emitted,
    runs: Vec<Run>,
}

pub(crate) async fn run(EventCommand::Emit(arguments): EventCommand) -> Result<(), Failure> {
    let client = Client::new(&arguments.connection)?;
    let output = Output::new(arguments.connection.output);
    let data = arguments.data.as_deref().map(json).transpose()?;
    let body = EmitEvent { name: arguments.name, data, id: arguments.id };
    let event: Emitted = client.call_in(Method::POST, &["events"]).json(&body).send().await?;
    if !arguments.wait {
        return output.item(&event, |event| {
            fields([
                ("event", Some(event.name.clone())),
                ("id", Some(event.id.clone())),
                ("environment", Some(event.environment.clone())),
                ("emitted", Some(ago(event.at))),
            ])
        });
    }
    let found = wait(&client, &event, Instant::now() + arguments.timeout).await?;
    let is_over = is_over(&found);
    let outcome = Outcome { event, runs: found.runs };
    if output.is_table() {
        output.list(&outcome.runs, run::rows, "no function is started by this event")?;
    } else {
        output.item(&outcome, |outcome| run::rows(&outcome.runs))?;
    }
    verdict(&outcome, is_over)
}

async fn wait(client: &Client, event: &Emitted, deadline: Instant) -> Result<EventRuns, Failure> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).min(POLL);
        let call = client.call_in(Method::GET, &["events", &event.id, "runs"]);
        let call = call.query("revision", &event.revision.to_string()).query("waitMs", &left.as_millis().to_string());
        let found: EventRuns = call.send().await?;
        if is_over(&found) || Instant::now() >= deadline {
            return Ok(found);
        }
    }
}

fn is_over(found: &EventRuns) -> bool {
    let has_ended = |run: &Run| matches!(run.status, RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled);
    found.dispatched && found.runs.iter().all(has_ended)
}

fn verdict(outcome: &Outcome, is_over: bool) -> Result<(), Failure> {
    if !is_over {
        let message = "the time to wait is over and not every run has ended";
        return Err(Failure::new(Exit::Other, "timeout", message).hint("`claviger run get RUN` shows how a run stands"));
    }
    let failed = outcome.runs.iter().filter(|run| run.status != RunStatus::Completed).count();
    match failed {
        0 => Ok(()),
        1 => Err(Failure::plain(Exit::Other, "a run did not complete")),
        many => Err(Failure::plain(Exit::Other, format!("{many} runs did not complete"))),
    }
}

fn json(argument: &str) -> Result<Box<RawValue>, Failure> {
    let text = match argument {
        "-" => read("standard input", std::io::stdin().lock())?,
        _ => match argument.strip_prefix('@') {
            Some(path) => {
                let file = File::open(path).map_err(|error| unreadable(path, &error))?;
                read(path, file)?
            }
            None => argument.to_owned(),
        },
    };
    RawValue::from_string(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Failure::new(Exit::Usage, "invalid_json", format!("the data is not JSON, as {place} shows"))
            .hint("quote it for the shell: --data '{\"amount\": 1200}'")
    })
}

fn read(name: &str, source: impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    source.take(MAX_DATA).read_to_string(&mut text).map_err(|error| unreadable(name, &error))?;
    if text.len() as u64 == MAX_DATA {
        return Err(Failure::new(Exit::Usage, "event_too_large", "the data is over the limit of 262144 bytes"));
    }
    Ok(text)
}

fn unreadable(name: &str, error: &std::io::Error) -> Failure {
    Failure::plain(Exit::Usage, format!("`{name}` cannot be read: {}", reason(error)))
}
