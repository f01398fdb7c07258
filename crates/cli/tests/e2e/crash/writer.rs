//! Clients that change secrets, each its own, and remember what was acknowledged.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use reqwest::{Method, StatusCode, header::IF_MATCH};
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use super::{
    client::Client,
    diary::{Asked, Deed, Diary, Fate},
    random::Random,
};

/// The secret that the functions use.
pub(super) const STRIPE_KEY: &str = "STRIPE_KEY";

/// How the text of values begins.
const VALUE: &str = "sk_live_";

/// A client with its secrets.
pub(super) struct Writer {
    pub(super) client: Client,
    pub(super) random: Random,
    pub(super) diaries: Vec<Diary>,
    /// Where to note the last acknowledged value of [`STRIPE_KEY`].
    pub(super) newest_key: Arc<AtomicU64>,
}

/// The secrets of so many writers.
pub(super) fn diaries(writers: usize, each: usize) -> Vec<Vec<Diary>> {
    let name = |writer, at| format!("KEY_{writer}_{at}");
    let diary = |writer, at| match (writer, at) {
        (0, 0) => Diary::new(STRIPE_KEY.to_owned(), Fate::Kept),
        _ => Diary::new(name(writer, at), Fate::Deletable),
    };
    (0..writers).map(|writer| (0..each).map(|at| diary(writer, at)).collect()).collect()
}

/// The value of that number.
pub(super) fn value(name: &str, number: u64) -> String {
    format!("{VALUE}{name}.{number}")
}

/// The number of that value.
pub(super) fn number(name: &str, value: &str) -> Option<u64> {
    value.strip_prefix(VALUE)?.strip_prefix(name)?.strip_prefix('.')?.parse().ok()
}

impl Writer {
    /// Changes secrets and looks at them until told to stop.
    pub(super) async fn work(mut self, stop: watch::Receiver<bool>) -> Vec<Diary> {
        while !*stop.borrow() {
            let at = self.random.below(self.diaries.len());
            match self.random.below(8) {
                0 => self.look(at).await,
                _ => self.change(at).await,
            }
            sleep(self.random.millis(0..=15)).await;
        }
        self.diaries
    }

    /// One change.
    pub(super) async fn change(&mut self, at: usize) {
        let asked = self.diaries[at].next(&mut self.random);
        let answer = self.ask(at, asked).await;
        let diary = &mut self.diaries[at];
        let Some((status, body)) = answer else { return diary.unanswered(asked) };
        match status {
            StatusCode::OK | StatusCode::CREATED => {
                diary.done(asked, whole(&body["revision"]), whole(&body["version"]))
            }
            StatusCode::CONFLICT => diary.conflicted(asked, whole(&body["currentRevision"])),
            StatusCode::NOT_FOUND if asked.deed == Deed::Delete => diary.missing(asked),
            _ => panic!("{asked:?}: {status} {body}: {diary:?}"),
        }
        if diary.name == STRIPE_KEY {
            self.newest_key.store(diary.value(), Ordering::Release);
        }
    }

    async fn ask(&self, at: usize, asked: Asked) -> Option<(StatusCode, Value)> {
        let name = &self.diaries[at].name;
        let path = format!("/secrets/{name}");
        let request = match asked.deed {
            Deed::Set(number) => self.client.request(Method::PUT, &path).json(&json!({ "value": value(name, number) })),
            Deed::Delete => self.client.request(Method::DELETE, &path),
        };
        let request = match asked.expected {
            Some(revision) => request.header(IF_MATCH, format!("\"{revision}\"")),
            None => request,
        };
        self.client.ask(request).await
    }

    /// Compares what the server shows with what is known.
    async fn look(&mut self, at: usize) {
        look(&self.client, &mut self.diaries[at]).await;
    }
}

/// Compares what the server shows with what is known.
pub(super) async fn look(client: &Client, diary: &mut Diary) {
    let request = client.request(Method::GET, &format!("/secrets/{}", diary.name));
    match client.ask(request).await {
        None => {}
        Some((StatusCode::OK, body)) => diary.seen(Some((whole(&body["revision"]), whole(&body["version"])))),
        Some((StatusCode::NOT_FOUND, _)) => diary.seen(None),
        Some((status, body)) => panic!("{}: {status} {body}", diary.name),
    }
}

fn whole(number: &Value) -> u64 {
    number.as_u64().unwrap_or_else(|| panic!("no whole number: {number}"))
}
