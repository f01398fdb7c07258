//! Secrets: values go in, metadata comes out.

use axum::{Json, extract::State, response::IntoResponse};
use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use claviger_api::{Consistency, DeletedSecret, Encoding, Secret, SecretList, SecretVersion, SetSecret};
use claviger_core::{Caller, Scope, SecretValue, secret::Action};
use claviger_engine::vault::{self, Short};
use http::{HeaderMap, StatusCode};

use super::{
    revisions::{etag, expected},
    show::{instant, listed_secret, secret, space},
};
use crate::{app::App, body, caller::InScope, failure::Failure, path::SecretInPath, query::Query};

const LIMIT: usize = 100;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The secrets of an environment or a space, by name.
///
/// A space shows what it inherits, and what it blocks, with the `origin` of each.
#[utoipa::path(
    get, path = "/v1/environments/{env}/secrets", tag = "secrets",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many; 100 when left out"),
        ("after" = Option<String>, Query, description = "Go on after this name"),
        ("consistency" = Option<Consistency>, Query, description = "How new the answer has to be"),
    ),
    responses((status = 200, body = SecretList)),
)]
pub(crate) async fn list_secrets(
    State(app): State<App>,
    InScope { caller, scope }: InScope,
    query: Query,
) -> Result<Json<SecretList>, Failure> {
    let query = query.only(&["limit", "after", "consistency"])?;
    make_consistent(&app, &query, &caller, &scope).await?;
    let page = app.engine.vault().list(&caller, &scope, query.text("after")?, query.number("limit", LIMIT)?).await?;
    Ok(Json(SecretList {
        items: page.items.iter().map(|listed| listed_secret(&scope, listed)).collect(),
        next: page.next,
    }))
}

/// Sets a secret: adds a version and makes it active.
///
/// In a space it overrides the environment's, and lifts a block.
#[utoipa::path(
    put, path = "/v1/environments/{env}/secrets/{name}", tag = "secrets",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("name" = String, Path, description = "The secret's name, percent-encoded", example = "STRIPE_KEY"),
        ("If-Match" = Option<String>, Header, description = "Set it only at this revision; `\"0\"`: only if it is not set",
            example = "\"12\""),
    ),
    request_body = SetSecret,
    responses(
        (status = 201, description = "It has a value now and had none before", body = Secret,
            headers(("ETag" = String, description = "The revision"))),
        (status = 200, description = "It has another value now", body = Secret,
            headers(("ETag" = String, description = "The revision"))),
        (status = 409, description = "The revision is another one", content_type = "application/problem+json",
            body = claviger_api::Problem),
    ),
)]
pub(crate) async fn set_secret(
    State(app): State<App>,
    InScope { caller, scope }: InScope,
    SecretInPath(name): SecretInPath,
    headers: HeaderMap,
    body::Json(set): body::Json<SetSecret>,
) -> Result<impl IntoResponse, Failure> {
    let expected = expected(&headers)?;
    let short = if set.allow_short { Short::Accept } else { Short::Refuse };
    let (value, description) = value_of(set)?;
    let set = vault::SetSecret { value, description, short, expected };
    let outcome = app.engine.vault().set(&caller, &scope, &name, set).await?;
    let status = match outcome.action {
        Action::Created => StatusCode::CREATED,
        _ => StatusCode::OK,
    };
    Ok((status, etag(outcome.secret.revision), Json(secret(&outcome.secret))))
}

/// A secret's metadata, with its versions.
///
/// In a space also of one that it inherits or blocks; the `ETag` is there only if the space has a record of its own.
#[utoipa::path(
    get, path = "/v1/environments/{env}/secrets/{name}", tag = "secrets",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("name" = String, Path, description = "The secret's name, percent-encoded", example = "STRIPE_KEY"),
        ("consistency" = Option<Consistency>, Query, description = "How new the answer has to be"),
    ),
    responses((status = 200, body = Secret, headers(("ETag" = String, description = "The revision")))),
)]
pub(crate) async fn get_secret(
    State(app): State<App>,
    InScope { caller, scope }: InScope,
    SecretInPath(name): SecretInPath,
    query: Query,
) -> Result<impl IntoResponse, Failure> {
    let query = query.only(&["consistency"])?;
    make_consistent(&app, &query, &caller, &scope).await?;
    let listed = app.engine.vault().describe(&caller, &scope, &name).await?;
    let known = &listed.secret;
    let versions = known.secret.versions.iter().map(|version| SecretVersion {
        version: version.number,
        created_at: instant(version.created_at),
        created_by: version.created_by.to_string(),
    });
    let shown = Secret { versions: Some(versions.collect()), ..listed_secret(&scope, &listed) };
    let own = (known.secret.scope == scope).then(|| etag(known.revision));
    Ok((own, Json(shown)))
}

/// Stops serving a secret. What it was can be set again; its version numbers go on.
///
/// In a space: what the environment has is visible again.
#[utoipa::path(
    delete, path = "/v1/environments/{env}/secrets/{name}", tag = "secrets",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("name" = String, Path, description = "The secret's name, percent-encoded", example = "STRIPE_KEY"),
        ("If-Match" = Option<String>, Header, description = "Delete it only at this revision", example = "\"12\""),
    ),
    responses((status = 200, body = DeletedSecret)),
)]
pub(crate) async fn delete_secret(
    State(app): State<App>,
    InScope { caller, scope }: InScope,
    SecretInPath(name): SecretInPath,
    headers: HeaderMap,
) -> Result<Json<DeletedSecret>, Failure> {
    let expected = expected(&headers)?;
    let deleted = app.engine.vault().delete(&caller, &scope, &name, expected).await?;
    Ok(Json(DeletedSecret {
        name: name.to_string(),
        environment: scope.environment.to_string(),
        space: space(scope.space.as_ref()),
        version: deleted.secret.latest,
        revision: deleted.revision.0,
    }))
}

/// Sees to it that a read that comes after this is as new as the query asks for.
async fn make_consistent(app: &App, query: &Query, caller: &Caller, scope: &Scope) -> Result<(), Failure> {
    let asked = query.one_of("consistency", Consistency::ALL.map(|known| (known.as_str(), known)))?;
    match asked.unwrap_or_default() {
        Consistency::Default => Ok(()),
        Consistency::Strong => Ok(app.engine.vault().catch_up(caller, scope).await?),
    }
}

/// The value and the description. The text is wiped when this returns.
fn value_of(set: SetSecret) -> Result<(SecretValue, Option<String>), Failure> {
    let value = match set.encoding {
        Encoding::Utf8 => SecretValue::new(std::mem::take(&mut *set.value.into_inner()).into_bytes()),
        Encoding::Base64 => decode(set.value.reveal())?,
    };
    Ok((value, set.description))
}

fn decode(text: &str) -> Result<SecretValue, Failure> {
    let mut bytes = zeroize::Zeroizing::new(vec![0; text.len() / 4 * 3 + 3]);
    let decoded = BASE64.decode_slice(text, &mut bytes);
    // The library's own error quotes a byte of the value.
    let length = decoded.map_err(|_| Failure::invalid("`value` is not base64"))?;
    Ok(SecretValue::take_from(&mut bytes[..length]))
}
