//! One client: what it does next, from chance and from what it was told.

use std::{collections::HashMap, sync::Arc};

use super::{Client, Recorder};
use crate::{Action, Consistency, Outcome, Random};

pub(super) struct Asker {
    number: usize,
    secrets: Vec<Arc<str>>,
    nodes: Vec<Arc<dyn Client>>,
    recorder: Arc<Recorder>,
    random: Random,
    /// The secret that it is busy with.
    at: usize,
    /// Current revisions as it was told, 0 for "not set".
    told: HashMap<Arc<str>, u64>,
}

impl Asker {
    pub(super) fn new(
        number: usize,
        secrets: Vec<Arc<str>>,
        nodes: Vec<Arc<dyn Client>>,
        recorder: Arc<Recorder>,
        random: Random,
    ) -> Asker {
        Asker { number, secrets, nodes, recorder, random, at: 0, told: HashMap::new() }
    }

    /// Does one thing at one server.
    pub(super) async fn act(&mut self) {
        // It stays with a secret for a while, so that what it was told about it is of use.
        if self.random.one_in(4) {
            self.at = self.random.below(self.secrets.len());
        }
        let secret = self.secrets[self.at].clone();
        let action = self.next_action(&secret);
        let node = self.random.below(self.nodes.len());
        let outcome = self.recorder.ask((self.number, node), &*self.nodes[node], &secret, action).await;
        self.learn(secret, outcome);
    }

    fn next_action(&mut self, secret: &Arc<str>) -> Action {
        let told = self.told.get(secret).copied();
        match self.random.below(20) {
            0..4 => Action::Set { expected: None },
            4..9 => Action::Set { expected: told },
            9 => Action::Delete { expected: None },
            // Nobody deletes what is not set.
            10 => Action::Delete { expected: told.filter(|revision| *revision > 0) },
            11..16 => Action::Read(Consistency::Strong),
            _ => Action::Read(Consistency::Default),
        }
    }

    fn learn(&mut self, secret: Arc<str>, outcome: Outcome) {
        let revision = match outcome {
            Outcome::Set { revision, .. } | Outcome::Found { revision, .. } => revision,
            Outcome::Conflict { current } => current,
            Outcome::Deleted { .. } | Outcome::NotSet => 0,
            Outcome::Refused | Outcome::Unknown => return,
        };
        self.told.insert(secret, revision);
    }
}
