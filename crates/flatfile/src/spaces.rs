//! Spaces.

use axum::{Extension, Json, extract::State, http::StatusCode};
use claviger_api::Instant;
use claviger_core::{Caller, EnvironmentName, Scope, SpaceName};
use claviger_engine::{
    Error, derive_id,
    spaces::{NewSpace, Space, UpdateSpace},
};
use serde_json::{Map, Value, json};

use crate::{
    actor::{Holder, is_reserved},
    app::App,
    body,
    environments::{Listed, Named},
    id,
    metadata::Metadata,
    query::Query,
    refusal::Refusal,
    router::Id,
};

/// Members that are not a client's to set.
const NOT_SETTABLE: [&str; 6] = ["id", "name", "environmentId", "createdAt", "updatedAt", "createdByUserId"];
/// Names tried for a new space, should others be faster.
const NAMES_TRIED: usize = 10;
/// How often a change is tried, should others be faster.
pub(crate) const ATTEMPTS: usize = 100;
const NAME: &str = "name";

pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Json<Listed>, Refusal> {
    let environments = match query.text("environmentId") {
        Some(id) => vec![app.environment(&caller, id).await?],
        None => app.environments(&caller).await?,
    };
    let archived = query.flag("archived")?;
    let mut shown = Vec::new();
    for place in environments {
        let spaces = app.spaces_of(&caller, &place.environment.name).await?;
        shown.extend(spaces.iter().filter(|space| !is_reserved(&space.name)).map(show));
    }
    shown.retain(|space| fits(space, &query) && archived.is_none_or(|wanted| is_archived(space) == wanted));
    sort(&mut shown, &query);
    let (data, pagination) = query.paging()?.cut(shown);
    Ok(Json(Listed { data, pagination }))
}

pub(crate) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body::Json(Named { name, others }): body::Json<Named>,
) -> Result<Json<Value>, Refusal> {
    if name.is_empty() {
        return Err(Refusal::invalid(NAME, "is empty"));
    }
    let environment = match others.get("environmentId").and_then(Value::as_str) {
        Some(id) => app.environment(&caller, id).await?.environment.name,
        None => first_environment(&app, &caller).await?,
    };
    let mut metadata = Metadata::default();
    metadata.change(others, &NOT_SETTABLE);
    let is_free = |own: &SpaceName| !app.engine.access().has_space(&environment, own);
    for own_name in own_names(&name).filter(is_free).take(NAMES_TRIED) {
        rename(&mut metadata, &name, &own_name);
        let new = NewSpace { name: own_name, metadata: metadata.write() };
        match app.engine.spaces().create(&caller, &environment, new).await {
            Ok(space) => return Ok(Json(json!({ "data": show(&space) }))),
            Err(Error::SpaceExists) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Refusal::from(Error::SpaceExists).about(NAME))
}

pub(crate) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!({ "data": show(&found(&app, &caller, &id).await?) })))
}

pub(crate) async fn update(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    body::Json(sent): body::Json<Map<String, Value>>,
) -> Result<Json<Value>, Refusal> {
    for _ in 0..ATTEMPTS {
        let space = found(&app, &caller, &id).await?;
        let mut metadata = Metadata::read(&space.metadata);
        if let Some(name) = sent.get(NAME).and_then(Value::as_str).filter(|name| !name.is_empty()) {
            rename(&mut metadata, name, &space.name);
        }
        metadata.change(sent.clone(), &NOT_SETTABLE);
        let change = UpdateSpace { metadata: metadata.write(), expected: Some(space.revision) };
        match app.engine.spaces().update(&caller, &space.environment, &space.name, change).await {
            // What somebody else has just said of it stays.
            Err(Error::RevisionConflict { .. }) => {}
            outcome => return Ok(Json(json!({ "data": show(&outcome?) }))),
        }
    }
    Err(Refusal::of_status(StatusCode::CONFLICT, "others change the space all the time"))
}

