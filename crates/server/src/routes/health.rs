//! Whether the server is there, and whether it can work. Without authentication, and without names for those who have none.

use std::convert::Infallible;

use axum::{
    Json,
    extract::{FromRequestParts, State},
};
use claviger_api::{Health, Ready};
use claviger_core::{ErrorKind, Role};
use claviger_engine::Error;
use http::{StatusCode, header::AUTHORIZATION, request::Parts};

use crate::{MasterKeyOrigin, app::App, caller::Authenticated};

/// Answers as long as the process lives.
#[utoipa::path(get, path = "/healthz", tag = "server", security(()), responses((status = 200, body = Health)))]
pub(crate) async fn health() -> Json<Health> {
    Json(Health { status: "ok".to_owned() })
}

/// Who asks how the server is.
pub(crate) enum Asker {
    /// Somebody with an admin key.
    Admin,
    /// Anybody. A wrong key is none.
    Anybody,
}

impl FromRequestParts<App> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Asker, Infallible> {
        // Who gives no key has not failed to give the right one.
        if !parts.headers.contains_key(AUTHORIZATION) {
            return Ok(Asker::Anybody);
        }
        match Authenticated::from_request_parts(parts, app).await {
            Ok(Authenticated(caller)) if caller.role == Role::Admin => Ok(Asker::Admin),
            Ok(_) | Err(_) => Ok(Asker::Anybody),
        }
    }
}

/// Whether the server takes requests, and what its operator should know.
#[utoipa::path(
    get, path = "/readyz", tag = "server", security(()),
    responses(
        (status = 200, body = Ready),
        (status = 503, description = "The server is stopping, or its store cannot be reached or relied on", body = Ready),
    ),
)]
pub(crate) async fn ready(State(app): State<App>, asker: Asker) -> (StatusCode, Json<Ready>) {
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
        warnings: warnings(&app.options.warnings, &asker).into_iter().chain(trouble).collect(),
        store: app.options.store.to_owned(),
        durability: app.options.durability.clone(),
    };
    (status, Json(ready))
}

/// The warnings, which name servers and streams, or how many there are.
fn warnings(all: &[String], asker: &Asker) -> Vec<String> {
    match (asker, all.len()) {
        (Asker::Admin, _) => all.to_vec(),
        (Asker::Anybody, 0) => Vec::new(),
        (Asker::Anybody, 1) => vec!["1 warning, shown to admin keys".to_owned()],
        (Asker::Anybody, count) => vec![format!("{count} warnings, shown to admin keys")],
    }
}
