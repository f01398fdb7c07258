//! Secrets: values go in, metadata comes out.

use axum::{Json, extract::State, response::IntoResponse};
use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use claviger_api::{Consistency, DeletedSecret, Encoding, Secret, SecretList, SecretVersion, SetSecret};
use claviger_core::{Caller, Revision, Scope, SecretValue, secret::Action};
use claviger_engine::vault::{self, SecretMetadata, Short};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::show::instant;
use crate::{app::App, body, caller::InEnvironment, failure::Failure, path::SecretInPath, query::Query};

const LIMIT: usize = 100;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The secrets of an environment, by name.
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
    InEnvironment { caller, environment }: InEnvironment,
    query: Query,
) -> Result<Json<SecretList>, Failure> {
    let query = query.only(&["limit", "after", "consistency"])?;
    let scope = Scope::environment(environment);
    make_consistent(&app, &query, &caller, &scope).await?;
    let page = app.engine.vault().list(&caller, &scope, query.text("after")?, query.number("limit", LIMIT)?).await?;
    Ok(Json(SecretList { items: page.items.iter().map(show).collect(), next: page.next }))
}

/// Sets a secret: adds a version and makes it active.
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
    InEnvironment { caller, environment }: InEnvironment,
    SecretInPath(name): SecretInPath,
    headers: HeaderMap,
    body::Json(set): body::Json<SetSecret>,
) -> Result<impl IntoResponse, Failure> {
    let expected = expected_revision(&headers)?;
    let short = if set.allow_short { Short::Accept } else { Short::Refuse };
    let (value, description) = value_of(set)?;
    let scope = Scope::environment(environment);
    let set = vault::SetSecret { value, description, short, expected };
    let outcome = app.engine.vault().set(&caller, &scope, &name, set).await?;
    let status = match outcome.action {
        Action::Created => StatusCode::CREATED,
        Action::Updated | Action::Deleted => StatusCode::OK,
    };
    Ok((status, etag(outcome.secret.revision), Json(show(&outcome.secret))))
}

/// A secret's metadata, with its versions.
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
    InEnvironment { caller, environment }: InEnvironment,
    SecretInPath(name): SecretInPath,
    query: Query,
) -> Result<impl IntoResponse, Failure> {
    let (query, scope) = (query.only(&["consistency"])?, Scope::environment(environment));
    make_consistent(&app, &query, &caller, &scope).await?;
    let known = app.engine.vault().describe(&caller, &scope, &name).await?;
    let versions = known.secret.versions.iter().map(|version| SecretVersion {
        version: version.number,
        created_at: instant(version.created_at),
        created_by: version.created_by.to_string(),
    });
    let secret = Secret { versions: Some(versions.collect()), ..show(&known) };
    Ok((etag(known.revision), Json(secret)))
}

/// Stops serving a secret. What it was can be set again; its version numbers go on.
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
    InEnvironment { caller, environment }: InEnvironment,
    SecretInPath(name): SecretInPath,
    headers: HeaderMap,
) -> Result<Json<DeletedSecret>, Failure> {
    let expected = expected_revision(&headers)?;
    let scope = Scope::environment(environment);
    let deleted = app.engine.vault().delete(&caller, &scope, &name, expected).await?;
    Ok(Json(DeletedSecret {
        name: name.to_string(),
        environment: scope.environment.to_string(),
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

/// `If-Match`: a revision, in quotes or not.
fn expected_revision(headers: &HeaderMap) -> Result<Option<Revision>, Failure> {
    let mut given = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && given.next().is_none();
    let revision = is_number.then(|| digits.parse().ok()).flatten();
    let revision = revision.ok_or_else(|| Failure::invalid("`If-Match` has to be one revision, such as `\"12\"`"))?;
    Ok(Some(Revision(revision)))
}

fn etag(revision: Revision) -> [(header::HeaderName, HeaderValue); 1] {
    // Digits in quotes are a header value.
    let tag = HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"0\""));
    [(header::ETAG, tag)]
}

fn show(known: &SecretMetadata) -> Secret {
    let secret = &known.secret;
    Secret {
        name: secret.name.to_string(),
        environment: secret.scope.environment.to_string(),
        space: secret.scope.space.as_ref().map(ToString::to_string),
        version: secret.active.unwrap_or(secret.latest),
        revision: known.revision.0,
        description: secret.description.clone(),
        created_at: instant(secret.created_at),
        updated_at: instant(secret.updated_at),
        updated_by: secret.updated_by.to_string(),
        unmaskable: secret.unmaskable,
        versions: None,
    }
}
