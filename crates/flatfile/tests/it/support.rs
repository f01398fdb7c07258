//! An engine in memory, and callers with all they need to ask.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use axum::{Router, body::Body, http::Request};
use claviger_core::{Bounds, Caller, Reach, Revision, Role, Timestamp};
use claviger_crypto::MasterKey;
use claviger_engine::{Clock, Engine, Names, Parts, access::system_caller, audit::AuditEntry};
use claviger_store::{Ledger, MemoryIndex, MemoryLedger, MemoryQueue};
use serde_json::{Value, json};
use tower::ServiceExt;

/// A clock that goes on by a second whenever it is looked at.
#[derive(Debug)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1_000, Ordering::SeqCst))
    }
}

/// An engine with the adapter on it.
pub(crate) struct House {
    pub(crate) engine: Arc<Engine>,
    routes: Router,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The data of a good answer.
    pub(crate) fn data(&self) -> &Value {
        assert_eq!(self.status, 200, "{self:?}");
        &self.body["data"]
    }

    /// The status and the key of a refusal, after a look at its form.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        let errors = self.body["errors"].as_array().expect("errors");
        assert_eq!(errors.len(), 1, "{self:?}");
        assert!(errors[0]["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
        (self.status, errors[0]["key"].as_str().unwrap_or_default())
    }
}

impl House {
    pub(crate) async fn open() -> House {
        House::on(Arc::new(MemoryLedger::new()), MasterKey::generate()).await
    }

    /// A server on a store, with its key.
    pub(crate) async fn on(ledger: Arc<dyn Ledger>, master: MasterKey) -> House {
        let parts = Parts {
            ledger,
            queue: Arc::new(MemoryQueue::new()),
            index: Arc::new(MemoryIndex::new()),
            master,
            clock: Arc::new(Ticking(AtomicI64::new(1_700_000_000_000))),
            names: Names::Plain,
        };
        let engine = Arc::new(Engine::open(parts).await.unwrap());
        House { routes: claviger_flatfile::routes(engine.clone()), engine }
    }

    pub(crate) fn as_operator(&self) -> Asking<'_> {
        self.asking(caller(Role::Operator))
    }

    pub(crate) fn as_runtime(&self) -> Asking<'_> {
        self.asking(caller(Role::Runtime))
    }

    pub(crate) fn as_admin(&self) -> Asking<'_> {
        self.asking(Caller { reach: Reach::All, ..caller(Role::Admin) })
    }

    pub(crate) fn asking(&self, caller: Caller) -> Asking<'_> {
        Asking { house: self, caller }
    }

    /// The id of an environment.
    pub(crate) async fn environment(&self, name: &str) -> String {
        let environments = self.as_admin().get("/v1/environments?pageSize=1000").await;
        let found = environments.data().as_array().unwrap().iter().find(|known| known["name"] == name).cloned();
        found.unwrap_or_else(|| panic!("{environments:?}"))["id"].as_str().unwrap().to_owned()
    }

    /// A new environment, and its id.
    pub(crate) async fn new_environment(&self, name: &str) -> String {
        self.engine.access().create_environment(&system_caller(), name).await.unwrap();
        self.environment(name).await
    }

    /// A new space of `default`, and its id.
    pub(crate) async fn space(&self, name: &str) -> String {
        let created = self.as_operator().post("/v1/spaces", json!({ "name": name })).await;
        created.data()["id"].as_str().unwrap().to_owned()
    }

    /// Sets a secret, and answers its row.
    pub(crate) async fn set(&self, name: &str, value: &str, place: Value) -> Value {
        let mut sent = json!({ "name": name, "value": value });
        sent.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
        let set = self.as_admin().post("/v1/secrets", sent).await;
        assert_eq!(set.data().as_array().map(Vec::len), Some(1), "{set:?}");
        set.data()[0].clone()
    }

    /// Names and values, as a runtime key sees them.
    pub(crate) async fn values(&self, query: &str) -> Vec<(String, String)> {
        let listed = self.as_runtime().get(&format!("/v1/secrets?{query}")).await;
        let text = |row: &Value, member: &str| row[member].as_str().unwrap_or("(none)").to_owned();
        listed.data().as_array().unwrap().iter().map(|row| (text(row, "name"), text(row, "value"))).collect()
    }

    /// What the audit has, the oldest first.
    pub(crate) async fn audited(&self) -> Vec<AuditEntry> {
        let environment = "default".parse().unwrap();
        self.engine.audit().list(&system_caller(), &environment, Revision::ZERO, 1_000).await.unwrap().items
    }

    /// The adapter of another server, which has given out no ids yet.
    pub(crate) fn another(&self) -> House {
        House { routes: claviger_flatfile::routes(self.engine.clone()), engine: self.engine.clone() }
    }
}

/// Somebody who asks.
pub(crate) struct Asking<'h> {
    house: &'h House,
    caller: Caller,
}

impl Asking<'_> {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, Body::empty()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Body::from(body.to_string())).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", path, Body::from(body.to_string())).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Body) -> Answer {
        let mut request = Request::builder().method(method).uri(path).body(body).unwrap();
        request.extensions_mut().insert(self.caller.clone());
        let response = self.house.routes.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/json", "{method} {path}");
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, body: serde_json::from_slice(&body).unwrap() }
    }
}

/// A caller of a role in `default`.
pub(crate) fn caller(role: Role) -> Caller {
    let secrets = if role == Role::Runtime { vec!["*".to_owned()] } else { Vec::new() };
    caller_with(role, Bounds { secrets, ..Bounds::default() })
}

pub(crate) fn caller_with(role: Role, bounds: Bounds) -> Caller {
    Caller { id: "abcd1234".into(), role, reach: Reach::One("default".parse().unwrap()), bounds: Arc::new(bounds) }
}
