//! Setting and deleting secrets.

use axum::{Extension, extract::State, response::Response};
use claviger_api::SecretText;
use claviger_core::{Caller, NameError, Scope, SecretName, SecretValue, secret::Action};
use claviger_engine::{
    Error,
    spaces::NewSpace,
    vault::{SetSecret, Short},
};
use serde::Deserialize;

use super::row::{Row, answer};
use crate::{
    actor::{Actor, is_reserved},
    app::App,
    body,
    events::announce,
    metadata::Metadata,
    refusal::Refusal,
    router::Id,
};

/// Most characters of a name and of a value.
const MAX_CHARACTERS: usize = 1_024;

/// What a client sends. Members that are `null` are as good as absent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Upsert {
    name: String,
    #[serde(deserialize_with = "claviger_api::read_secret_text")]
    value: SecretText,
    environment_id: Option<String>,
    space_id: Option<String>,
    actor_id: Option<String>,
}

pub(crate) async fn upsert(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body::Json(sent): body::Json<Upsert>,
) -> Result<Response, Refusal> {
    let name = name(&sent.name)?;
    check_length("value", sent.value.reveal())?;
    let scope = scope(&app, &caller, &sent).await?;
    let value = SecretValue::new(std::mem::take(&mut *sent.value.into_inner()).into_bytes());
    // The clients know no flag for it.
    let set = SetSecret { value, description: None, short: Short::Accept, expected: None };
    let outcome = app.engine.vault().set(&caller, &scope, &name, set).await?;
    let is_unmaskable = outcome.secret.secret.unmaskable;
    if is_unmaskable {
        tracing::warn!(
            "a secret was set over the Flatfile protocol that is too short to be masked in logs and results"
        );
    }
    let topic = if outcome.action == Action::Created { "secret:created" } else { "secret:updated" };
    let row = Row { scope: &scope, name: &name, is_unmaskable, value: None };
    announce(&app, &caller, &scope, (topic, row.payload(&app))).await;
    Ok(answer(&app, &[row]))
}

/// Answers with the row that is gone.
pub(crate) async fn delete(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Refusal> {
    let unknown = || Refusal::unknown("id", "there is no secret of that id for this API key");
    let (scope, name) = app.secret(&caller, &id).await?.ok_or_else(unknown)?;
    let deleted = match app.engine.vault().delete(&caller, &scope, &name, None).await {
        Err(Error::SecretNotFound) => return Err(unknown()),
        outcome => outcome?,
    };
    let is_unmaskable = deleted.secret.unmaskable;
    let row = Row { scope: &scope, name: &name, is_unmaskable, value: None };
    announce(&app, &caller, &scope, ("secret:deleted", row.payload(&app))).await;
    Ok(answer(&app, &[row]))
}

/// Where the secret belongs.
async fn scope(app: &App, caller: &Caller, sent: &Upsert) -> Result<Scope, Refusal> {
    let given = |member: &Option<String>| member.as_deref().filter(|id| !id.is_empty()).map(str::to_owned);
    let space = match given(&sent.space_id) {
        Some(id) => {
            let scope = app.space(caller, &id).await?;
            let scope = scope.filter(|scope| !scope.space.as_ref().is_some_and(is_reserved));
            let unknown = || Refusal::unknown("spaceId", "there is no space of that id for this API key");
            Some(scope.ok_or_else(unknown)?)
        }
        None => None,
    };
    let scope = match (given(&sent.environment_id), space) {
        (None, None) => return Err(Refusal::invalid("environmentId", "is needed, or `spaceId`")),
        (None, Some(scope)) => scope,
        (Some(id), space) => {
            let environment = app.environment(caller, &id).await?.environment.name;
            match space {
                Some(scope) if scope.environment != environment => {
                    return Err(Refusal::invalid("spaceId", "is a space of another environment"));
                }
                space => space.unwrap_or(Scope::environment(environment)),
            }
        }
    };
    match given(&sent.actor_id) {
        Some(id) => of_actor(app, caller, scope, &id).await,
        None => Ok(scope),
    }
}

/// The space with an actor's own secrets, which is created with the first of them.
async fn of_actor(app: &App, caller: &Caller, scope: Scope, id: &str) -> Result<Scope, Refusal> {
    let actor = Actor::parse(id).ok_or_else(|| Refusal::invalid("actorId", "is no user, agent or guest"))?;
    let own = actor.scope(&scope.environment, scope.space.as_ref());
    let own = own.ok_or_else(|| Refusal::invalid("actorId", "cannot have secrets in a space with so long a name"))?;
    if let Some(name) = own.space.clone().filter(|name| !app.engine.access().has_space(&own.environment, name)) {
        let new = NewSpace { name, metadata: Metadata::default().write() };
        match app.engine.spaces().create(caller, &own.environment, new).await {
            Ok(_) | Err(Error::SpaceExists) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(own)
}

fn name(text: &str) -> Result<SecretName, Refusal> {
    check_length("name", text)?;
    text.parse().map_err(|error: NameError| Refusal::from(error).about("name"))
}

/// An empty value would be one that a listener does not find.
fn check_length(key: &'static str, text: &str) -> Result<(), Refusal> {
    match text.chars().take(MAX_CHARACTERS + 1).count() {
        0 => Err(Refusal::invalid(key, "is empty")),
        length if length > MAX_CHARACTERS => {
            Err(Refusal::invalid(key, format!("has more than {MAX_CHARACTERS} characters")))
        }
        _ => Ok(()),
    }
}
