//! Emitting events, and what they started.

use std::time::Duration;

use axum::{Json, extract::State};
use claviger_api::{EmitEvent, Emitted, EventRuns};
use claviger_core::{Revision, Scope};
use claviger_engine::events::NewEvent;
use http::StatusCode;

use super::show::{instant, run_with_outcome, space};
use crate::{app::App, body, caller::InEnvironment, failure::Failure, path::IdInPath, query::Query};

/// Longest wait, in milliseconds.
const MAX_WAIT_MS: u64 = 60_000;

/// Stores an event. Each function that it triggers gets one run.
#[utoipa::path(
    post, path = "/v1/environments/{env}/events", tag = "events",
    params(("env" = String, Path, description = "An environment", example = "default")),
    request_body = EmitEvent,
    responses((status = 202, description = "The event is stored durably", body = Emitted)),
)]
pub(crate) async fn emit_event(
    State(app): State<App>,
    InEnvironment { caller, environment }: InEnvironment,
    body::Json(event): body::Json<EmitEvent>,
) -> Result<(StatusCode, Json<Emitted>), Failure> {
    let data = event.data.map_or_else(|| b"null".to_vec(), |data| String::from(Box::<str>::from(data)).into_bytes());
    let in_space = event.space.map(|name| name.parse()).transpose()?;
    let new = NewEvent { id: event.id, name: event.name.parse()?, data, space: in_space };
    let emitted = app.engine.events().emit(&caller, &environment, new).await?;
    let shown = Emitted {
        id: emitted.id.to_string(),
        name: emitted.name.to_string(),
        environment: emitted.environment.to_string(),
        space: space(emitted.space.as_ref()),
        revision: emitted.revision.0,
        at: instant(emitted.at),
    };
    Ok((StatusCode::ACCEPTED, Json(shown)))
}

/// The runs that an event started. Waits until all have ended, for as long as asked.
#[utoipa::path(
    get, path = "/v1/environments/{env}/events/{id}/runs", tag = "events",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("id" = String, Path, description = "The event's id"),
        ("space" = Option<String>, Query, description = "The event's space; left out, the environment itself"),
        ("revision" = Option<u64>, Query, description = "The event's revision, to know whether it was dispatched"),
        ("waitMs" = Option<u64>, Query, description = "Wait for the end of every run, at most 60,000 ms"),
    ),
    responses((status = 200, body = EventRuns)),
)]
pub(crate) async fn event_runs(
    State(app): State<App>,
    InEnvironment { caller, environment }: InEnvironment,
    IdInPath(id): IdInPath,
    query: Query,
) -> Result<Json<EventRuns>, Failure> {
    let query = query.only(&["space", "revision", "waitMs"])?;
    let scope = Scope { environment, space: query.text("space")?.map(str::parse).transpose()? };
    let revision = Revision(query.number("revision", 0)?);
    let wait: u64 = query.number("waitMs", 0)?;
    if wait > MAX_WAIT_MS {
        return Err(Failure::invalid(format!("`waitMs` is at most {MAX_WAIT_MS}")));
    }
    let runtime = app.engine.runtime();
    let asked = |patience| runtime.event_runs(&caller, &scope, (&id, revision), patience);
    let started = tokio::select! {
        started = asked(Duration::from_millis(wait)) => started?,
        () = app.stop.cancelled() => asked(Duration::ZERO).await?,
    };
    let runs = started.runs.into_iter().map(run_with_outcome).collect();
    Ok(Json(EventRuns { dispatched: started.dispatched, runs }))
}
