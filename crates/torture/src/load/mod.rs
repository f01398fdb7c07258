//! Clients that change and read secrets, and write down what they did and were told.

mod asker;
mod recorder;

use std::{ops::RangeInclusive, sync::Arc};

use async_trait::async_trait;
use tokio::{sync::watch, task::JoinSet, time::sleep};

use self::asker::Asker;
pub use self::recorder::{Recorder, value_of};
use crate::{Action, Consistency, Outcome, Random};

/// A way to ask one server about secrets.
#[async_trait]
pub trait Client: Send + Sync {
    /// Asks once, and waits for the answer as long as it sees fit. `value` is what a set sets.
    async fn ask(&self, secret: &str, action: Action, value: &str) -> Outcome;
}

/// What there is to do.
#[derive(Clone, Debug)]
pub struct Load {
    /// How many clients work side by side.
    pub clients: usize,
    /// The secrets: few, so that clients get in each other's way.
    pub secrets: Vec<Arc<str>>,
    /// How long a client waits between two requests, in milliseconds.
    pub pause_ms: RangeInclusive<u64>,
}

impl Load {
    /// Works until told to stop. Every client asks every server, one after the other by chance.
    pub async fn run(
        &self,
        nodes: &[Arc<dyn Client>],
        recorder: &Arc<Recorder>,
        random: &mut Random,
        stop: watch::Receiver<bool>,
    ) {
        let mut clients = JoinSet::new();
        for client in 0..self.clients {
            let (mut random, stop, pause) = (random.fork(), stop.clone(), self.pause_ms.clone());
            let mut asker = Asker::new(client, self.secrets.clone(), nodes.to_vec(), recorder.clone(), random.fork());
            clients.spawn(async move {
                while !*stop.borrow() {
                    asker.act().await;
                    sleep(random.millis(pause.clone())).await;
                }
            });
        }
        while clients.join_next().await.is_some() {}
    }

    /// Reads every secret strongly at every server, as often as it takes to get an answer. What was lost shows here.
    pub async fn look_at_everything(&self, nodes: &[Arc<dyn Client>], recorder: &Recorder) {
        for secret in &self.secrets {
            for (node, client) in nodes.iter().enumerate() {
                let who = (self.clients, node);
                let look = || recorder.ask(who, &**client, secret, Action::Read(Consistency::Strong));
                while matches!(look().await, Outcome::Unknown | Outcome::Refused) {
                    sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
    }
}
