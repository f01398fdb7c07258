//! A subscriber that comes back with its cursor whenever its connection ends.

use std::collections::HashMap;

use reqwest::{Method, Response};
use serde_json::Value;
use tokio::sync::watch;

use super::{client::Client, diary::Deed, diary::Diary, emitter::Emitted};
use crate::support::within;

/// Versions that are kept of a secret; older ones are erased, so whoever was away for long does not see their changes.
const KEPT_VERSIONS: u64 = 10;

/// An event as it was received.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) revision: u64,
    pub(super) data: Value,
}

/// What was received, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Received {
    pub(super) changes: Vec<Seen>,
    pub(super) events: Vec<Seen>,
    /// Up to which revisions of the stream of secrets it had read when it was told of a gap.
    gaps: Vec<u64>,
    cursor: Option<String>,
}

/// A running subscriber.
pub(super) struct Subscriber {
    received: watch::Receiver<Received>,
    task: tokio::task::JoinHandle<()>,
}

impl Subscriber {
    /// Subscribes to everything that this test does, and waits until that stands.
    pub(super) async fn start(client: Client) -> Subscriber {
        let sender = watch::Sender::new(Received::default());
        let mut received = sender.subscribe();
        let task = tokio::spawn(async move {
            loop {
                let cursor = sender.borrow().cursor.clone();
                follow(&client, cursor, &sender).await;
            }
        });
        within("a subscription", received.wait_for(|received| received.cursor.is_some())).await.expect("a subscriber");
        Subscriber { received, task }
    }

    /// Waits until it has seen these revisions, and ends it.
    pub(super) async fn finish(mut self, change: u64, event: u64) -> Received {
        let reached = |seen: &[Seen], revision| seen.last().is_some_and(|last| last.revision >= revision);
        let all = self.received.wait_for(|it| reached(&it.changes, change) && reached(&it.events, event));
        let received = within("everything that a subscriber should see", all).await.expect("a subscriber").clone();
        self.task.abort();
        received
    }
}

/// Reads one connection to its end.
async fn follow(client: &Client, cursor: Option<String>, received: &watch::Sender<Received>) {
    let path = "/subscribe?pattern=system.secret.%3E&pattern=crash.%3E";
    let request = client.request(Method::GET, path);
    let request = match cursor {
        Some(cursor) => request.header("last-event-id", cursor),
        None => request,
    };
    let Ok(mut response) = request.send().await else { return };
    if !response.status().is_success() {
        panic!("a subscription was refused: {:?}", response.text().await);
    }
    let mut text = Vec::new();
    while let Some(frame) = next_frame(&mut response, &mut text).await {
        take(&frame, received);
    }
}

/// A complete frame; one that was cut off does not count.
async fn next_frame(response: &mut Response, text: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
            let rest = text.split_off(end + 2);
            return String::from_utf8(std::mem::replace(text, rest)).ok();
        }
        text.extend_from_slice(&response.chunk().await.ok()??);
    }
}

fn take(frame: &str, received: &watch::Sender<Received>) {
    let fields: HashMap<_, _> = frame.lines().filter_map(|line| line.split_once(": ")).collect();
    let Some(cursor) = fields.get("id") else { return };
    let body: Value = serde_json::from_str(fields["data"]).expect("JSON");
    let text = |member: &str| body[member].as_str().expect("text").to_owned();
    received.send_modify(|received| {
        received.cursor = Some((*cursor).to_owned());
        match fields["event"] {
            "ready" => {}
            "event" => {
                let revision = body["revision"].as_u64().expect("a revision");
                let seen = Seen { name: text("name"), id: text("id"), revision, data: body["data"].clone() };
                match body["source"].as_str() {
                    Some("system") => received.changes.push(seen),
                    _ => received.events.push(seen),
                }
            }
            "gap" => {
                assert_eq!((&body["reason"], &body["stream"]), (&"retention".into(), &"secrets".into()), "{body}");
                received.gaps.push(body["asked"].as_u64().expect("a revision"));
            }
            other => panic!("a frame `{other}`"),
        }
    });
}

impl Received {
    /// Each change exactly once, in order, none left out, and every acknowledged one as it was acknowledged.
    pub(super) fn check_changes(&self, diaries: &[Diary]) {
        check_order(&self.changes);
        for diary in diaries {
            let of_name = |seen: &&Seen| seen.data["name"] == diary.name.as_str();
            let seen: Vec<&Seen> = self.changes.iter().filter(of_name).collect();
            for change in &diary.acknowledged {
                match seen.iter().find(|seen| seen.revision == change.revision) {
                    Some(seen) => check_change(seen, change.deed, change.version),
                    None => assert!(
                        self.may_miss(change.revision, change.version, &seen),
                        "a subscriber missed {change:?} of {}, gaps {:?}",
                        diary.name,
                        self.gaps
                    ),
                }
            }
            self.check_versions(&diary.name, &seen);
        }
    }

    /// Versions count from 1, each set exactly once.
    fn check_versions(&self, name: &str, seen: &[&Seen]) {
        let sets: Vec<_> = seen.iter().filter(|seen| seen.data["action"] != "deleted").collect();
        let mut expected = 1;
        for set in sets {
            let version = set.data["version"].as_u64().expect("a version");
            let missed = expected..version;
            assert!(version >= expected, "version {version} of {name} came again");
            for version in missed {
                assert!(self.may_miss(set.revision, version, seen), "a subscriber missed version {version} of {name}");
            }
            expected = version + 1;
        }
    }

    /// Whether a change may have been erased before the subscriber, which was told of a gap, could read it.
    fn may_miss(&self, revision: u64, version: u64, seen: &[&Seen]) -> bool {
        let newest = seen.last().and_then(|last| last.data["version"].as_u64()).unwrap_or(0);
        newest >= version + KEPT_VERSIONS && self.gaps.iter().any(|asked| *asked < revision)
    }

    /// Each event exactly once, in order.
    pub(super) fn check_events(&self, emitted: &[Emitted]) {
        check_order(&self.events);
        let seen: HashMap<_, _> = self.events.iter().map(|seen| (seen.id.as_str(), seen)).collect();
        for event in emitted {
            let seen = seen.get(event.id.as_str()).unwrap_or_else(|| panic!("a subscriber missed {event:?}"));
            assert_eq!((seen.revision, &seen.name), (event.revision, &event.name));
        }
    }
}

fn check_order(seen: &[Seen]) {
    for pair in seen.windows(2) {
        assert!(pair[0].revision < pair[1].revision, "out of order or twice: {pair:?}");
    }
}

fn check_change(seen: &Seen, deed: Deed, version: u64) {
    let actions: &[&str] = if deed == Deed::Delete { &["deleted"] } else { &["created", "updated"] };
    let action = seen.data["action"].as_str().expect("an action");
    assert!(actions.contains(&action) && seen.name.ends_with(action), "{seen:?} for {deed:?}");
    assert_eq!(seen.data["version"], version, "{seen:?}");
    assert_eq!(seen.data["revision"], seen.revision, "{seen:?}");
}
