//! Server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{self, KeepAlive, Sse},
};
use claviger_api::{Event, Gap};
use claviger_core::{Pattern, SpaceName};
use claviger_engine::{
    Error,
    events::{Cursor, Frame, Subscription},
};
use futures_util::{Stream, stream};
use http::HeaderMap;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::show::{instant, space};
use crate::{app::App, caller::InEnvironment, failure::Failure, query::Query};

const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Follows events.
///
/// Frames: `ready` with the cursor of now; `event` with an Event; `gap` with a Gap, where events may be
/// missing. The `id` of each is the cursor to come back with. Ends when the server stops: connect again.
#[utoipa::path(
    get, path = "/v1/environments/{env}/subscribe", tag = "events",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("pattern" = Vec<String>, Query, description = "Patterns of event names, 1 to 64; may be repeated",
            example = json!(["system.secret.*.updated"])),
        ("space" = Option<Vec<String>>, Query, description = "Only events of these spaces; may be repeated"),
        ("after" = Option<String>, Query, description = "A cursor to go on after"),
        ("Last-Event-ID" = Option<String>, Header, description = "The same; comes first"),
    ),
    responses(
        (status = 200, description = "A stream of events", content_type = "text/event-stream", body = String,
            example = "id: AQ…\nevent: event\ndata: {\"id\":\"secrets-12\",\"name\":\"system.secret.STRIPE_KEY.updated\"}\n\n"),
    ),
)]
pub(crate) async fn subscribe(
    State(app): State<App>,
    InEnvironment { caller, environment }: InEnvironment,
    headers: HeaderMap,
    query: Query,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Failure> {
    let query = query.only(&["pattern", "space", "after"])?;
    let patterns: Vec<Pattern> = query.all("pattern").map(str::parse).collect::<Result<_, _>>()?;
    let spaces: Vec<SpaceName> = query.all("space").map(str::parse).collect::<Result<_, _>>()?;
    let spaces = (!spaces.is_empty()).then_some(spaces);
    let after = cursor(&headers, &query)?;
    let subscription = app.engine.events().subscribe(&caller, &environment, patterns, after, spaces).await?;
    let frames = stream::unfold((subscription, app.stop.clone()), |(mut subscription, stop)| async move {
        let frame = next(&mut subscription, &stop).await?;
        Some((Ok(write(frame)), (subscription, stop)))
    });
    Ok(Sse::new(frames).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_EVERY).text("keep-alive")))
}

/// The next frame; `None` when the server stops or the API key is no longer accepted.
async fn next(subscription: &mut Subscription, stop: &CancellationToken) -> Option<Frame> {
    // An idle one is ended too.
    let ended = subscription.ended();
    tokio::select! {
        () = stop.cancelled() => None,
        () = ended => None,
        frame = subscription.next() => frame,
    }
}

fn cursor(headers: &HeaderMap, query: &Query) -> Result<Option<Cursor>, Failure> {
    let text = match headers.get("last-event-id") {
        // The event stream's "none yet" (HTML, server-sent events).
        Some(id) if id.is_empty() => query.text("after")?,
        // What is no text is no cursor either: beginning now instead would be silence about what was missed.
        Some(id) => Some(id.to_str().map_err(|_| Error::InvalidCursor)?),
        None => query.text("after")?,
    };
    text.map(|text| text.parse().map_err(Failure::from)).transpose()
}

fn write(frame: Frame) -> sse::Event {
    match frame {
        Frame::Ready { cursor } => event("ready", &cursor, &serde_json::json!({})),
        Frame::Event { event: known, cursor } => {
            let shown = Event {
                id: known.id.to_string(),
                name: known.name.to_string(),
                environment: known.environment.to_string(),
                space: space(known.space.as_ref()),
                at: instant(known.at),
                revision: known.revision.0,
                data: known.data.as_ref().to_owned(),
                source: known.source.as_str().to_owned(),
            };
            event("event", &cursor, &shown)
        }
        Frame::Gap { reason, stream, asked, first, cursor } => {
            let gap =
                Gap { reason: reason.as_str().to_owned(), stream: stream.to_owned(), asked: asked.0, first: first.0 };
            event("gap", &cursor, &gap)
        }
    }
}

fn event(kind: &str, cursor: &Cursor, body: &impl Serialize) -> sse::Event {
    // Plain structs with text keys: encoding them cannot fail, and gives one line.
    let json = serde_json::to_string(body).unwrap_or_default();
    sse::Event::default().id(cursor.to_string()).event(kind).data(json)
}
