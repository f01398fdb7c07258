//! The secrets that a scope means, already merged.

use std::collections::BTreeMap;

use axum::{Extension, extract::State, http::StatusCode, response::Response};
use claviger_core::{Caller, EnvironmentName, ErrorKind, Permission, Scope, SecretName};
use claviger_engine::{
    Error,
    vault::{Origin, SecretMetadata},
};

use super::row::{Row, answer};
use crate::{actor::Actor, actor::is_reserved, app::App, places::PORTION, query::Query, refusal::Refusal};

/// What an audit record says of a delivery.
const WHAT: &str = "flatfile";

const TOO_MANY: &str = "the listing names more secrets than one audit record holds; narrow the API key to some names or \
                        spaces, or have a listener of Claviger's own look names up one at a time";

pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response, Refusal> {
    let scopes = scopes(&app, &caller, &query).await?;
    if !caller.role.may(Permission::SecretReceive) {
        let found = visible(&app, &caller, &scopes).await?;
        let rows: Vec<Row<'_>> = found.values().flatten().map(row).collect();
        tracing::info!(role = %caller.role, "secrets were listed without values; a listener needs a runtime key");
        return Ok(answer(&app, &rows));
    }
    let delivered = app.engine.vault().deliver_all(&caller, &scopes, WHAT).await.map_err(refusal)?;
    let rows: Vec<Row<'_>> =
        delivered.iter().map(|(_, value, found)| Row { value: Some(value), ..row(found) }).collect();
    Ok(answer(&app, &rows))
}

/// What is too large is the audit record, which names each secret: the listing has too many of them.
fn refusal(error: Error) -> Refusal {
    match error {
        Error::Store(error) if error.kind() == ErrorKind::TooLarge => {
            tracing::warn!("the audit record of a listing cannot be stored: {error}");
            Refusal::of_status(StatusCode::PAYLOAD_TOO_LARGE, TOO_MANY)
        }
        error => error.into(),
    }
}

fn row(found: &SecretMetadata) -> Row<'_> {
    let secret = &found.secret;
    Row { scope: &secret.scope, name: &secret.name, is_unmaskable: secret.unmaskable, value: None }
}

/// The scopes that a query names, innermost first: an actor's in the space, the actor's, the space, the environment. What is
/// unknown, or of another environment, says nothing.
async fn scopes(app: &App, caller: &Caller, query: &Query) -> Result<Vec<Scope>, Refusal> {
    let space = match query.text("spaceId") {
        Some(id) => app.space(caller, id).await?.filter(|scope| !scope.space.as_ref().is_some_and(is_reserved)),
        None => None,
    };
    let environment = environment(app, caller, query, space.as_ref()).await?;
    let space = space.filter(|scope| scope.environment == environment);
    let mut scopes = Vec::with_capacity(4);
    if let Some(actor) = query.text("actorId").and_then(Actor::parse) {
        let in_space = space.as_ref().and_then(|scope| actor.scope(&environment, scope.space.as_ref()));
        scopes.extend(in_space.into_iter().chain(actor.scope(&environment, None)));
        scopes.retain(|scope| caller.reaches_space(scope.space.as_ref()));
        // Another server may have created one a moment ago, and its secrets come before all others.
        if !scopes.iter().all(|scope| app.is_there(caller, scope)) {
            app.engine.spaces().catch_up().await?;
            app.check_spaces(caller, &environment).await?;
        }
        scopes.retain(|scope| app.is_there(caller, scope));
    }
    scopes.extend(space);
    scopes.push(Scope::environment(environment));
    Ok(scopes)
}

async fn environment(
    app: &App,
    caller: &Caller,
    query: &Query,
    space: Option<&Scope>,
) -> Result<EnvironmentName, Refusal> {
    match (query.text("environmentId"), query.text("spaceId"), space) {
        (Some(id), _, _) => Ok(app.environment(caller, id).await?.environment.name),
        (None, _, Some(space)) => Ok(space.environment.clone()),
        (None, Some(_), None) => Err(Refusal::unknown("spaceId", "there is no space of that id for this API key")),
        (None, None, None) => Err(Refusal::invalid("environmentId", "is needed, or `spaceId`")),
    }
}

/// What is to be seen of each name in these scopes, the innermost first: `None` where it is blocked.
async fn visible(
    app: &App,
    caller: &Caller,
    scopes: &[Scope],
) -> Result<BTreeMap<SecretName, Option<SecretMetadata>>, Refusal> {
    let mut found = BTreeMap::new();
    for scope in scopes {
        let mut after = None;
        loop {
            let page = app.engine.vault().list(caller, scope, after.as_deref(), PORTION).await?;
            // What a space inherits comes with a later scope.
            let own = page.items.into_iter().filter(|item| item.origin != Origin::Inherited);
            for item in own {
                let name = item.secret.secret.name.clone();
                found.entry(name).or_insert((item.origin != Origin::Blocked).then_some(item.secret));
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(found)
}