/// Deletes a space, with what actors have in it.
pub(crate) async fn delete(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Json<Value>, Refusal> {
    let space = found(&app, &caller, &id).await?;
    let environment = &space.environment;
    for other in app.spaces_of(&caller, environment).await? {
        let scope = Scope { environment: environment.clone(), space: Some(other.name.clone()) };
        let holder = Holder::of(&scope);
        if holder.actor.is_some() && holder.space.as_ref() == Some(&space.name) {
            remove(&app, &caller, environment, &other.name).await?;
        }
    }
    remove(&app, &caller, environment, &space.name).await?;
    Ok(Json(json!({ "data": { "success": true } })))
}

/// Deletes a space, if nobody was faster.
pub(crate) async fn remove(
    app: &App,
    caller: &Caller,
    environment: &EnvironmentName,
    name: &SpaceName,
) -> Result<(), Refusal> {
    match app.engine.spaces().delete(caller, environment, name, None).await {
        Ok(_) | Err(Error::SpaceNotFound) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn found(app: &App, caller: &Caller, id: &str) -> Result<Space, Refusal> {
    let scope = app.space(caller, id).await?;
    let name = scope.as_ref().and_then(|scope| scope.space.as_ref()).filter(|name| !is_reserved(name));
    let (Some(scope), Some(name)) = (&scope, name) else {
        return Err(Refusal::unknown("id", "there is no space of that id for this API key"));
    };
    Ok(app.engine.spaces().get(caller, &scope.environment, name).await?)
}

/// The environment of an API key for one, and else the first.
async fn first_environment(app: &App, caller: &Caller) -> Result<EnvironmentName, Refusal> {
    let first = app.environments(caller).await?.into_iter().next();
    first
        .map(|place| place.environment.name)
        .ok_or_else(|| Refusal::invalid("environmentId", "is missing, and there is no environment for this API key"))
}

/// Our names for a space that a client names as it likes, of which several may have the same: the first that is free is
/// taken.
fn own_names(name: &str) -> impl Iterator<Item = SpaceName> {
    let as_it_is: Option<SpaceName> = name.parse().ok().filter(|name| !is_reserved(name));
    let stem = match &as_it_is {
        Some(own) => own.as_str().chars().take(190).collect(),
        None => {
            let digest = derive_id(&[b"flatfile space name", name.as_bytes()]);
            digest.iter().take(6).fold("space-".to_owned(), |stem, byte| format!("{stem}{byte:02x}"))
        }
    };
    let numbered = (2..).filter_map(move |number: u32| format!("{stem} {number}").parse().ok());
    let first = as_it_is.or_else(|| numbered.clone().next());
    first.into_iter().chain(numbered)
}

/// Remembers the name of the protocol, where it is another than ours.
fn rename(metadata: &mut Metadata, name: &str, own: &SpaceName) {
    match name == own.as_str() {
        true => metadata.members.remove(NAME),
        false => metadata.members.insert(NAME.to_owned(), json!(name)),
    };
}

fn show(space: &Space) -> Value {
    let metadata = Metadata::read(&space.metadata);
    let mut shown = Map::from_iter([
        ("guestAuthentication".to_owned(), json!(["shared_link", "magic_link"])),
        (NAME.to_owned(), json!(space.name.as_str())),
    ]);
    shown.extend(metadata.members);
    for (member, value) in [
        ("id", json!(id::of_space(&space.environment, &space.name))),
        ("environmentId", json!(id::of_environment(&space.environment))),
        ("createdAt", json!(Instant(space.created_at.0).to_string())),
        ("updatedAt", json!(Instant(space.updated_at.0).to_string())),
        ("metadata", metadata.shown),
    ] {
        shown.insert(member.to_owned(), value);
    }
    Value::Object(shown)
}

fn fits(space: &Value, query: &Query) -> bool {
    let text = |member: &str| space.get(member).and_then(Value::as_str).unwrap_or_default();
    let is_same = |member: &str| query.text(member).is_none_or(|wanted| text(member) == wanted);
    let has_name = |part: &str| text(NAME).to_lowercase().contains(&part.to_lowercase());
    is_same("namespace") && is_same("appId") && query.text("search").is_none_or(has_name)
}

fn is_archived(space: &Value) -> bool {
    space.get("archivedAt").is_some()
}

/// By name, or by the member that is asked for.
fn sort(spaces: &mut [Value], query: &Query) {
    let member = query.text("sortField").unwrap_or(NAME);
    let key = |space: &Value| space.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    spaces.sort_by_cached_key(key);
    if query.text("sortDirection") == Some("desc") {
        spaces.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_has_one_of_ours_and_so_has_the_same_name_again() {
        let own = |name: &str| own_names(name).take(3).map(|name| name.to_string()).collect::<Vec<_>>();
        assert_eq!(own("Acme: East"), ["Acme: East", "Acme: East 2", "Acme: East 3"]);
        for name in [" padded ", "..", "flatfile:actor:us_usr_1", "a\nb", &"x".repeat(300)] {
            let names = own(name);
            assert!(names[0].starts_with("space-") && names[0] == own(name)[0], "{names:?}");
        }
        assert_eq!(own(&"x".repeat(200))[1], format!("{} 2", "x".repeat(190)));
    }
}
