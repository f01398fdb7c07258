//! What a job knows of its steps, shared by the handler's [`Context`](crate::Context) and the task that drives it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Wake, Waker};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::frame::{Outcome, StepRecord, WireError};
use crate::json;
use crate::step::Call;
use crate::wake::HandlerWake;

/// Keeps a frame, a result of 256 KiB included, below the protocol's 4 MiB.
const MOST_BATCH_BYTES: usize = 3 * 1024 * 1024;
const MOST_ID_CHARS: usize = 200;

/// The stored outcome of a step.
pub(crate) enum Record {
    Finished(Box<RawValue>),
    Failed(WireError),
    Open,
}

impl From<StepRecord> for Record {
    fn from(step: StepRecord) -> Self {
        match step {
            StepRecord { error: Some(error), .. } => Self::Failed(error),
            StepRecord { open: Some(_), .. } => Self::Open,
            StepRecord { result, .. } => Self::Finished(result.unwrap_or_else(json::null)),
        }
    }
}

/// What the job's task has to do while the handler has not ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Wait,
    Step,
    Suspend,
}

/// The steps of one job.
pub(crate) struct Journal {
    state: Mutex<State>,
    wake: Arc<HandlerWake>,
}

#[derive(Default)]
struct State {
    /// Outcomes of earlier attempts, by step.
    remembered: HashMap<String, Record>,
    /// How often each id was used.
    uses: HashMap<String, u32>,
    /// Errors that the handler has seen but not gone past.
    unsettled: Vec<Box<RawValue>>,
    /// Outcomes that wait for the next frame.
    pending: VecDeque<Box<RawValue>>,
    /// Outcomes ever made, and those of them that the server has stored; both in order.
    made: u64,
    stored: u64,
    /// The number of outcomes in the frame that is not answered yet.
    in_flight: Option<u64>,
    /// What answers told of steps of this attempt.
    answers: HashMap<String, Record>,
    /// Steps that run, or wait for an answer of the server.
    busy: usize,
    /// Steps that are awaited and only finish in a later job.
    open: usize,
    /// Steps to wake when the server answers.
    waiting: Vec<Waker>,
    /// True while the job's task polls the handler: then it looks at the state afterwards anyway.
    polling: bool,
}

impl Journal {
    pub(crate) fn new(steps: Vec<StepRecord>, wake: Arc<HandlerWake>) -> Self {
        let mut state = State::default();
        for step in steps {
            let id = step.id.clone();
            state.remembered.insert(id, Record::from(step));
        }
        Self { state: Mutex::new(state), wake }
    }

    /// Fixes the id and the place of a step.
    pub(crate) fn call(self: &Arc<Self>, id: &str) -> Result<Call, Error> {
        let mut state = self.lock();
        let id = state.unique_id(id)?;
        let record = state.remembered.remove(&id);
        if record.is_none() {
            // A new step: the handler has gone past the errors it has seen.
            state.settle();
        }
        Ok(Call { id, record, gate: state.made, journal: Arc::clone(self) })
    }

    /// Adds an outcome to the next frame. Returns its number.
    pub(crate) fn add(&self, id: &str, outcome: &Outcome<'_>) -> u64 {
        let outcome = encode_outcome(id, outcome);
        self.change(|state| state.push(outcome))
    }

    /// Notes a step's error, which is stored only if the handler goes past it.
    pub(crate) fn add_unsettled(&self, id: &str, error: WireError) {
        let outcome = encode_outcome(id, &Outcome::Run { result: None, error: Some(error) });
        self.lock().unsettled.push(outcome);
    }

    /// Stores the errors that the handler has seen, since it has completed in spite of them.
    pub(crate) fn settle(&self) {
        self.lock().settle();
    }

    pub(crate) fn poll_stored(&self, number: u64, waker: &Waker) -> Poll<()> {
        let mut state = self.lock();
        if state.stored >= number {
            return Poll::Ready(());
        }
        state.wait(waker);
        Poll::Pending
    }

    pub(crate) fn take_answer(&self, id: &str) -> Option<Record> {
        self.lock().answers.remove(id)
    }

    pub(crate) fn poll_answer(&self, id: &str, waker: &Waker) -> Poll<Record> {
        let mut state = self.lock();
        if let Some(record) = state.answers.remove(id) {
            return Poll::Ready(record);
        }
        state.wait(waker);
        Poll::Pending
    }

    /// Counts a step as busy until the guard is dropped.
    pub(crate) fn busy(self: &Arc<Self>) -> Counted {
        self.lock().busy += 1;
        Counted { journal: Arc::clone(self), count: |state| &mut state.busy }
    }

    /// Counts a step as open and awaited until the guard is dropped.
    pub(crate) fn open(self: &Arc<Self>) -> Counted {
        self.lock().open += 1;
        Counted { journal: Arc::clone(self), count: |state| &mut state.open }
    }

    pub(crate) fn begin_poll(&self) {
        self.lock().polling = true;
    }

    pub(crate) fn end_poll(&self) {
        self.lock().polling = false;
    }

