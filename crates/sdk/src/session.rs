//! One connection, from `hello` to its end, and the jobs it holds.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

use crate::endpoint::Socket;
use crate::error::Error;
use crate::execution::Answer;
use crate::frame::{Ack, Changed, Claim, FoundSecret, Job, Refusal, Registered, Signal, Tag, encode_frame};
use crate::handler_error::HandlerError;
use crate::job;
use crate::lookups::{self, Lookups};
use crate::worker::Plan;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// How many queued frames go into one flush at most.
const MOST_FRAMES_PER_FLUSH: usize = 256;
/// Close codes of a server that does not accept this worker.
const FINAL_CLOSE_CODES: [u16; 3] = [4400, 4401, 4403];

/// Why a session has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The worker was stopped.
    Stopped,
    /// The connection was lost, and with it all jobs.
    Lost,
}

/// A registered worker's connection. Dropping it aborts all jobs.
pub(crate) struct Session {
    plan: Arc<Plan>,
    incoming: SplitStream<Socket>,
    /// Not bounded by itself: each run has one frame and a few look-ups in flight, and the credit bounds the runs.
    frames: mpsc::UnboundedSender<String>,
    /// One task, in a set since that aborts it when the session is dropped.
    writer: JoinSet<()>,
    registered: Registered,
    held: HashMap<String, Held>,
    tasks: JoinSet<Ended>,
    refusal: Option<Refusal>,
}

/// A job that this worker holds.
struct Held {
    fence: String,
    answers: mpsc::UnboundedSender<Answer>,
    lookups: Arc<Lookups>,
    task: AbortHandle,
}

/// A job's task has ended.
struct Ended {
    run: String,
    fence: String,
}

impl Session {
    /// Connects, says hello and waits for the server's consent.
    pub(crate) async fn open(plan: &Arc<Plan>) -> Result<Self, Error> {
        let mut socket = plan.endpoint.connect().await?;
        let registering = register(plan, &mut socket);
        let silent = Error::Unreachable { problem: "it does not answer hello".to_owned() };
        let registered = timeout(ANSWER_WITHIN, registering).await.map_err(|_| silent)??;
        tracing::info!(environment = registered.environment, "registered");
        let (outgoing, incoming) = socket.split();
        let (frames, queue) = mpsc::unbounded_channel();
        let mut writer = JoinSet::new();
        writer.spawn(write(outgoing, queue));
        Ok(Self {
            plan: Arc::clone(plan),
            incoming,
            frames,
            writer,
            registered,
            held: HashMap::new(),
            tasks: JoinSet::new(),
            refusal: None,
        })
    }

