//! The run state machine. A run is a journal; its state is the fold of the journal's entries.
//!
//! [`apply`] turns a command into the one entry to append; [`Run::fold`] turns an entry into the next
//! state; [`effects`] says what the engine has to do about a new state. Bodies (inputs, results,
//! errors) are opaque here: the engine seals and opens them.

mod apply;
mod effects;
mod fold;
mod id;
mod policy;

use std::{collections::BTreeMap, sync::Arc};

pub use apply::{Again, Command, Ending, Refused, Report, Reported, Transition, apply};
pub use effects::{Effect, effects};
pub use id::{BadRunId, BadStepId, RunId, StepId};
pub use policy::Retry;

use crate::{
    EnvironmentName, EventName, EventPosition, FunctionId, Pattern, Revision, Scope, SecretName, SpaceName, Timestamp,
    secret::SecretVersion,
};

/// Steps that one run may have.
pub const MAX_STEPS: usize = 1_000;

/// A run is failed after this many workers in a row were lost without progress.
pub const MAX_LOSSES: u32 = 20;

/// Versions of secrets that one job may be handed, with its claim and by looking them up.
pub const MAX_HANDED_OVER: usize = 1_000;

/// A sealed body: opaque bytes to the rules. The view is what people may see, when it differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The true body, sealed.
    pub sealed: Arc<[u8]>,
    /// The redacted view, sealed; `None` when nothing had to be masked.
    pub view: Option<Arc<[u8]>>,
}

/// What started a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The event's id.
    pub event_id: Arc<str>,
    /// The event's name.
    pub event_name: EventName,
    /// The space it happened in; `None` for the environment itself. The run works there too.
    pub space: Option<SpaceName>,
    /// When the event was stored.
    pub at: Timestamp,
    /// The event's data, sealed for this run; outlives the event stream.
    pub input: Body,
    /// The run and step that invoked this one.
    pub parent: Option<(RunId, StepId)>,
}

/// A claim about to be recorded: who takes the run, until when, with which secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewClaim {
    /// The connection that holds it: server process and session.
    pub holder: Arc<str>,
    /// When the lease is over unless extended.
    pub lease_until: Timestamp,
    /// The secrets handed over with it.
    pub secrets: Vec<SecretVersion>,
}

/// A recorded claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The revision of the record that made it: the fence.
    pub fence: Revision,
    /// Who holds it.
    pub holder: Arc<str>,
    /// When the lease is over.
    pub lease_until: Timestamp,
}

/// One hand-over of secrets: those of a claim, or what its holder looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When.
    pub at: Timestamp,
    /// In which attempt.
    pub attempt: u32,
    /// Under which claim.
    pub fence: Revision,
    /// The environment whose secrets they are: the run's, unless they were looked up in another.
    pub environment: EnvironmentName,
    /// Which values.
    pub secrets: Vec<SecretVersion>,
}

/// How a step stands. A body of `None` stands for `null`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepState {
    /// It has a result.
    Finished(Option<Body>),
    /// It has an error that the function went past.
    Failed(Failure),
    /// It waits.
    Open(Open),
}

/// What an open step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open {
    /// An instant.
    Sleep {
        /// The instant.
        until: Timestamp,
    },
    /// An event.
    Wait {
        /// Its name's pattern.
        pattern: Pattern,
        /// A condition on its data, in the engine's form. It may hold anything that the run knows.
        condition: Option<Body>,
        /// Finish with `null` then.
        until: Option<Timestamp>,
        /// Look at events after this.
        after: EventPosition,
    },
    /// Another run.
    Invoke {
        /// The function.
        function: FunctionId,
        /// The run, whose id is derived from this one and the step.
        child: RunId,
        /// What it is given.
        input: Option<Body>,
        /// Fail then.
        until: Option<Timestamp>,
    },
}

impl Open {
    /// When time alone finishes the step.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        match self {
            Open::Sleep { until } => Some(*until),
            Open::Wait { until, .. } | Open::Invoke { until, .. } => *until,
        }
    }
}

/// Which call of the SDK made a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepKind {
    /// `step.run`
    Run,
    /// `step.sleep`, `step.sleepUntil`
    Sleep,
    /// `step.waitForEvent`
    WaitForEvent,
    /// `step.invoke`
    Invoke,
    /// `step.sendEvent`
    SendEvent,
}

/// A memoised part of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is.
    pub kind: StepKind,
    /// How it stands.
    pub state: StepState,
    /// Its place in the order in which steps were first recorded.
    pub order: u32,
    /// When it was last changed.
    pub at: Timestamp,
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The code said so: name, message and stack, sealed.
    Error(Body),
    /// The job took longer than the function's timeout.
    TimedOut,
    /// Too many workers in a row were lost.
    Lost,
    /// What was invoked was cancelled.
    Cancelled,
    /// What was invoked does not exist.
    NoFunction,
}

/// Where a run is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Ready to be claimed.
    Queued,
    /// Held by a worker.
    Running,
    /// Everything it waits for is open.
    Suspended,
    /// The next attempt starts then.
    Retrying {
        /// When.
        at: Timestamp,
    },
    /// Required secrets are not set.
    Blocked {
        /// Their names.
        missing: Vec<SecretName>,
    },
    /// Over.
    Ended(End),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With a result.
    Completed(Option<Body>),
    /// With an error.
    Failed(Failure),
    /// By somebody.
    Cancelled {
        /// Who.
        by: Arc<str>,
        /// Why, in their words.
        reason: Option<String>,
    },
}

