//! Histories of a vault that works, by construction.

use std::{sync::Arc, time::Duration};

use claviger_torture::{Action, Consistency, Operation, Outcome, Random};

/// How many clients, operations and servers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) clients: usize,
    pub(crate) operations: usize,
    pub(crate) nodes: usize,
    /// How long default reads may be behind.
    pub(crate) staleness: Duration,
}

/// One secret as it was at a moment.
#[derive(Clone, Copy, Debug)]
struct Standing {
    since: u64,
    revision: u64,
    version: u64,
    is_set: bool,
}

/// A vault with one secret. Every operation takes effect at one tick between its beginning and its end.
struct Vault {
    random: Random,
    /// Oldest first.
    past: Vec<Standing>,
    /// What each server knows, by place in `past`.
    known: Vec<usize>,
    staleness: u64,
}

/// A history in which one operation in ten has no answer.
pub(crate) fn history(seed: u64, size: Size) -> Vec<Operation> {
    let mut random = Random::new(seed);
    let never = Standing { since: 0, revision: 0, version: 0, is_set: false };
    let staleness = u64::try_from(size.staleness.as_micros()).expect("a short time");
    let mut vault = Vault { random: random.fork(), past: vec![never], known: vec![0; size.nodes], staleness };
    let mut plans = plans(&mut random, size);
    plans.sort_by_key(|plan| plan.effect);
    let mut history: Vec<Operation> = plans.into_iter().map(|plan| vault.perform(plan)).collect();
    history.sort_by_key(|operation| operation.began);
    history
}

/// When an operation begins, takes effect and ends, in microseconds.
struct Plan {
    client: usize,
    node: usize,
    began: u64,
    effect: u64,
    ended: u64,
    is_answered: bool,
}

/// Each client does one thing after the other. Effects are at different microseconds.
fn plans(random: &mut Random, size: Size) -> Vec<Plan> {
    let mut free_at = vec![1_u64; size.clients];
    let mut plans = Vec::new();
    let mut taken = std::collections::HashSet::new();
    for _ in 0..size.operations {
        let client = random.below(size.clients);
        let began = free_at[client] + random.draw() % 20;
        let mut effect = began + random.draw() % 30;
        while !taken.insert(effect) {
            effect += 1;
        }
        let ended = effect + random.draw() % 30;
        free_at[client] = ended + 1;
        let is_answered = !random.one_in(10);
        // What is not answered may happen long after the client has given up.
        let given_up = if is_answered { ended } else { began + 1 };
        let node = random.below(size.nodes);
        plans.push(Plan { client, node, began, effect, ended: given_up, is_answered });
    }
    plans
}

impl Vault {
    fn perform(&mut self, plan: Plan) -> Operation {
        let action = self.action();
        let outcome = match action {
            Action::Read(Consistency::Default) => self.default_read(&plan),
            _ => self.take_effect(action, plan.effect),
        };
        if plan.is_answered
            && !matches!(action, Action::Read(_))
            && matches!(outcome, Outcome::Set { .. } | Outcome::Deleted { .. })
        {
            // A server knows what it has acknowledged.
            self.known[plan.node] = self.known[plan.node].max(self.past.len() - 1);
        }
        Operation {
            number: plan.effect,
            client: plan.client,
            node: plan.node,
            secret: Arc::from("STRIPE_KEY"),
            action,
            began: Duration::from_micros(plan.began),
            ended: Duration::from_micros(plan.ended),
            outcome: if plan.is_answered { outcome } else { Outcome::Unknown },
        }
    }

    fn now(&self) -> Standing {
        self.past[self.past.len() - 1]
    }

    fn action(&mut self) -> Action {
        let current = if self.now().is_set { self.now().revision } else { 0 };
        let guess = if self.random.one_in(3) { self.random.pick(&self.past).revision } else { current };
        let expected = self.random.one_in(2).then_some(guess);
        match self.random.below(10) {
            0..4 => Action::Set { expected },
            4..6 => Action::Delete { expected: expected.filter(|revision| *revision > 0) },
            6..8 => Action::Read(Consistency::Strong),
            _ => Action::Read(Consistency::Default),
        }
    }

    fn take_effect(&mut self, action: Action, at: u64) -> Outcome {
        let now = self.now();
        let current = if now.is_set { now.revision } else { 0 };
        match action {
            Action::Set { expected } | Action::Delete { expected } if expected.is_some_and(|it| it != current) => {
                Outcome::Conflict { current }
            }
            Action::Set { .. } => {
                let new = self.change(at, now.version + 1, true);
                Outcome::Set { revision: new.revision, version: new.version, created: !now.is_set }
            }
            Action::Delete { .. } if now.is_set => {
                let new = self.change(at, now.version, false);
                Outcome::Deleted { revision: new.revision, version: new.version }
            }
            _ => told(now),
        }
    }

    fn change(&mut self, since: u64, version: u64, is_set: bool) -> Standing {
        // Other secrets are in the same stream.
        let revision = self.now().revision + 1 + self.random.draw() % 3;
        self.past.push(Standing { since, revision, version, is_set });
        self.now()
    }

    fn default_read(&mut self, plan: &Plan) -> Outcome {
        let oldest = plan.began.saturating_sub(self.staleness);
        let at_least = self.past.partition_point(|standing| standing.since <= oldest) - 1;
        let known = self.known[plan.node].max(at_least);
        let shown = known + self.random.below(self.past.len() - known);
        self.known[plan.node] = shown;
        told(self.past[shown])
    }
}

fn told(standing: Standing) -> Outcome {
    match standing {
        Standing { is_set: true, revision, version, .. } => Outcome::Found { revision, version },
        _ => Outcome::NotSet,
    }
}