    /// Executes jobs until the connection ends, or until it has been `stopped` and the last job is over.
    pub(crate) async fn serve(mut self, stopped: impl Future<Output = ()>) -> Result<Closed, Error> {
        let lease = Duration::from_millis(self.registered.lease_ms);
        let mut heartbeat = self.heartbeat();
        let mut heard_at = Instant::now();
        let mut drain_until = None;
        let mut stopped = std::pin::pin!(stopped);
        loop {
            if drain_until.is_some() && self.held.is_empty() {
                return self.close().await;
            }
            tokio::select! {
                message = self.incoming.next() => {
                    heard_at = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.receive(&text),
                        Some(Ok(Message::Close(frame))) => return self.closed(frame, drain_until.is_some()),
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => return self.closed(None, drain_until.is_some()),
                    }
                }
                Some(ended) = self.tasks.join_next() => self.release(ended),
                _ = heartbeat.tick() => {
                    if heard_at.elapsed() > lease {
                        tracing::warn!("the server is silent; reconnecting");
                        return self.closed(None, drain_until.is_some());
                    }
                    self.send(&Signal { r#type: "heartbeat" });
                }
                () = &mut stopped, if drain_until.is_none() => {
                    drain_until = Some(Instant::now() + self.plan.drain_within);
                    self.send(&Signal { r#type: "drain" });
                }
                () = sleep_until(drain_until.unwrap_or(heard_at)), if drain_until.is_some() => {
                    tracing::warn!(jobs = self.held.len(), "jobs have not ended in time; the server takes them back");
                    return self.close().await;
                }
            }
        }
    }

    /// A little more often than the server asks, so that a late timer does not matter.
    fn heartbeat(&self) -> tokio::time::Interval {
        let every = Duration::from_millis(self.registered.heartbeat_every_ms.max(4)) * 3 / 4;
        let mut heartbeat = interval_at(Instant::now() + every, every);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat
    }

    fn receive(&mut self, text: &str) {
        let kind = serde_json::from_str::<Tag<'_>>(text).map(|tag| tag.kind);
        let is_readable = match kind.as_deref() {
            Ok("job") => serde_json::from_str(text).map(|job| self.start(job)).is_ok(),
            Ok("ack") => serde_json::from_str(text).map(|ack| self.acknowledge(ack)).is_ok(),
            Ok("secret") => serde_json::from_str(text).map(|secret| self.find(secret)).is_ok(),
            Ok("changed") => serde_json::from_str(text).map(|changed| self.change(&changed)).is_ok(),
            Ok("cancel") => serde_json::from_str(text).map(|claim| self.cancel(&claim)).is_ok(),
            Ok("error") => serde_json::from_str(text).map(|refusal| self.refuse(refusal)).is_ok(),
            // `drain` asks for nothing but what happens anyway when the connection ends.
            Ok(_) => true,
            Err(_) => false,
        };
        if !is_readable {
            self.give_up(text);
        }
    }

    /// Fails the run that an unreadable frame is about: it would wait for ever. Nothing is said about the reason, which
    /// may quote the frame, and a frame may hold secrets.
    fn give_up(&mut self, text: &str) {
        tracing::warn!("the server has sent a frame that cannot be read");
        if let Ok(claim) = serde_json::from_str::<Claim<'_>>(text) {
            self.cancel(&claim);
            self.send(&job::failed(
                &claim.run,
                &claim.fence,
                &HandlerError::new("a frame cannot be read").named("Frame"),
            ));
        }
    }

    fn start(&mut self, job: Job<'_>) {
        let Some(known) = self.plan.functions.get(&*job.function) else {
            // Another worker may have it.
            let error = HandlerError::new(format!("this worker has no function {:?}", job.function));
            return self.send(&job::failed(&job.run, &job.fence, &error.named("UnknownFunction")));
        };
        let (answers, inbox) = mpsc::unbounded_channel();
        let (run, fence) = (job.run.clone(), job.fence.clone());
        let (lookups, driving) = job::prepare(job, known, inbox, self.frames.clone());
        let ended = Ended { run: run.clone(), fence: fence.clone() };
        let task = self.tasks.spawn(async move {
            driving.await;
            ended
        });
        // An older claim of the run is lost, or the server would not have made this one.
        if let Some(lost) = self.held.insert(run, Held { fence, answers, lookups, task }) {
            lost.task.abort();
        }
    }

    fn acknowledge(&mut self, ack: Ack<'_>) {
        if let Some(held) = self.holding(&ack.run, &ack.fence) {
            // A job that has just ended needs no answer.
            let _ = held.answers.send(Answer::Stored { ended: ack.ended, steps: ack.steps });
        }
    }

    fn find(&self, secret: FoundSecret<'_>) {
        if let Some(held) = self.holding(&secret.run, &secret.fence) {
            let id = secret.id.clone();
            held.lookups.answer(&id, lookups::Answer::from(secret));
        }
    }

    fn change(&self, changed: &Changed<'_>) {
        if let Some(held) = self.holding(&changed.run, &changed.fence) {
            held.lookups.changed(&changed.name);
        }
    }

    fn holding(&self, run: &str, fence: &str) -> Option<&Held> {
        self.held.get(run).filter(|held| held.fence == fence)
    }

    fn cancel(&mut self, claim: &Claim<'_>) {
        if self.holding(&claim.run, &claim.fence).is_some()
            && let Some(held) = self.held.remove(&*claim.run)
        {
            tracing::debug!(run = &*claim.run, reason = &*claim.reason, "the job was taken away");
            held.task.abort();
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        match &refusal.run {
            None => self.refusal = Some(refusal),
            Some(run) => {
                let is_of_this_job = |held: &&Held| refusal.fence.as_ref().is_none_or(|fence| *fence == held.fence);
                let Some(held) = self.held.get(run).filter(is_of_this_job) else { return };
                match &refusal.id {
                    Some(id) => held.lookups.answer(&id.clone(), lookups::Answer::from(refusal)),
                    None => drop(held.answers.send(Answer::Refused(refusal))),
                }
            }
        }
    }

    fn release(&mut self, ended: Result<Ended, JoinError>) {
        match ended {
            Ok(Ended { run, fence }) => {
                if self.holding(&run, &fence).is_some() {
                    self.held.remove(&run);
                }
            }
            // A cancelled job has been removed already; one whose future panicked while it was dropped has not.
            Err(_) => self.held.retain(|_, held| !held.answers.is_closed()),
        }
    }

    fn send(&self, frame: &impl serde::Serialize) {
        // If the writer has ended, so has the connection, which the reader notices.
        let _ = self.frames.send(encode_frame(frame));
    }

    /// The connection has ended from the other side.
    fn closed(&mut self, frame: Option<CloseFrame>, is_draining: bool) -> Result<Closed, Error> {
        match refusal_of(&self.plan, frame.as_ref(), self.refusal.take()) {
            Some(refused) => Err(refused),
            None if is_draining => Ok(Closed::Stopped),
            None => {
                tracing::info!(jobs = self.held.len(), "the connection has ended");
                Ok(Closed::Lost)
            }
        }
    }

    /// Ends the connection from this side.
    async fn close(mut self) -> Result<Closed, Error> {
        self.tasks.shutdown().await;
        drop(self.frames);
        let closing = async {
            self.writer.join_next().await;
            while let Some(Ok(_)) = self.incoming.next().await {}
        };
        // A server that does not answer the farewell has nothing more to say to this worker.
        let _ = timeout(CLOSE_WITHIN, closing).await;
        Ok(Closed::Stopped)
    }
}

async fn register(plan: &Plan, socket: &mut Socket) -> Result<Registered, Error> {
    let lost = |error: SocketError| Error::Unreachable { problem: error.to_string() };
    socket.send(Message::text(plan.hello.as_str())).await.map_err(lost)?;
    let mut refusal = None;
    loop {
        let text = match socket.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(frame))) => {
                let closed = Error::Unreachable { problem: "it closed the connection".to_owned() };
                return Err(refusal_of(plan, frame.as_ref(), refusal).unwrap_or(closed));
            }
            Some(Ok(_)) => continue,
            Some(Err(error)) => return Err(lost(error)),
            None => return Err(Error::Unreachable { problem: "it ended the connection".to_owned() }),
        };
        let unreadable = |_| Error::Unreachable { problem: "it sends frames that cannot be read".to_owned() };
        match &*serde_json::from_str::<Tag<'_>>(&text).map_err(unreadable)?.kind {
            "registered" => return serde_json::from_str(&text).map_err(unreadable),
            "error" => refusal = Some(serde_json::from_str(&text).map_err(unreadable)?),
            _ => {}
        }
    }
}

