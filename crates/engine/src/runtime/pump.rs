//! Runs that wait, and the workers that become free.

use std::time::Duration;

use claviger_core::{EnvironmentName, FunctionId, run::RunId};
use claviger_store::Hint;
use futures_util::{StreamExt, stream};

use super::{
    Runtime,
    follow::RETRY,
    pool::{News, Slot, Topic},
    timers::Look,
};

/// How long a hint may be worked on before it is handed out again.
const HINT_LEASE: Duration = Duration::from_secs(30);
/// Hints that are taken together, where asking for them takes its time.
const TAKEN_AT_ONCE: usize = 16;
/// Functions whose hints are asked for at the same time, where that takes its time.
const TOPICS_AT_ONCE: usize = 16;

impl Runtime {
    /// Offers a run to workers.
    pub(crate) fn spawn_offer(&self, environment: EnvironmentName, function: FunctionId, id: RunId) {
        let topic = Topic { environment, function };
        self.again("offer a run", move |runtime| {
            let topic = topic.clone();
            async move {
                runtime.shared.queue.offer(&queue_topic(&topic), &id.to_string()).await?;
                runtime.pool.wait_for(topic);
                Ok(())
            }
        });
    }

    /// Hears of hints that other servers offer, as long as there are workers for them here.
    pub(crate) fn listen(&self, topic: Topic, news: News) {
        if !self.shared.ledger.is_shared() {
            return;
        }
        let runtime = self.clone();
        self.shared.tasks.spawn(async move {
            let name = queue_topic(&topic);
            let listen = async {
                loop {
                    runtime.shared.queue.ready(&name).await;
                    runtime.pool.wait_for(topic.clone());
                    // The pump has looked: whether there is more is for the queue to say.
                    while runtime.pool.has_waiting(&topic) {
                        news.cleared.notified().await;
                    }
                }
            };
            tokio::select! {
                () = listen => {}
                () = news.gone.cancelled() => {}
                () = runtime.shared.stop.cancelled() => {}
            }
        });
    }

    /// Hands waiting runs to slots as they become free, those of each function in turn.
    pub(crate) async fn pump(self) {
        let at_once = if self.shared.ledger.is_shared() { TOPICS_AT_ONCE } else { 1 };
        loop {
            tokio::select! {
                () = self.pool.freed.notified() => {}
                () = self.shared.stop.cancelled() => return,
            }
            let mut is_moving = true;
            while is_moving && !self.shared.stop.is_cancelled() {
                for (topic, id, slot) in self.pool.suited(|topic| self.limit_of(topic)) {
                    self.spawn_claim(topic, id, slot);
                }
                let topics = self.pool.waiting();
                let runtime = &self;
                let pump = |topic: Topic| async move { runtime.pump_topic(&topic).await };
                let pumped = stream::iter(topics).map(pump).buffer_unordered(at_once);
                is_moving = pumped.fold(false, async |is_moving, has_moved| is_moving | has_moved).await;
            }
        }
    }

    /// Hands over waiting runs of a function, if there are any, and slots.
    async fn pump_topic(&self, topic: &Topic) -> bool {
        let mut slots = self.slots(topic);
        if slots.is_empty() {
            return false;
        }
        // Cleared before looking, so that an offer made meanwhile is seen.
        self.pool.is_clear(topic);
        let name = queue_topic(topic);
        let hints = match self.shared.queue.take(&name, slots.len(), HINT_LEASE).await {
            Ok(hints) => hints,
            Err(error) => {
                tracing::warn!(%error, "waiting runs could not be taken, trying again");
                self.wait_again(topic.clone());
                return false;
            }
        };
        if hints.len() == slots.len() {
            self.pool.wait_for(topic.clone());
        }
        let has_moved = !hints.is_empty();
        for (hint, slot) in hints.into_iter().zip(slots.drain(..)) {
            self.hand_to(topic, hint, slot).await;
        }
        has_moved
    }

    /// Free slots of a function: one, or several where servers share a queue.
    fn slots(&self, topic: &Topic) -> Vec<Slot> {
        let limit = self.limit_of(topic);
        let most = if self.shared.ledger.is_shared() { TAKEN_AT_ONCE } else { 1 };
        std::iter::from_fn(|| self.pool.acquire(topic, limit)).take(most).collect()
    }

    /// Jobs of a function at the same time, at most, as declared last.
    pub(crate) fn limit_of(&self, topic: &Topic) -> Option<u32> {
        self.registry.get(&topic.environment, &topic.function).and_then(|function| function.spec.concurrency)
    }

    async fn hand_to(&self, topic: &Topic, hint: Hint, slot: Slot) {
        if let Err(error) = self.shared.queue.done(&queue_topic(topic), &hint).await {
            // It will be handed out again, which does no harm.
            tracing::warn!(%error, "a hint could not be removed");
        }
        if let Ok(id) = hint.id.parse::<RunId>() {
            self.spawn_claim(topic.clone(), id, slot);
        }
    }

    fn spawn_claim(&self, topic: Topic, id: RunId, slot: Slot) {
        let runtime = self.clone();
        self.shared.tasks.spawn(async move {
            if let Err(error) = runtime.claim_waiting(&topic, id, slot).await {
                tracing::warn!(code = error.code(), run = %id, "a run could not be claimed: {error}");
                let at = runtime.shared.now().plus(RETRY);
                runtime.timers.look_at(at, topic.environment, id, Look::Due);
            }
        });
    }

    fn wait_again(&self, topic: Topic) {
        let runtime = self.clone();
        self.shared.tasks.spawn(async move {
            if runtime.shared.stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_some() {
                runtime.pool.wait_for(topic);
            }
        });
    }
}

fn queue_topic(topic: &Topic) -> String {
    format!("run.{}.{}", topic.environment, topic.function)
}
