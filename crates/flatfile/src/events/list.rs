//! Events, the newest first.

use std::{collections::HashMap, sync::Arc};

use axum::{Extension, Json, extract::State};
use claviger_api::Instant;
use claviger_core::{Caller, EnvironmentName};
use claviger_engine::events::{Before, Event};
use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error},
};
use serde_json::{Value, json};

use super::{
    acknowledgment::Acknowledgment,
    environment,
    view::{Seen, Shower},
};
use crate::{app::App, query::Query, refusal::Refusal, router::Id};

/// Events read at first: most ask for the newest only.
const FIRST_PORTION: usize = 50;
/// Events read at once at most, each portion being twice as large as the one before.
const LARGEST_PORTION: usize = 1_000;
/// Portions read for one request: the newest 10,000 events can be found.
const PORTIONS: usize = 14;
/// How far, in milliseconds, servers' clocks may be apart: an event may be behind one with an earlier time.
const CLOCKS_APART: i64 = 60_000;

/// Which events are asked for.
struct Wanted<'a> {
    since: Option<i64>,
    topic: Option<&'a str>,
    domain: Option<&'a str>,
    space_id: Option<&'a str>,
}

impl Wanted<'_> {
    fn read(query: &Query) -> Result<Wanted<'_>, Refusal> {
        let since = query.text("since").map(milliseconds).transpose()?;
        let (topic, domain) = (query.text("topic"), query.text("domain"));
        Ok(Wanted { since, topic, domain, space_id: query.text("spaceId") })
    }

    /// Whether no event from here on can be new enough.
    fn ends_at(&self, event: &Event) -> bool {
        self.since.is_some_and(|since| event.at.0 < since.saturating_sub(CLOCKS_APART))
    }

    fn fits(&self, event: &Event) -> bool {
        if self.topic.is_some_and(|topic| event.name.as_str() != topic) || self.since.is_some_and(|at| event.at.0 < at)
        {
            return false;
        }
        if self.domain.is_none() && self.space_id.is_none() {
            return true;
        }
        let members = Seen::of(event).members();
        let is =
            |value: Option<&Value>, wanted: Option<&str>| wanted.is_none() || value.and_then(Value::as_str) == wanted;
        is(members.get("domain"), self.domain) && is(members["context"].get("spaceId"), self.space_id)
    }
}

/// An ISO 8601 instant, of which what is finer than a millisecond is cut off.
fn milliseconds(text: &str) -> Result<i64, Refusal> {
    let at: Result<Instant, Error> = Instant::deserialize(text.into_deserializer());
    at.map(|at| at.0).map_err(|_| Refusal::invalid("since", "is not an instant such as `2026-01-02T03:04:05.678Z`"))
}

pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Json<Value>, Refusal> {
    let (wanted, paging) = (Wanted::read(&query)?, query.paging()?);
    let includes_acknowledged = query.flag("includeAcknowledged")?.unwrap_or(false);
    let space = match wanted.space_id {
        Some(id) => app.space(&caller, id).await?,
        None => None,
    };
    let environment = environment(&app, &caller, query.text("environmentId"), space.as_ref()).await?;
    let mut walk = Walk::new(&app, &caller, &environment);
    let (mut shower, mut shown, mut skipped) = (Shower::new(&app, &caller), Vec::new(), 0);
    while let Some(event) = walk.next().await?.filter(|event| !wanted.ends_at(event)) {
        let acknowledgment = walk.acknowledgment(&event);
        if !wanted.fits(&event) || (acknowledgment.is_some() && !includes_acknowledged) {
            continue;
        }
        if skipped < paging.skipped() {
            skipped += 1;
            continue;
        }
        shown.push(shower.show(&Seen::of(&event), acknowledgment).await);
        if shown.len() == paging.size() {
            break;
        }
    }
    Ok(Json(json!({ "data": shown })))
}

pub(crate) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Json<Value>, Refusal> {
    let event = find(&app, &caller, &id).await?;
    let mut walk = Walk::new(&app, &caller, &event.environment);
    while walk.next().await?.is_some_and(|later| later.revision > event.revision) {}
    let shown = Shower::new(&app, &caller).show(&Seen::of(&event), walk.acknowledgment(&event)).await;
    Ok(Json(json!({ "data": shown })))
}

/// The event of an id.
pub(super) async fn find(app: &App, caller: &Caller, id: &str) -> Result<Arc<Event>, Refusal> {
    let unknown = || Refusal::unknown("id", "there is no event of that id for this API key");
    let revision = crate::id::revision_of_event(id).ok_or_else(unknown)?;
    for place in app.environments(caller).await? {
        let environment = place.environment.name;
        let before = Some(revision.next());
        let found = app.engine.events().recent(caller, &environment, before, 1).await?;
        if let Some(event) = found.events.into_iter().find(|event| Seen::of(event).id() == id) {
            return Ok(event);
        }
    }
    Err(unknown())
}

/// Goes through the events of an environment, the newest first, and notes the acknowledgments among them: each comes
/// before what it acknowledges.
struct Walk<'a> {
    app: &'a App,
    caller: &'a Caller,
    environment: &'a EnvironmentName,
    portion: std::vec::IntoIter<Arc<Event>>,
    /// Where the next portion begins; `None` when there is none.
    next: Option<Before>,
    portions: usize,
    acknowledged: HashMap<String, Acknowledgment>,
}

impl<'a> Walk<'a> {
    fn new(app: &'a App, caller: &'a Caller, environment: &'a EnvironmentName) -> Walk<'a> {
        Walk {
            app,
            caller,
            environment,
            portion: Vec::new().into_iter(),
            next: Some(None),
            portions: 0,
            acknowledged: HashMap::new(),
        }
    }

    async fn next(&mut self) -> Result<Option<Arc<Event>>, Refusal> {
        loop {
            for event in self.portion.by_ref() {
                match Acknowledgment::of(&event) {
                    Some(known) => drop(self.acknowledged.insert(known.event.clone(), known)),
                    None => return Ok(Some(event)),
                }
            }
            let Some(before) = self.next.take().filter(|_| self.portions < PORTIONS) else { return Ok(None) };
            let limit = (FIRST_PORTION << self.portions).min(LARGEST_PORTION);
            self.portions += 1;
            let recent = self.app.engine.events().recent(self.caller, self.environment, before, limit).await?;
            self.portion = recent.events.into_iter();
            self.next = recent.next.map(Some);
        }
    }

    fn acknowledgment(&self, event: &Event) -> Option<&Acknowledgment> {
        self.acknowledged.get(&Seen::of(event).id())
    }
}
