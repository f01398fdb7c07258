//! Environments.

use axum::{Json, extract::State};
use claviger_api::{CreateEnvironment, Environment, EnvironmentList};
use claviger_engine::access;
use http::StatusCode;

use super::show::instant;
use crate::{app::App, body, caller::Authenticated, failure::Failure, query::Query};

/// The environments that the caller reaches.
#[utoipa::path(
    get, path = "/v1/environments", tag = "access",
    responses((status = 200, body = EnvironmentList)),
)]
pub(crate) async fn list_environments(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Result<Json<EnvironmentList>, Failure> {
    query.only(&[])?;
    let environments = app.engine.access().list_environments(&caller).await?;
    Ok(Json(EnvironmentList { items: environments.into_iter().map(show).collect() }))
}

/// Creates an environment, with keys of its own.
#[utoipa::path(
    post, path = "/v1/environments", tag = "access",
    request_body = CreateEnvironment,
    responses((status = 201, body = Environment)),
)]
pub(crate) async fn create_environment(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    body::Json(new): body::Json<CreateEnvironment>,
) -> Result<(StatusCode, Json<Environment>), Failure> {
    let environment = app.engine.access().create_environment(&caller, &new.name).await?;
    Ok((StatusCode::CREATED, Json(show(environment))))
}

fn show(environment: access::Environment) -> Environment {
    Environment { name: environment.name.to_string(), created_at: instant(environment.created_at) }
}
