//! `claviger event`: emits one, and waits for the runs that it starts.

use std::time::Duration;

use clap::{Args, Subcommand};
use claviger_api::{EmitEvent, Emitted, EventRuns, Run, RunStatus};
use reqwest::Method;
use serde::Serialize;
use tokio::time::Instant;

use super::{duration, json_argument::Form, name, run};
use crate::{
    args::{Connection, PlaceArgs},
    client::Client,
    failure::{Exit, Failure},
    output::{Output, ago, fields},
};

/// How long one request waits: less than the server allows, so that a lost connection is noticed.
const POLL: Duration = Duration::from_secs(20);

/// As much as the server takes.
const DATA: Form =
    Form { what: "data", limit: 256 * 1024, too_large: "event_too_large", example: "--data '{\"amount\": 1200}'" };

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
  claviger event emit order:created --space acme

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
    /// Its id, unique in the environment or space: emitted there again with the same id, it is not stored again
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Wait until the runs that it starts have ended, and print them
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    #[command(flatten)]
    place: PlaceArgs,
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
    let data = arguments.data.as_deref().map(|text| DATA.read(text)).transpose()?;
    let space = name::space(arguments.place.space.as_deref())?.map(|space| space.to_string());
    let body = EmitEvent { name: arguments.name, data, id: arguments.id, space };
    let event: Emitted = client.call_in(Method::POST, &["events"]).json(&body).send().await?;
    if !arguments.wait {
        return output.item(&event, |event| {
            fields([
                ("event", Some(event.name.clone())),
                ("id", Some(event.id.clone())),
                ("environment", Some(event.environment.clone())),
                ("space", event.space.clone()),
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
        let mut call = client.call_in(Method::GET, &["events", &event.id, "runs"]);
        if let Some(space) = &event.space {
            call = call.query("space", space);
        }
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