    /// What to do while the handler is not polled and has not ended.
    pub(crate) fn next(&self) -> Next {
        let state = self.lock();
        let rests = state.busy == 0 && state.open > 0 && !self.wake.is_woken();
        if state.in_flight.is_some() {
            Next::Wait
        } else if rests && state.pending_fit() {
            Next::Suspend
        } else if state.pending.is_empty() {
            Next::Wait
        } else {
            Next::Step
        }
    }

    pub(crate) fn pending_fit(&self) -> bool {
        self.lock().pending_fit()
    }

    /// Takes the outcomes of the next frame, which is in flight from now on.
    pub(crate) fn take_batch(&self) -> Vec<Box<RawValue>> {
        let mut state = self.lock();
        let count = state.batch_count();
        state.in_flight = Some(count as u64);
        state.pending.drain(..count).collect()
    }

    pub(crate) fn has_frame_in_flight(&self) -> bool {
        self.lock().in_flight.is_some()
    }

    /// The frame in flight is stored.
    pub(crate) fn acknowledge(&self, steps: Vec<StepRecord>) {
        let mut state = self.lock();
        state.stored += state.in_flight.take().unwrap_or(0);
        for step in steps {
            let id = step.id.clone();
            match Record::from(step) {
                Record::Open => {}
                record => drop(state.answers.insert(id, record)),
            }
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The frame in flight was refused; nothing that has happened in this job can be stored any more.
    pub(crate) fn discard(&self) {
        let mut state = self.lock();
        state.in_flight = None;
        state.pending.clear();
        state.unsettled.clear();
    }

    /// Changes the state. A step that the handler moved to another task must wake the job's task.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let polling = state.polling;
        drop(state);
        if !polling {
            self.wake.wake_by_ref();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn unique_id(&mut self, id: &str) -> Result<String, Error> {
        let mut unique = id.to_owned();
        while let Some(uses) = self.uses.get_mut(&unique) {
            *uses += 1;
            unique = format!("{id}#{}", self.uses[id]);
        }
        let length = unique.chars().count();
        if length == 0 || length > MOST_ID_CHARS {
            return Err(Error::InvalidStepId { length });
        }
        self.uses.insert(unique.clone(), 1);
        Ok(unique)
    }

    fn push(&mut self, outcome: Box<RawValue>) -> u64 {
        self.pending.push_back(outcome);
        self.made += 1;
        self.made
    }

    fn settle(&mut self) {
        for outcome in std::mem::take(&mut self.unsettled) {
            self.push(outcome);
        }
    }

    fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|other| other.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    fn pending_fit(&self) -> bool {
        self.batch_count() == self.pending.len()
    }

    fn batch_count(&self) -> usize {
        let sizes = self.pending.iter().scan(0, |total, outcome| {
            *total += outcome.get().len() + 1;
            Some(*total)
        });
        sizes.take_while(|total| *total <= MOST_BATCH_BYTES).count()
    }
}

/// A step that counts in the journal until this is dropped.
pub(crate) struct Counted {
    journal: Arc<Journal>,
    count: fn(&mut State) -> &mut usize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.journal.change(|state| *(self.count)(state) -= 1);
    }
}

fn encode_outcome(id: &str, outcome: &Outcome<'_>) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Identified<'a> {
        id: &'a str,
        #[serde(flatten)]
        outcome: &'a Outcome<'a>,
    }
    serde_json::value::to_raw_value(&Identified { id, outcome }).expect("outcomes are plain structs with text keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Arc<Journal> {
        Arc::new(Journal::new(Vec::new(), Arc::new(HandlerWake::new())))
    }

    #[test]
    fn ids_stay_unique_even_beside_ids_that_look_numbered() {
        let journal = journal();
        let ids: Vec<_> = ["a", "a", "a#2", "a", "b"].map(|id| journal.call(id).map(|call| call.id).ok()).into();
        assert_eq!(ids.into_iter().flatten().collect::<Vec<_>>(), ["a", "a#2", "a#2#2", "a#3", "b"]);
    }

    #[test]
    fn ids_outside_the_limits_are_refused() {
        let journal = journal();
        assert!(matches!(journal.call(""), Err(Error::InvalidStepId { length: 0 })));
        assert!(matches!(journal.call(&"é".repeat(201)), Err(Error::InvalidStepId { length: 201 })));
        assert!(journal.call(&"é".repeat(200)).is_ok());
    }

    #[test]
    fn large_outcomes_are_split_over_frames() -> Result<(), Error> {
        let journal = journal();
        let text = "x".repeat(200 * 1024);
        let result = json::encode(&text, || "a text".to_owned())?;
        for number in 0..20 {
            journal.add(&format!("step {number}"), &Outcome::Run { result: Some(&result), error: None });
        }
        assert!(!journal.pending_fit());
        assert_eq!(journal.take_batch().len(), 15);
        assert!(journal.pending_fit());
        journal.acknowledge(Vec::new());
        assert_eq!(journal.take_batch().len(), 5);
        Ok(())
    }
}
