//! Blocks: what a space must not see of its environment. And why a name means what it means.

use axum::{Json, extract::State};
use claviger_api::{Explanation, Origin, Secret, Served, TrailEntry, Verdict};
use claviger_core::{Scope, Verdict as Said};
use claviger_engine::vault;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    revisions::{etag, expected},
    show::{instant, secret, space},
};
use crate::{app::App, caller::InScope, failure::Failure, path::SecretInPath, query::Query};

/// Blocks a name: the space does not see the environment's value, and its own is no longer served.
#[utoipa::path(
    put, path = "/v1/environments/{env}/spaces/{space}/secrets/{name}/block", tag = "spaces",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("space" = String, Path, description = "A space of it, percent-encoded", example = "acme"),
        ("name" = String, Path, description = "The secret's name, percent-encoded", example = "SLACK_TOKEN"),
        ("If-Match" = Option<String>, Header, description = "Block it only at this revision of the space's own",
            example = "\"12\""),
    ),
    responses((status = 200, body = Secret, headers(("ETag" = String, description = "The revision")))),
)]
pub(crate) async fn block_secret(
    State(app): State<App>,
    InScope { caller, scope }: InScope,
    SecretInPath(name): SecretInPath,
    headers: HeaderMap,
) -> Result<([(HeaderName, HeaderValue); 1], Json<Secret>), Failure> {
    let blocked = app.engine.vault().block(&caller, &scope, &name, expected(&headers)?).await?;
    let shown = Secret { origin: Some(Origin::Blocked), ..secret(&blocked) };
    Ok((etag(blocked.revision), Json(shown)))
}

/// Lifts a block: the space sees the environment's value again.
///
/// What the space had of its own before the block is not served again.
#[utoipa::path(
    delete, path = "/v1/environments/{env}/spaces/{space}/secrets/{name}/block", tag = "spaces",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("space" = String, Path, description = "A space of it, percent-encoded", example = "acme"),
        ("name" = String, Path, description = "The secret's name, percent-encoded", example = "SLACK_TOKEN"),
        ("If-Match" = Option<String>, Header, description = "Lift it only at this revision of the space's own",
            example = "\"12\""),
    ),
    responses((status = 200, body = Secret)),
)]
pub(crate) async fn unblock_secret(
    State(app): State<App>,
    InScope { caller, scope }: InScope,
    SecretInPath(name): SecretInPath,
    headers: HeaderMap,
) -> Result<Json<Secret>, Failure> {
    let unblocked = app.engine.vault().unblock(&caller, &scope, &name, expected(&headers)?).await?;
    Ok(Json(secret(&unblocked)))
}

/// Why a name means what it means here: which scopes were tried, and which of them decided.
#[utoipa::path(
    get, path = "/v1/environments/{env}/secrets/{name}/explanation", tag = "secrets",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("name" = String, Path, description = "The secret's name, percent-encoded", example = "SLACK_TOKEN"),
    ),
    responses((status = 200, body = Explanation)),
)]
pub(crate) async fn explain_secret(
    State(app): State<App>,
    InScope { caller, scope }: InScope,
    SecretInPath(name): SecretInPath,
    query: Query,
) -> Result<Json<Explanation>, Failure> {
    query.only(&[])?;
    let explained = app.engine.vault().explain(&caller, &scope, &name).await?;
    let served = |(scope, version): (Scope, u64)| Served { space: space(scope.space.as_ref()), version };
    Ok(Json(Explanation {
        name: name.to_string(),
        environment: scope.environment.to_string(),
        space: space(scope.space.as_ref()),
        found: explained.found.map(served),
        trail: explained.trail.iter().map(entry).collect(),
    }))
}

fn entry(tried: &vault::TrailEntry) -> TrailEntry {
    let (verdict, version) = match tried.verdict {
        Said::Value(version) => (Verdict::Value, Some(version)),
        Said::Blocked => (Verdict::Blocked, None),
        Said::Missing => (Verdict::Missing, None),
    };
    TrailEntry {
        space: space(tried.scope.space.as_ref()),
        verdict,
        version,
        since: tried.since.map(instant),
        by: tried.by.as_ref().map(ToString::to_string),
        revision: tried.revision.map(|revision| revision.0),
    }
}
