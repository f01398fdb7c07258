//! Runs that wait, and the workers that become free.

use std::time::Duration;

use claviger_core::{EnvironmentName, FunctionId, run::RunId};

use super::{Runtime, follow::RETRY, pool::Topic, timers::Look};

/// How long a hint may be worked on before it is handed out again.
const HINT_LEASE: Duration = Duration::from_secs(30);
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

    /// Hands waiting runs to slots as they become free, one of each function in turn.
    pub(crate) async fn pump(self) {
        loop {
            tokio::select! {
                () = self.pool.freed.notified() => {}
                () = self.shared.stop.cancelled() => return,
            }
            let mut is_moving = true;
            while is_moving && !self.shared.stop.is_cancelled() {
                is_moving = false;
                for topic in self.pool.waiting() {
                    is_moving |= self.pump_topic(&topic).await;
                }
            }
        }
    }

    /// Hands over one waiting run of a function, if there are a run and a slot.
    async fn pump_topic(&self, topic: &Topic) -> bool {
        let limit = self.registry.get(&topic.environment, &topic.function).and_then(|f| f.spec.concurrency);
        let Some(slot) = self.pool.acquire(topic, limit) else { return false };
        // Cleared before looking, so that an offer made meanwhile is seen.
        self.pool.is_clear(topic);
        let name = queue_topic(topic);
        let hint = match self.shared.queue.take(&name, 1, HINT_LEASE).await {
            Ok(hints) => hints.into_iter().next(),
            Err(error) => {
                tracing::warn!(%error, "waiting runs could not be taken, trying again");
                self.wait_again(topic.clone());
                return false;
            }
        };
        let Some(hint) = hint else { return false };
        self.pool.wait_for(topic.clone());
        if let Err(error) = self.shared.queue.done(&name, &hint).await {
            // It will be handed out again, which does no harm.
            tracing::warn!(%error, "a hint could not be removed");
        }
        let Ok(id) = hint.id.parse::<RunId>() else { return true };
        let (runtime, topic) = (self.clone(), topic.clone());
        self.shared.tasks.spawn(async move {
            if let Err(error) = runtime.claim_waiting(&topic, id, slot).await {
                tracing::warn!(code = error.code(), run = %id, "a run could not be claimed: {error}");
                let at = runtime.shared.now().plus(RETRY);
                runtime.timers.look_at(at, topic.environment, id, Look::Due);
            }
        });
        true
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
