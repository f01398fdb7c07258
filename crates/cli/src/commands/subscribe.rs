//! `claviger subscribe`: prints events as they happen, and goes on where it was after a lost connection.

use std::time::Duration;

use clap::Args;
use claviger_api::{Event, Gap};
use reqwest::{
    Method,
    header::{ACCEPT, HeaderName, HeaderValue},
};
use serde::Serialize;
use tokio::time::sleep;

use crate::{
    args::Connection,
    client::{Client, Frame, Frames},
    failure::{Exit, Failure},
    output::Output,
    terminal::say,
};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(Args, Debug)]
#[command(after_help = "\
In a pattern, `*` stands for one segment and `>` for the rest. Quote it for the shell.
With `-o json` each event is a line, with the cursor that `--after` takes.

Examples:
  claviger subscribe 'system.secret.*.updated'
  claviger subscribe 'payout.>' 'refund.>' -o json
  claviger subscribe '>' --space acme   # events of one space
  claviger subscribe '>' --count 1      # waits for one event of any name")]
pub(crate) struct SubscribeArgs {
    /// Patterns of event names
    #[arg(required = true, value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Only events of this space [default: of the environment and all its spaces]; may be repeated
    #[arg(short, long = "space", value_name = "SPACE", help_heading = "Connection")]
    spaces: Vec<String>,
    /// Begin after this cursor instead of now
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    connection: Connection,
}

/// An event as it is printed for programs.
#[derive(Serialize)]
struct Printed<'e> {
    cursor: Option<&'e str>,
    #[serde(flatten)]
    event: &'e Event,
}

/// Where a subscription stands, over all its connections.
struct Subscription {
    client: Client,
    output: Output,
    patterns: Vec<String>,
    spaces: Vec<String>,
    cursor: Option<String>,
    left: Option<u64>,
    pause: Duration,
}

pub(crate) async fn run(arguments: SubscribeArgs) -> Result<(), Failure> {
    let mut subscription = Subscription {
        client: Client::new(&arguments.connection)?,
        output: Output::new(arguments.connection.output),
        patterns: arguments.patterns,
        spaces: arguments.spaces,
        cursor: arguments.after,
        left: arguments.count,
        pause: FIRST_PAUSE,
    };
    // The first connection has to succeed: an address or key that is wrong should not be tried for ever.
    let mut frames = subscription.connect().await?;
    loop {
        while let Some(frame) = frames.next().await {
            subscription.take(frame)?;
            if subscription.left == Some(0) {
                return Ok(());
            }
        }
        frames = subscription.connect_again().await?;
    }
}

impl Subscription {
    async fn connect(&self) -> Result<Frames, Failure> {
        let mut call = self.client.call_in(Method::GET, &["subscribe"]);
        for pattern in &self.patterns {
            call = call.query("pattern", pattern);
        }
        for space in &self.spaces {
            call = call.query("space", space);
        }
        call = call.header(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(cursor) = &self.cursor {
            call = call.header(LAST_EVENT_ID, header(cursor)?);
        }
        call.open().await.map(Frames::new)
    }

    async fn connect_again(&mut self) -> Result<Frames, Failure> {
        say("the connection is lost, trying again");
        loop {
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            match self.connect().await {
                Err(failure) if failure.is_passing() => {}
                outcome => return outcome,
            }
        }
    }

    fn take(&mut self, frame: Frame) -> Result<(), Failure> {
        self.pause = FIRST_PAUSE;
        if frame.id.is_some() {
            self.cursor.clone_from(&frame.id);
        }
        match frame.event.as_str() {
            "ready" => say(format_args!("subscribed in environment `{}`", self.client.environment())),
            "gap" => warn_of_gap(&frame.data),
            "event" => return self.print(&frame),
            _ => {}
        }
        Ok(())
    }

    fn print(&mut self, frame: &Frame) -> Result<(), Failure> {
        let Ok(event) = serde_json::from_str::<Event>(&frame.data) else {
            say("warning: an event that this version cannot read was left out");
            return Ok(());
        };
        self.left = self.left.map(|left| left.saturating_sub(1));
        let printed = Printed { cursor: frame.id.as_deref(), event: &event };
        self.output.next(&printed, |printed| {
            let Event { at, name, space, data, .. } = printed.event;
            let space = space.as_ref().map(|space| format!("  in {space}")).unwrap_or_default();
            format!("{at}  {name}{space}  {}", data.get())
        })
    }
}

/// What a header cannot hold as it is, is no cursor; a server that does not see it would begin now.
fn header(cursor: &str) -> Result<HeaderValue, Failure> {
    let is_sent_as_it_is = !cursor.is_empty() && cursor.bytes().all(|byte| byte.is_ascii_graphic());
    let value = HeaderValue::from_str(cursor).ok().filter(|_| is_sent_as_it_is);
    value.ok_or_else(|| {
        Failure::new(Exit::Usage, "invalid_cursor", "the cursor is not one that a server has given out")
            .hint("pass the cursor of an event as `-o json` shows it; without `--after` it begins now")
    })
}

fn warn_of_gap(data: &str) {
    match serde_json::from_str::<Gap>(data) {
        Ok(gap) => say(format_args!(
            "warning: events may be missing here ({}): read up to {} of {}, going on at {}",
            gap.reason, gap.asked, gap.stream, gap.first
        )),
        Err(_) => say("warning: events may be missing here"),
    }
}
