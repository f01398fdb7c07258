//! Events on their way in.

use axum::{Extension, Json, extract::State};
use claviger_core::{Caller, EventName, NameError, Scope};
use claviger_engine::events::NewEvent;
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    environment,
    view::{Seen, Shower, domain_of},
};
use crate::{actor::is_reserved, app::App, body, id, refusal::Refusal};

/// Members that are the server's to say.
const OF_SERVER: [&str; 5] = ["id", "createdAt", "deletedAt", "acknowledgedAt", "acknowledgedBy"];

pub(crate) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body::Json(mut sent): body::Json<Map<String, Value>>,
) -> Result<Json<Value>, Refusal> {
    sent.retain(|member, value| !value.is_null() && !OF_SERVER.contains(&member.as_str()));
    let topic = sent.get("topic").and_then(Value::as_str).ok_or_else(|| Refusal::invalid("topic", "is missing"))?;
    let name: EventName = topic.parse().map_err(|error: NameError| Refusal::from(error).about("topic"))?;
    let mut context = match sent.remove("context") {
        None => Map::new(),
        Some(Value::Object(context)) => context,
        Some(_) => return Err(Refusal::invalid("context", "is no object")),
    };
    let place = place(&app, &caller, &context).await?;
    context.entry("actorId").or_insert_with(|| json!(id::of_caller(&caller)));
    sent.insert("context".to_owned(), Value::Object(context));
    let data = raw(&sent);
    let new = NewEvent { id: None, name, data: data.get().as_bytes().to_vec(), space: place.space.clone() };
    let emitted = app.engine.events().emit(&caller, &place.environment, new).await?;
    let seen = Seen::emitted(&emitted, place.space.as_ref(), &data);
    Ok(Json(json!({ "data": Shower::new(&app, &caller).show(&seen, None).await })))
}

/// Where an event belongs. A space that is unknown, gone or of another environment is only spoken of.
async fn place(app: &App, caller: &Caller, context: &Map<String, Value>) -> Result<Scope, Refusal> {
    let text = |member: &str| context.get(member).and_then(Value::as_str).filter(|id| !id.is_empty());
    let space = match text("spaceId") {
        Some(id) => app.space(caller, id).await?,
        None => None,
    };
    let environment = environment(app, caller, text("environmentId"), space.as_ref()).await?;
    let space = space.filter(|scope| scope.environment == environment).and_then(|scope| scope.space);
    Ok(Scope { environment, space: space.filter(|name| !is_reserved(name)) })
}

/// Tells listeners of a change that was made over the protocol. The change itself is on record already, with an event of
/// its own (`system.…`), so that nothing is lost when this fails.
pub(crate) async fn announce(app: &App, caller: &Caller, scope: &Scope, (topic, payload): (&str, Value)) {
    let context = json!({ "environmentId": id::of_environment(&scope.environment), "actorId": id::of_caller(caller) });
    let members = json!({ "topic": topic, "domain": domain_of(topic), "payload": payload, "context": context });
    let Ok(name) = topic.parse::<EventName>() else { return };
    let data = members.to_string().into_bytes();
    let space = scope.space.clone().filter(|name| !is_reserved(name));
    let new = NewEvent { id: None, name, data, space };
    if let Err(error) = app.engine.events().emit(caller, &scope.environment, new).await {
        tracing::warn!(topic, %error, "Flatfile listeners are not told of a change");
    }
}

fn raw(members: &Map<String, Value>) -> Box<RawValue> {
    // A map with text keys: encoding it cannot fail.
    serde_json::value::to_raw_value(members).unwrap_or_default()
}
