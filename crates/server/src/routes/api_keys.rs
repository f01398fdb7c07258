//! API keys.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use claviger_api::{ApiKey, ApiKeyList, CreateApiKey, CreatedApiKey, SecretText};
use claviger_core::{Bounds, Caller, EnvironmentName, FunctionId, Pattern, Reach, Role, SpaceName};
use claviger_engine::access::{ApiKeyMetadata, NewApiKey};
use http::StatusCode;

use super::show::instant;
use crate::{app::App, body, caller::Authenticated, failure::Failure, path::IdInPath, query::Query};

const ALL: &str = "all";

/// The API keys, oldest first: expired and revoked ones too, never their secret parts.
#[utoipa::path(get, path = "/v1/api-keys", tag = "access", responses((status = 200, body = ApiKeyList)))]
pub(crate) async fn list_api_keys(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Result<Json<ApiKeyList>, Failure> {
    query.only(&[])?;
    let keys = app.engine.access().list_api_keys(&caller).await?;
    Ok(Json(ApiKeyList { items: keys.iter().map(show).collect() }))
}

/// Makes an API key. The answer is the only place where it is shown.
#[utoipa::path(
    post, path = "/v1/api-keys", tag = "access",
    request_body = CreateApiKey,
    responses((status = 201, body = CreatedApiKey)),
)]
pub(crate) async fn create_api_key(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    body::Json(new): body::Json<CreateApiKey>,
) -> Result<(StatusCode, Json<CreatedApiKey>), Failure> {
    let new = read(&app, &caller, new).await?;
    let (info, key) = app.engine.access().create_api_key(&caller, new).await?;
    Ok((StatusCode::CREATED, Json(CreatedApiKey { api_key: show(&info), key: SecretText::new(key) })))
}

/// Revokes an API key, at once.
#[utoipa::path(
    delete, path = "/v1/api-keys/{id}", tag = "access",
    params(("id" = String, Path, description = "The API key's id", example = "k7wq2mxa")),
    responses((status = 200, body = ApiKey)),
)]
pub(crate) async fn revoke_api_key(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    IdInPath(id): IdInPath,
) -> Result<Json<ApiKey>, Failure> {
    let info = app.engine.access().revoke_api_key(&caller, &id).await?;
    Ok(Json(show(&info)))
}

async fn read(app: &App, caller: &Caller, new: CreateApiKey) -> Result<NewApiKey, Failure> {
    let role: Role =
        new.role.parse().map_err(|error: claviger_core::UnknownRole| Failure::invalid(error.to_string()))?;
    let functions = new.functions.map(|ids| ids.iter().map(|id| id.parse()).collect::<Result<Vec<FunctionId>, _>>());
    let events: Vec<Pattern> = new.events.iter().map(|pattern| pattern.parse()).collect::<Result<_, _>>()?;
    let spaces = new.spaces.map(|names| names.iter().map(|name| name.parse()).collect::<Result<Vec<SpaceName>, _>>());
    let bounds = Bounds {
        secrets: new.secrets,
        functions: functions.transpose()?,
        spaces: spaces.transpose()?,
        events,
        origins: new.origins,
    };
    let ttl = new.ttl_seconds.map(Duration::from_secs);
    Ok(NewApiKey {
        role,
        environment: environment(app, caller, &new.environment).await?,
        description: new.description,
        bounds,
        ttl,
    })
}

/// `None` for every environment.
async fn environment(app: &App, caller: &Caller, word: &str) -> Result<Option<EnvironmentName>, Failure> {
    if word == ALL {
        return Ok(None);
    }
    Ok(Some(app.engine.access().environment(caller, word).await?))
}

fn show(info: &ApiKeyMetadata) -> ApiKey {
    let bounds: &Arc<Bounds> = &info.bounds;
    ApiKey {
        id: info.id.to_string(),
        role: info.role.to_string(),
        environment: match &info.reach {
            Reach::All => ALL.to_owned(),
            Reach::One(environment) => environment.to_string(),
        },
        description: info.description.clone(),
        secrets: bounds.secrets.clone(),
        functions: bounds.functions.as_ref().map(|ids| ids.iter().map(ToString::to_string).collect()),
        spaces: bounds.spaces.as_ref().map(|names| names.iter().map(ToString::to_string).collect()),
        events: bounds.events.iter().map(ToString::to_string).collect(),
        origins: bounds.origins.clone(),
        created_at: instant(info.created_at),
        created_by: info.created_by.to_string(),
        expires_at: info.expires_at.map(instant),
        revoked_at: info.revoked_at.map(instant),
    }
}