/// A run's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its environment.
    pub environment: EnvironmentName,
    /// The function it executes.
    pub function: FunctionId,
    /// What started it.
    pub cause: Cause,
    /// How attempts are repeated, as declared when it was created.
    pub retry: Retry,
    /// Where it is.
    pub phase: Phase,
    /// Attempts that failed.
    pub failures: u32,
    /// Workers lost in a row without progress.
    pub losses: u32,
    /// Hand-overs that failed in a row: secrets that could not be opened, or whose audit could not be stored.
    pub undelivered: u32,
    /// An open step was finished while a worker held the run and could not see it.
    pub unseen: bool,
    /// Who holds it.
    pub claim: Option<Claim>,
    /// Its steps by id.
    pub steps: BTreeMap<StepId, Step>,
    /// The latest error of a failed attempt.
    pub last_failure: Option<Failure>,
    /// The hand-overs of secrets.
    pub deliveries: Vec<Delivery>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was first claimed.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The revision of its last record.
    pub last: Revision,
}

impl Run {
    /// Where its secrets are looked for.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope { environment: self.environment.clone(), space: self.cause.space.clone() }
    }

    /// The hand-overs under a claim.
    pub fn deliveries_under(&self, fence: Revision) -> impl Iterator<Item = &Delivery> {
        self.deliveries.iter().rev().take_while(move |delivery| delivery.fence == fence)
    }

    /// The number of the present or next attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        match &self.phase {
            // The attempt whose workers were lost did not fail by itself.
            Phase::Ended(End::Failed(Failure::Lost)) => self.failures + 1,
            // A run that failed for good has as many attempts as failures.
            Phase::Ended(End::Failed(_)) => self.failures.max(1),
            _ => self.failures + 1,
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// Whether a worker may claim it now. A held run may be claimed once its lease is over.
    #[must_use]
    pub fn is_ready(&self, now: Timestamp) -> bool {
        match &self.phase {
            Phase::Queued => true,
            Phase::Running => self.claim.as_ref().is_some_and(|claim| claim.lease_until <= now),
            Phase::Suspended => self.open_due_at().is_some_and(|at| at <= now),
            Phase::Retrying { at } => *at <= now,
            Phase::Blocked { .. } | Phase::Ended(_) => false,
        }
    }

    /// The instant at which time alone makes the run ready, if there is one.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Running => self.claim.as_ref().map(|claim| claim.lease_until),
            Phase::Suspended => self.open_due_at(),
            Phase::Retrying { at } => Some(*at),
            Phase::Queued | Phase::Blocked { .. } | Phase::Ended(_) => None,
        }
    }

    /// The steps that wait, in order of their ids.
    pub fn open_steps(&self) -> impl Iterator<Item = (&StepId, &Open)> {
        self.steps.iter().filter_map(|(id, step)| match &step.state {
            StepState::Open(open) => Some((id, open)),
            _ => None,
        })
    }

    fn open_due_at(&self) -> Option<Timestamp> {
        self.open_steps().filter_map(|(_, open)| open.due_at()).min()
    }
}

/// A journal record's content. The journal's first entry is [`Entry::Created`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The run exists; it may be claimed by the same record.
    Created {
        /// Its environment.
        environment: EnvironmentName,
        /// The function.
        function: FunctionId,
        /// What started it.
        cause: Cause,
        /// How attempts are repeated.
        retry: Retry,
        /// The first claim.
        claim: Option<NewClaim>,
    },
    /// A worker took it. Open steps that are due are finished by this.
    Claimed(NewClaim),
    /// The lease goes on.
    Extended {
        /// The claim.
        fence: Revision,
        /// Until when.
        lease_until: Timestamp,
    },
    /// The holder looks secrets up: noted before it is told them.
    LookedUp {
        /// The claim.
        fence: Revision,
        /// The environment whose secrets they are.
        environment: EnvironmentName,
        /// Which values.
        secrets: Vec<SecretVersion>,
    },
    /// The holder reported outcomes, and perhaps the end of its job.
    Progressed {
        /// The claim.
        fence: Revision,
        /// New steps, in order.
        outcomes: Vec<(StepId, StepKind, StepState)>,
        /// The end of the job.
        ending: Option<JobEnd>,
    },
    /// An open step was finished by the engine.
    Resolved {
        /// The step.
        step: StepId,
        /// Its outcome.
        state: StepState,
    },
    /// The claim was given up.
    Released {
        /// The claim.
        fence: Revision,
        /// Why.
        reason: Release,
        /// What follows.
        then: Phase,
    },
    /// Required secrets are not set.
    Blocked {
        /// Their names.
        missing: Vec<SecretName>,
    },
    /// They may be set now.
    Unblocked,
    /// Somebody ended it.
    Cancelled {
        /// Who.
        by: Arc<str>,
        /// Why.
        reason: Option<String>,
    },
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// All it waits for is open.
    Suspended,
    /// The function returned.
    Completed(Option<Body>),
    /// The attempt failed; the next one starts then, or never.
    Failed {
        /// Why.
        failure: Failure,
        /// When the next attempt starts.
        retry_at: Option<Timestamp>,
    },
}

/// Why a claim was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Release {
    /// The worker or its connection went away.
    Lost,
    /// The server gave it back: it stops, or had stopped.
    Withheld,
    /// Secrets could not be delivered, and so nothing was handed over.
    Undelivered,
}
