//! The look-ups of one job: what was asked, what was answered, and what waits for its turn.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};

use crate::error::Error;
use crate::frame::{FoundSecret, LookupFrame, Refusal, encode_frame};
use crate::lookup::{Asked, Scope};
use crate::value::{Secret, Value};

/// The protocol's limit for one job.
const MOST_UNANSWERED: usize = 16;

/// What the server says to a look-up.
#[derive(Clone)]
pub(crate) enum Answer {
    Found(Secret),
    NotFound,
    /// The server could not say; another attempt may tell.
    Refused {
        code: String,
        detail: String,
    },
}

impl From<FoundSecret<'_>> for Answer {
    fn from(secret: FoundSecret<'_>) -> Self {
        let (Some(version), Some(text)) = (secret.version, secret.value) else { return Self::NotFound };
        match Value::read(version, text, secret.encoding.as_deref()) {
            Some(value) => Self::Found(Secret::new(&secret.name, value)),
            None => Self::Refused {
                code: "unknown_encoding".to_owned(),
                detail: "the value has an encoding that cannot be read".to_owned(),
            },
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { code: refusal.code, detail: refusal.detail }
    }
}

/// Shared by the handler, which asks, and the session, which hears the answers.
pub(crate) struct Lookups {
    run: String,
    fence: String,
    home: Scope,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The way to the server; `None` once the job is over.
    frames: Option<mpsc::UnboundedSender<String>>,
    /// What was asked, and has not changed since: the answer, or the look-up to wait for.
    known: HashMap<Asked, watch::Receiver<Option<Answer>>>,
    /// Look-ups that were sent, by id.
    unanswered: HashMap<String, Pending>,
    /// Look-ups that wait until one of those is answered, with their frames.
    waiting: VecDeque<(String, Pending, String)>,
    last_id: u64,
}

/// A look-up without an answer. Those who wait for it notice if this is dropped.
struct Pending {
    asked: Asked,
    answer: watch::Sender<Option<Answer>>,
}

/// Keeps look-ups possible; dropped when the handler has ended or was dropped.
pub(crate) struct Open(Arc<Lookups>);

impl Lookups {
    pub(crate) fn new(run: String, fence: String, home: Scope, frames: mpsc::UnboundedSender<String>) -> Self {
        let state = Mutex::new(State { frames: Some(frames), ..State::default() });
        Self { run, fence, home, state }
    }

    /// The scope that look-ups go to if they name none.
    pub(crate) fn home(&self) -> &Scope {
        &self.home
    }

    /// Ends all look-ups, with an error, when what this returns is dropped.
    pub(crate) fn open(self: &Arc<Self>) -> Open {
        Open(Arc::clone(self))
    }

    /// The value, if there is one. Asks the server unless it was asked before; the answer holds until it changes.
    pub(crate) async fn find(&self, asked: &Asked) -> Result<Option<Secret>, Error> {
        let over = || Error::JobOver { name: asked.name.clone() };
        let mut answer = self.ask(asked).ok_or_else(over)?;
        let answer = answer.wait_for(Option::is_some).await.map_err(|_| over())?.clone();
        match answer {
            Some(Answer::Found(secret)) => Ok(Some(secret)),
            Some(Answer::NotFound) | None => Ok(None),
            Some(Answer::Refused { code, detail }) => {
                Err(Error::LookupRefused { name: asked.name.clone(), code, detail })
            }
        }
    }

    /// Takes in the server's answer to a look-up.
    pub(crate) fn answer(&self, id: &str, answer: Answer) {
        let mut state = self.lock();
        let Some(pending) = state.unanswered.remove(id) else { return };
        if matches!(answer, Answer::Refused { .. }) {
            state.forget(&pending);
        }
        pending.answer.send_replace(Some(answer));
        state.send_waiting();
    }

    /// Drops what is known of a secret, in whatever scope: it has changed. Whoever waits for an answer still gets it, but
    /// it may be the old value, so that it is not kept.
    pub(crate) fn changed(&self, name: &str) {
        self.lock().known.retain(|asked, _| asked.name != name);
    }

    /// Joins the look-up that was made before, or makes one. `None` if the job is over.
    fn ask(&self, asked: &Asked) -> Option<watch::Receiver<Option<Answer>>> {
        let mut state = self.lock();
        if let Some(known) = state.known.get(asked) {
            return Some(known.clone());
        }
        state.frames.as_ref()?;
        state.last_id += 1;
        let id = state.last_id.to_string();
        let frame = self.encode(&id, asked);
        let (answer, receiver) = watch::channel(None);
        state.known.insert(asked.clone(), receiver.clone());
        state.waiting.push_back((id, Pending { asked: asked.clone(), answer }, frame));
        state.send_waiting();
        Some(receiver)
    }

    fn encode(&self, id: &str, asked: &Asked) -> String {
        let Asked { name, scope: Scope { environment, space } } = asked;
        let is_usual = space.as_deref() == self.home.usual_space(environment);
        encode_frame(&LookupFrame {
            r#type: "lookup",
            run: &self.run,
            fence: &self.fence,
            id,
            name,
            environment: Some(environment.as_str()).filter(|environment| *environment != self.home.environment),
            space: (!is_usual).then_some(space.as_deref()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Sends what the limit lets through.
    fn send_waiting(&mut self) {
        let Some(frames) = &self.frames else { return };
        while self.unanswered.len() < MOST_UNANSWERED
            && let Some((id, pending, frame)) = self.waiting.pop_front()
        {
            // If the connection has ended, this job is being aborted.
            let _ = frames.send(frame);
            self.unanswered.insert(id, pending);
        }
    }

    /// Forgets a look-up, but not a newer one of the same secret.
    fn forget(&mut self, pending: &Pending) {
        let of_this = pending.answer.subscribe();
        if self.known.get(&pending.asked).is_some_and(|known| known.same_channel(&of_this)) {
            self.known.remove(&pending.asked);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let over = std::mem::take(&mut *self.0.lock());
        // Outside the lock, since it wakes those who wait.
        drop(over);
    }
}
