//! Whether the server is there, and whether it can work. Without authentication, and without names.

use axum::{Json, extract::State};
use claviger_api::{Health, Ready};
use claviger_core::ErrorKind;
use claviger_engine::Error;
use http::StatusCode;

use crate::{MasterKeyOrigin, app::App};

/// Answers as long as the process lives.
#[utoipa::path(get, path = "/healthz", tag = "server", security(()), responses((status = 200, body = Health)))]
pub(crate) async fn health() -> Json<Health> {
    Json(Health { status: "ok".to_owned() })
}

/// Whether the server takes requests, and what its operator should know.
#[utoipa::path(
    get, path = "/readyz", tag = "server", security(()),
    responses(
        (status = 200, body = Ready),
        (status = 503, description = "The server is stopping, or its store cannot be reached or relied on", body = Ready),
    ),
)]
pub(crate) async fn ready(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    let trouble = app.engine.store_trouble();
    let is_out = |error: &Error| matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Corrupt);
    let is_cut_off = trouble.as_ref().is_some_and(is_out);
    let (status, word) = match (app.stop.is_cancelled(), is_cut_off) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (false, true) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (false, false) => (StatusCode::OK, "ready"),
    };
    let master_key = match app.options.master_key {
        MasterKeyOrigin::Configured => "configured",
        MasterKeyOrigin::Development => "development",
    };
    // A full disk makes nobody unready: reads, and jobs without secrets, go on. It is said all the same.
    let trouble = trouble.map(|error| match is_cut_off {
        true => error.to_string(),
        false => format!("the last write failed: {error}"),
    });
    let ready = Ready {
        status: word.to_owned(),
        master_key: master_key.to_owned(),
        warnings: app.options.warnings.iter().cloned().chain(trouble).collect(),
        store: app.options.store.to_owned(),
        durability: app.options.durability.clone(),
    };
    (status, Json(ready))
}
