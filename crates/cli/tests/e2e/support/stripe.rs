//! A server that plays Stripe and remembers what it was asked.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::json;
use tokio::sync::watch;

use super::{
    http_server::{HttpServer, Request, Response},
    within,
};

/// What one request gets.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A charge, the same one for the same idempotency key. This is what a request gets that nothing was scripted for.
    Charge,
    /// An error.
    Status(u16),
    /// A charge, but not before `release`.
    Hold,
}

/// The server. Answers are given in the order in which requests arrive.
#[derive(Debug)]
pub(crate) struct FakeStripe {
    server: HttpServer,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    requests: watch::Sender<Vec<Request>>,
    script: Mutex<VecDeque<Answer>>,
    charges: Mutex<HashMap<String, usize>>,
    released: watch::Sender<bool>,
}

impl FakeStripe {
    pub(crate) async fn start() -> FakeStripe {
        let shared = Arc::new(Shared {
            requests: watch::Sender::default(),
            script: Mutex::default(),
            charges: Mutex::default(),
            released: watch::Sender::new(false),
        });
        let handler = shared.clone();
        let server = HttpServer::start(move |request| {
            let shared = handler.clone();
            async move { shared.answer(request).await }
        });
        FakeStripe { server: server.await, shared }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> &str {
        &self.server.url
    }

    /// Says what the next requests get.
    pub(crate) fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.script.lock().unwrap_or_else(PoisonError::into_inner).extend(answers);
    }

    /// Answers what is held, and holds nothing any more.
    pub(crate) fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.borrow().clone()
    }

    /// Waits until it was asked so often, and answers all requests.
    pub(crate) async fn asked(&self, times: usize) -> Vec<Request> {
        let mut requests = self.shared.requests.subscribe();
        let enough = requests.wait_for(|requests| requests.len() >= times);
        within("a request to Stripe", enough).await.expect("a running server").clone()
    }
}

impl Shared {
    async fn answer(&self, request: Request) -> Response {
        let key = request.header("idempotency-key").unwrap_or_default().to_owned();
        self.requests.send_modify(|requests| requests.push(request));
        let answer = self.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        match answer.unwrap_or(Answer::Charge) {
            Answer::Status(status) => return Response::json(status, &json!({ "error": { "code": "refused" } })),
            Answer::Hold => drop(self.released.subscribe().wait_for(|released| *released).await),
            Answer::Charge => {}
        }
        Response::json(200, &json!({ "id": format!("ch_{}", self.charge(key)), "object": "charge" }))
    }

    fn charge(&self, idempotency_key: String) -> usize {
        let mut charges = self.charges.lock().unwrap_or_else(PoisonError::into_inner);
        let next = charges.len() + 1;
        *charges.entry(idempotency_key).or_insert(next)
    }
}
