//! Spaces.

use axum::{Json, extract::State, response::IntoResponse};
use claviger_api::{CreateSpace, DeletedSpace, Space, SpaceList, UpdateSpace};
use claviger_core::SpaceName;
use claviger_engine::spaces::{self, NewSpace};
use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;

use super::{
    revisions::{etag, expected},
    show::instant,
};
use crate::{
    app::App,
    body,
    caller::{InEnvironment, InSpace},
    failure::Failure,
    query::Query,
};

const LIMIT: usize = 100;

/// The spaces of an environment, by name.
#[utoipa::path(
    get, path = "/v1/environments/{env}/spaces", tag = "spaces",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many; 100 when left out"),
        ("after" = Option<String>, Query, description = "Go on after this name"),
    ),
    responses((status = 200, body = SpaceList)),
)]
pub(crate) async fn list_spaces(
    State(app): State<App>,
    InEnvironment { caller, environment }: InEnvironment,
    query: Query,
) -> Result<Json<SpaceList>, Failure> {
    let query = query.only(&["limit", "after"])?;
    let (after, limit) = (query.text("after")?, query.number("limit", LIMIT)?);
    let page = app.engine.spaces().list(&caller, &environment, after, limit).await?;
    Ok(Json(SpaceList { items: page.items.into_iter().map(show).collect(), next: page.next }))
}

/// Creates a space. It sees every secret of its environment.
#[utoipa::path(
    post, path = "/v1/environments/{env}/spaces", tag = "spaces",
    params(("env" = String, Path, description = "An environment", example = "default")),
    request_body = CreateSpace,
    responses((status = 201, body = Space, headers(("ETag" = String, description = "The revision")))),
)]
pub(crate) async fn create_space(
    State(app): State<App>,
    InEnvironment { caller, environment }: InEnvironment,
    body::Json(new): body::Json<CreateSpace>,
) -> Result<impl IntoResponse, Failure> {
    let name: SpaceName = new.name.parse()?;
    let new = NewSpace { name, metadata: new.metadata.unwrap_or_else(empty) };
    let space = app.engine.spaces().create(&caller, &environment, new).await?;
    Ok((StatusCode::CREATED, etag(space.revision), Json(show(space))))
}

/// A space, with its metadata.
#[utoipa::path(
    get, path = "/v1/environments/{env}/spaces/{space}", tag = "spaces",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("space" = String, Path, description = "A space of it, percent-encoded", example = "acme"),
    ),
    responses((status = 200, body = Space, headers(("ETag" = String, description = "The revision")))),
)]
pub(crate) async fn get_space(
    State(app): State<App>,
    InSpace { caller, environment, space }: InSpace,
    query: Query,
) -> Result<impl IntoResponse, Failure> {
    query.only(&[])?;
    let space = app.engine.spaces().get(&caller, &environment, &space).await?;
    Ok((etag(space.revision), Json(show(space))))
}

/// Replaces a space's metadata.
#[utoipa::path(
    patch, path = "/v1/environments/{env}/spaces/{space}", tag = "spaces",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("space" = String, Path, description = "A space of it, percent-encoded", example = "acme"),
        ("If-Match" = Option<String>, Header, description = "Replace it only at this revision", example = "\"12\""),
    ),
    request_body = UpdateSpace,
    responses(
        (status = 200, body = Space, headers(("ETag" = String, description = "The revision"))),
        (status = 409, description = "The revision is another one", content_type = "application/problem+json",
            body = claviger_api::Problem),
    ),
)]
pub(crate) async fn update_space(
    State(app): State<App>,
    InSpace { caller, environment, space }: InSpace,
    headers: HeaderMap,
    body::Json(UpdateSpace { metadata }): body::Json<UpdateSpace>,
) -> Result<impl IntoResponse, Failure> {
    let update = spaces::UpdateSpace { metadata, expected: expected(&headers)? };
    let space = app.engine.spaces().update(&caller, &environment, &space, update).await?;
    Ok((etag(space.revision), Json(show(space))))
}

/// Deletes a space, and every secret of its own.
///
/// What a failure left of a space that is deleted already goes too, whatever revision is expected.
#[utoipa::path(
    delete, path = "/v1/environments/{env}/spaces/{space}", tag = "spaces",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("space" = String, Path, description = "A space of it, percent-encoded", example = "acme"),
        ("If-Match" = Option<String>, Header, description = "Delete it only at this revision", example = "\"12\""),
    ),
    responses(
        (status = 200, body = DeletedSpace),
        (status = 409, description = "The revision is another one", content_type = "application/problem+json",
            body = claviger_api::Problem),
    ),
)]
pub(crate) async fn delete_space(
    State(app): State<App>,
    InSpace { caller, environment, space }: InSpace,
    headers: HeaderMap,
) -> Result<Json<DeletedSpace>, Failure> {
    let deleted = app.engine.spaces().delete(&caller, &environment, &space, expected(&headers)?).await?;
    Ok(Json(DeletedSpace {
        name: space.to_string(),
        environment: environment.to_string(),
        deleted_secrets: u64::try_from(deleted.secrets).unwrap_or(u64::MAX),
    }))
}

/// `{}`, which is JSON.
fn empty() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn show(space: spaces::Space) -> Space {
    Space {
        name: space.name.to_string(),
        environment: space.environment.to_string(),
        metadata: space.metadata,
        created_at: instant(space.created_at),
        created_by: space.created_by.to_string(),
        updated_at: instant(space.updated_at),
        updated_by: space.updated_by.to_string(),
        revision: space.revision.0,
    }
}
