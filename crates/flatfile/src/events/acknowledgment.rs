//! Acknowledgments: events of ours, each with an id that follows from the event's, so that there is one for each.

use axum::{Extension, Json, extract::State};
use claviger_core::{Caller, Timestamp};
use claviger_engine::events::{Event, NewEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{list::find, view::Seen};
use crate::{app::App, id, refusal::Refusal, router::Id};

/// The name of the event that acknowledges another.
const NAME: &str = "flatfile.acknowledged";

/// Who acknowledged an event, and when.
#[derive(Clone, Debug)]
pub(super) struct Acknowledgment {
    /// The event's id in the protocol.
    pub(super) event: String,
    pub(super) by: String,
    pub(super) at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Body {
    event: String,
    by: String,
}

impl Acknowledgment {
    /// Reads an event that is one.
    pub(super) fn of(event: &Event) -> Option<Acknowledgment> {
        if event.name.as_str() != NAME {
            return None;
        }
        let Body { event: acknowledged, by } = serde_json::from_str(event.data.get()).ok()?;
        Some(Acknowledgment { event: acknowledged, by, at: event.at })
    }
}

/// Acknowledging again changes nothing.
pub(crate) async fn acknowledge(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Json<Value>, Refusal> {
    let event = find(&app, &caller, &id).await?;
    let body = Body { event: Seen::of(&event).id(), by: id::of_caller(&caller) };
    let new = NewEvent {
        id: Some(format!("flatfile-ack-{}", body.event)),
        name: NAME.parse()?,
        // Two texts: encoding them cannot fail.
        data: serde_json::to_vec(&body).unwrap_or_default(),
        space: event.space.clone(),
    };
    app.engine.events().emit(&caller, &event.environment, new).await?;
    Ok(Json(json!({ "data": { "success": true } })))
}
