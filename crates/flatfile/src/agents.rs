//! Agents that Flatfile would host: there are none.

use axum::{Json, extract::Request, http::StatusCode};
use serde_json::{Value, json};

use crate::{body, refusal::Refusal};

pub(crate) async fn list() -> Json<Value> {
    Json(json!({ "data": [] }))
}

pub(crate) async fn create(request: Request) -> Refusal {
    body::pass_over(request.into_body()).await;
    let message = "hosted agents are not supported: run the listener where you like, with `FLATFILE_BEARER_TOKEN` set";
    Refusal::of_status(StatusCode::BAD_REQUEST, message).about("agents")
}

/// The tokens of a push service that is not there.
pub(crate) async fn subscription_token() -> Refusal {
    let message = "events are not pushed: poll `GET /v1/events`, or hand them to `dispatchEvent`";
    Refusal::of_status(StatusCode::BAD_REQUEST, message).about("subscription")
}