/// The error for a connection that was closed because the server does not accept this worker.
fn refusal_of(plan: &Plan, close: Option<&CloseFrame>, refusal: Option<Refusal>) -> Option<Error> {
    let status = close.map(|frame| u16::from(frame.code)).filter(|code| FINAL_CLOSE_CODES.contains(code))?;
    let (code, detail) = match refusal {
        Some(refusal) => (refusal.code, refusal.detail),
        None => (format!("closed_{status}"), close.map(|frame| frame.reason.to_string()).unwrap_or_default()),
    };
    Some(Error::Refused { code, status, detail: plan.endpoint.without_key(&detail), request_id: None })
}

/// Sends what is queued, as much as possible with one flush.
async fn write(mut outgoing: SplitSink<Socket, Message>, mut queue: mpsc::UnboundedReceiver<String>) {
    let mut batch = Vec::with_capacity(MOST_FRAMES_PER_FLUSH);
    while queue.recv_many(&mut batch, MOST_FRAMES_PER_FLUSH).await > 0 {
        for frame in batch.drain(..) {
            if outgoing.feed(Message::text(frame)).await.is_err() {
                return;
            }
        }
        if outgoing.flush().await.is_err() {
            return;
        }
        // Jobs that are ready to go on add their frames to the next batch first.
        tokio::task::yield_now().await;
    }
    let _ = outgoing.close().await;
}
