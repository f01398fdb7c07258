//! Environments.

use axum::{Extension, Json, extract::State, http::StatusCode};
use claviger_core::{Caller, EnvironmentName, NameError, Permission, Scope};
use claviger_engine::{
    Error,
    spaces::{NewSpace, UpdateSpace},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    actor::environment_space,
    app::App,
    body, id,
    metadata::Metadata,
    places::{DELETED, Kept, PORTION, Place},
    query::{Pagination, Query},
    refusal::Refusal,
    router::Id,
    spaces::{ATTEMPTS, remove},
};

/// Members that are not a client's to set.
const NOT_SETTABLE: [&str; 4] = ["id", "accountId", "name", DELETED];

/// A list with its pages.
#[derive(Serialize)]
pub(crate) struct Listed {
    pub(crate) data: Vec<Value>,
    pub(crate) pagination: Pagination,
}

/// A named thing to be created, with whatever else a client says of it.
#[derive(Deserialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) others: Map<String, Value>,
}

pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Json<Listed>, Refusal> {
    let (places, pagination) = query.paging()?.cut(app.environments(&caller).await?);
    Ok(Json(Listed { data: places.iter().map(show).collect(), pagination }))
}

pub(crate) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body::Json(Named { name, others }): body::Json<Named>,
) -> Result<Json<Value>, Refusal> {
    let own_name = environment_name(&name)?;
    let environment = match app.engine.access().create_environment(&caller, own_name.as_str()).await {
        Ok(environment) => environment,
        Err(Error::EnvironmentExists) => deleted(&app, &caller, &own_name).await?,
        Err(error) => return Err(Refusal::from(error).about("name")),
    };
    let mut metadata = Metadata::default();
    metadata.change(others, &NOT_SETTABLE);
    rename(&mut metadata, &name, &environment.name);
    let metadata = keep(&app, &caller, &environment.name, |_| metadata.clone()).await?;
    Ok(Json(json!({ "data": show(&Place { environment, metadata }) })))
}

pub(crate) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!({ "data": show(&app.environment(&caller, &id).await?) })))
}

pub(crate) async fn update(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    body::Json(sent): body::Json<Map<String, Value>>,
) -> Result<Json<Value>, Refusal> {
    let environment = app.environment(&caller, &id).await?.environment;
    let change = |mut metadata: Metadata| {
        if let Some(name) = sent.get("name").and_then(Value::as_str) {
            rename(&mut metadata, name, &environment.name);
        }
        metadata.change(sent.clone(), &NOT_SETTABLE);
        metadata
    };
    let metadata = keep(&app, &caller, &environment.name, change).await?;
    Ok(Json(json!({ "data": show(&Place { environment, metadata }) })))
}

/// Empties an environment and hides it: we have none that can be deleted.
pub(crate) async fn delete(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Json<Value>, Refusal> {
    let name = app.environment(&caller, &id).await?.environment.name;
    // Who cannot create one should not be able to take one away.
    app.engine.access().authorize(&caller, Permission::EnvironmentCreate, &name).await?;
    for space in app.spaces_of(&caller, &name).await? {
        remove(&app, &caller, &name, &space.name).await?;
    }
    empty(&app, &caller, &Scope::environment(name.clone())).await?;
    let mut metadata = Metadata::default();
    metadata.members.insert(DELETED.to_owned(), json!(true));
    keep(&app, &caller, &name, |_| metadata.clone()).await?;
    Ok(Json(json!({ "data": { "success": true } })))
}

async fn empty(app: &App, caller: &Caller, scope: &Scope) -> Result<(), Refusal> {
    let mut after = None;
    loop {
        let page = app.engine.vault().list(caller, scope, after.as_deref(), PORTION).await?;
        for item in page.items {
            match app.engine.vault().delete(caller, scope, &item.secret.secret.name, None).await {
                Ok(_) | Err(Error::SecretNotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// An environment that was deleted over the protocol, and so can be created again.
async fn deleted(
    app: &App,
    caller: &Caller,
    name: &EnvironmentName,
) -> Result<claviger_engine::access::Environment, Refusal> {
    let all = app.engine.access().list_environments(caller).await?;
    let found = all.into_iter().find(|environment| environment.name == *name);
    let (metadata, _) = app.environment_metadata(caller, name).await?;
    let is_deleted = metadata.members.contains_key(DELETED);
    found.filter(|_| is_deleted).ok_or_else(|| Refusal::from(Error::EnvironmentExists).about("name"))
}

/// Remembers the name of the protocol, where it is another than ours.
fn rename(metadata: &mut Metadata, name: &str, own: &EnvironmentName) {
    match name == own.as_str() {
        true => metadata.members.remove("name"),
        false => metadata.members.insert("name".to_owned(), json!(name)),
    };
}

/// Changes what is kept of an environment, and answers what that is then. What somebody else has just said of it is changed
/// too, and not lost.
async fn keep(
    app: &App,
    caller: &Caller,
    environment: &EnvironmentName,
    change: impl Fn(Metadata) -> Metadata,
) -> Result<Metadata, Refusal> {
    app.engine.access().authorize(caller, Permission::SpaceWrite, environment).await?;
    for _ in 0..ATTEMPTS {
        let (present, revision) = app.environment_metadata(caller, environment).await?;
        let changed = change(present);
        match store(app, caller, environment, &(changed.clone(), revision)).await {
            Err(Error::RevisionConflict { .. } | Error::SpaceExists | Error::SpaceNotFound) => {}
            outcome => return Ok(outcome.map(|()| changed)?),
        }
    }
    Err(Refusal::of_status(StatusCode::CONFLICT, "others change the environment all the time"))
}

/// Stores what is to be kept of an environment, in the place of what has this revision.
async fn store(
    app: &App,
    caller: &Caller,
    environment: &EnvironmentName,
    (metadata, revision): &Kept,
) -> Result<(), Error> {
    let (spaces, name, text) = (app.engine.spaces(), environment_space(), metadata.write());
    match revision {
        Some(revision) => {
            let change = UpdateSpace { metadata: text, expected: Some(*revision) };
            spaces.update(caller, environment, &name, change).await.map(drop)
        }
        // Nothing to be said is not written down.
        None if *metadata == Metadata::default() => Ok(()),
        None => spaces.create(caller, environment, NewSpace { name, metadata: text }).await.map(drop),
    }
}

/// Our name for an environment that a client names as it likes.
fn environment_name(name: &str) -> Result<EnvironmentName, Refusal> {
    let as_ours = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text: String = name.chars().map(as_ours).collect();
    let text = text.trim_matches('-');
    text.parse().map_err(|error: NameError| Refusal::from(error).about("name"))
}

fn show(place: &Place) -> Value {
    let own = place.environment.name.as_str();
    let mut shown = Map::from_iter([
        ("isProd".to_owned(), json!(matches!(own, "prod" | "production"))),
        ("guestAuthentication".to_owned(), json!(["shared_link", "magic_link"])),
        ("features".to_owned(), json!({})),
        ("name".to_owned(), json!(own)),
    ]);
    shown.extend(place.metadata.members.clone());
    shown.insert("id".to_owned(), json!(id::of_environment(&place.environment.name)));
    shown.insert("accountId".to_owned(), json!(id::ACCOUNT));
    let metadata = if place.metadata.shown.is_null() { json!({}) } else { place.metadata.shown.clone() };
    shown.insert("metadata".to_owned(), metadata);
    Value::Object(shown)
}
