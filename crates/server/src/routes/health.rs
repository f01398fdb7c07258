//! Whether the server is there, and whether it can work. Without authentication, and without names.

use axum::{Json, extract::State};
use claviger_api::{Health, Ready};
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
    responses((status = 200, body = Ready), (status = 503, description = "The server is stopping", body = Ready)),
)]
pub(crate) async fn ready(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    let (status, word) = match app.stop.is_cancelled() {
        false => (StatusCode::OK, "ready"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    let master_key = match app.options.master_key {
        MasterKeyOrigin::Configured => "configured",
        MasterKeyOrigin::Development => "development",
    };
    // A full disk makes nobody unready: reads, and jobs without secrets, go on. It is said all the same.
    let trouble = app.engine.store_trouble().map(|error| format!("the last write failed: {error}"));
    let ready = Ready {
        status: word.to_owned(),
        master_key: master_key.to_owned(),
        warnings: app.options.warnings.iter().cloned().chain(trouble).collect(),
        store: app.options.store.to_owned(),
    };
    (status, Json(ready))
}
