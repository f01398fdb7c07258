//! Random interleavings of changes, reads, reconnections and restarts, against a list of what happened.

use std::collections::BTreeMap;

use claviger_engine::{
    Engine,
    events::{Cursor, Subscription},
};
use proptest::prelude::*;

use super::rig::{Rig, default, emit, event, set, subscribe};

const PATTERNS: [&str; 2] = ["order.*", "system.secret.*.*"];

#[derive(Clone, Debug)]
enum Act {
    /// Emit an event that fits.
    Emit(u8),
    /// Emit one that does not.
    Noise,
    /// Set a secret.
    Set(u8),
    /// Take so many frames, if there are.
    Read(u8),
    /// Connect anew from the last delivered cursor.
    Reconnect,
    /// Connect anew from a cursor saved earlier.
    GoBack,
    /// Remember the present cursor for going back.
    Save,
    /// Stop the engine and start another.
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..3_u8).prop_map(Act::Emit),
        2 => Just(Act::Noise),
        3 => (0..2_u8).prop_map(Act::Set),
        5 => (1..6_u8).prop_map(Act::Read),
        2 => Just(Act::Reconnect),
        1 => Just(Act::GoBack),
        1 => Just(Act::Save),
        1 => Just(Act::Restart),
    ]
}

/// What happened: by stream the event names in order, which is more than the order of each subject.
type History = BTreeMap<&'static str, Vec<(u64, String)>>;

struct World {
    rig: Rig,
    engine: Engine,
    happened: History,
    reader: Subscription,
    /// What the reader has delivered since it was last connected, and before that what its cursor stands for.
    delivered: History,
    cursor: Cursor,
    saved: (Cursor, History),
}

impl World {
    async fn new() -> World {
        let rig = Rig::new();
        let engine = rig.engine().await;
        let (reader, cursor) = subscribe(&engine, &PATTERNS, None).await;
        let empty = History::new();
        let saved = (cursor.clone(), empty.clone());
        World { rig, engine, happened: empty.clone(), reader, delivered: empty, cursor, saved }
    }

    async fn perform(&mut self, act: &Act) {
        match act {
            Act::Emit(kind) => {
                let name = format!("order.kind-{kind}");
                let revision = emit(&self.engine, &name, "1").await.revision.0;
                self.happened.entry("events").or_default().push((revision, name));
            }
            Act::Noise => drop(emit(&self.engine, "payment.made", "1").await),
            Act::Set(name) => self.set(&format!("KEY{name}")).await,
            Act::Read(count) => {
                for _ in 0..(*count).into() {
                    if self.outstanding() > 0 {
                        self.take().await;
                    }
                }
            }
            Act::Reconnect => self.connect().await,
            Act::GoBack => {
                (self.cursor, self.delivered) = self.saved.clone();
                self.connect().await;
            }
            Act::Save => self.saved = (self.cursor.clone(), self.delivered.clone()),
            Act::Restart => {
                self.engine.close().await;
                self.engine = self.rig.engine().await;
                self.connect().await;
            }
        }
    }

    async fn set(&mut self, name: &str) {
        let history = self.happened.entry("secrets").or_default();
        let created = format!("system.secret.{name}.created");
        let is_known = history.iter().any(|(_, known)| *known == created);
        let event = if is_known { format!("system.secret.{name}.updated") } else { created };
        history.push((history.len() as u64 + 1, event));
        set(&self.engine, &default(), name, "canary-value").await;
    }

    fn outstanding(&self) -> usize {
        let count = |history: &History| history.values().map(Vec::len).sum::<usize>();
        count(&self.happened) - count(&self.delivered)
    }

    /// Takes a frame, which must be the next event of its stream.
    async fn take(&mut self) {
        let (event, cursor) = event(&mut self.reader).await;
        let delivered = self.delivered.entry(event.stream.name()).or_default();
        delivered.push((event.revision.0, event.name.to_string()));
        let happened = &self.happened[event.stream.name()];
        assert_eq!(delivered[..], happened[..delivered.len()]);
        self.cursor = cursor;
    }

    async fn connect(&mut self) {
        let (reader, ready) = subscribe(&self.engine, &PATTERNS, Some(&self.cursor)).await;
        assert_eq!(ready, self.cursor);
        self.reader = reader;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_event_arrives_once_and_in_order_from_wherever_a_subscriber_resumes(
        acts in proptest::collection::vec(act(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            // Kept versions of a secret are ten; more sets of one would leave gaps, which have tests of their own.
            let mut sets = BTreeMap::new();
            for act in &acts {
                if let Act::Set(name) = act {
                    let count: &mut u32 = sets.entry(*name).or_default();
                    *count += 1;
                    if *count > 10 {
                        continue;
                    }
                }
                world.perform(act).await;
            }
            while world.outstanding() > 0 {
                world.take().await;
            }
            assert_eq!(world.delivered, world.happened);
            world.engine.close().await;
        });
    }
}
