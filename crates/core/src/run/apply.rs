//! What a command makes of a run: the one entry to append, or a refusal.

use std::{sync::Arc, time::Duration};

use super::policy::{delay_after_losses, delay_after_undelivered};
use super::{
    End, Entry, Failure, JobEnd, MAX_HANDED_OVER, MAX_LOSSES, MAX_STEPS, NewClaim, Phase, Release, Run, StepId,
    StepKind, StepState,
};
use crate::{EnvironmentName, Revision, SecretName, Timestamp, secret::SecretVersion};

/// Something that is to happen to a run.
#[derive(Clone, Debug)]
pub enum Command {
    /// A worker takes it.
    Claim(NewClaim),
    /// Its holder goes on holding it.
    Extend {
        /// The claim.
        fence: Revision,
        /// Until when.
        lease_until: Timestamp,
    },
    /// Its holder looks secrets up. What is noted under the claim already is not noted again.
    LookUp {
        /// The claim.
        fence: Revision,
        /// The environment whose secrets they are.
        environment: EnvironmentName,
        /// Which values.
        secrets: Vec<SecretVersion>,
    },
    /// Its holder reports.
    Report(Report),
    /// The engine finishes an open step: an event came, an invoked run ended.
    Resolve {
        /// The step.
        step: StepId,
        /// Its outcome.
        state: StepState,
    },
    /// The claim is given up.
    Release {
        /// The claim.
        fence: Revision,
        /// Why.
        reason: Release,
    },
    /// Its job took too long.
    TimeOut {
        /// The claim.
        fence: Revision,
    },
    /// Required secrets are not set.
    Block {
        /// Their names.
        missing: Vec<SecretName>,
    },
    /// One of them was set.
    Unblock,
    /// Somebody ends it.
    Cancel {
        /// Who.
        by: Arc<str>,
        /// Why.
        reason: Option<String>,
    },
}

/// What a holder reports in one frame.
#[derive(Clone, Debug)]
pub struct Report {
    /// The claim.
    pub fence: Revision,
    /// Outcomes, in order.
    pub outcomes: Vec<Reported>,
    /// The end of the job.
    pub ending: Option<Ending>,
}

/// One reported step: finished, failed or open.
#[derive(Clone, Debug)]
pub struct Reported {
    /// The step.
    pub id: StepId,
    /// Its kind.
    pub kind: StepKind,
    /// Its outcome.
    pub state: StepState,
}

/// How the holder says its job ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// Everything it waits for is open.
    Suspend,
    /// The function returned.
    Complete(Option<super::Body>),
    /// The attempt failed.
    Fail {
        /// Why.
        failure: Failure,
        /// Whether, and how soon, another attempt makes sense.
        again: Again,
    },
}

/// What a failed attempt says about the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// After the function's own backoff.
    Backoff,
    /// After this pause.
    After(Duration),
    /// Never.
    Never,
}

/// What comes of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The entry to append, guarded by the run's last revision; `None` when nothing changes.
    pub entry: Option<Entry>,
}

/// Why a command was refused. Nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The run is over.
    #[error("the run has ended")]
    Ended,
    /// It is held by somebody, waits, or is blocked.
    #[error("the run is not ready")]
    NotReady,
    /// The claim is not, or no longer, the one that counts.
    #[error("the claim no longer stands")]
    Lost,
    /// The step is not open.
    #[error("the step is not open")]
    NotOpen,
    /// More steps than a run may have.
    #[error("a run has at most {MAX_STEPS} steps")]
    TooManySteps,
    /// More versions of secrets than a job may be handed.
    #[error("a job is handed at most {MAX_HANDED_OVER} versions of secrets")]
    TooManySecrets,
}

/// The whole state machine: what a command makes of a run at an instant.
///
/// # Errors
/// [`Refused`], and nothing changes.
pub fn apply(run: &Run, command: Command, now: Timestamp) -> Result<Transition, Refused> {
    if run.has_ended() {
        return Err(Refused::Ended);
    }
    let entry = match command {
        Command::Claim(claim) => claimed(run, claim, now)?,
        Command::Extend { fence, lease_until } => {
            check(run, fence)?;
            Entry::Extended { fence, lease_until }
        }
        Command::LookUp { fence, environment, secrets } => return looked_up(run, fence, environment, secrets),
        Command::Report(report) => return reported(run, report, now),
        Command::Resolve { step, state } => {
            let open = run.steps.get(&step).is_some_and(|step| matches!(step.state, StepState::Open(_)));
            if !open {
                return Err(Refused::NotOpen);
            }
            Entry::Resolved { step, state }
        }
        Command::Release { fence, reason } => {
            check(run, fence)?;
            Entry::Released { fence, reason, then: after_release(run, reason, now) }
        }
        Command::TimeOut { fence } => {
            check(run, fence)?;
            let ending = failed(run, Failure::TimedOut, Again::Backoff, now);
            Entry::Progressed { fence, outcomes: Vec::new(), ending: Some(ending) }
        }
        Command::Block { missing } if run.is_ready(now) => Entry::Blocked { missing },
        Command::Block { .. } => return Err(Refused::NotReady),
        Command::Unblock => match run.phase {
            Phase::Blocked { .. } => Entry::Unblocked,
            _ => return Err(Refused::NotReady),
        },
        Command::Cancel { by, reason } => Entry::Cancelled { by, reason },
    };
    Ok(Transition { entry: Some(entry) })
}

fn check(run: &Run, fence: Revision) -> Result<(), Refused> {
    match &run.claim {
        Some(claim) if claim.fence == fence => Ok(()),
        _ => Err(Refused::Lost),
    }
}

fn claimed(run: &Run, claim: NewClaim, now: Timestamp) -> Result<Entry, Refused> {
    if run.is_ready(now) { Ok(Entry::Claimed(claim)) } else { Err(Refused::NotReady) }
}

fn looked_up(
    run: &Run,
    fence: Revision,
    environment: EnvironmentName,
    mut secrets: Vec<SecretVersion>,
) -> Result<Transition, Refused> {
    check(run, fence)?;
    let is_noted = |secret: &SecretVersion| {
        let mut here = run.deliveries_under(fence).filter(|delivery| delivery.environment == environment);
        here.any(|delivery| delivery.secrets.contains(secret))
    };
    secrets.sort_unstable();
    secrets.dedup();
    secrets.retain(|secret| !is_noted(secret));
    let noted: usize = run.deliveries_under(fence).map(|delivery| delivery.secrets.len()).sum();
    if secrets.is_empty() {
        return Ok(Transition { entry: None });
    }
    if noted + secrets.len() > MAX_HANDED_OVER {
        return Err(Refused::TooManySecrets);
    }
    Ok(Transition { entry: Some(Entry::LookedUp { fence, environment, secrets }) })
}

fn reported(run: &Run, report: Report, now: Timestamp) -> Result<Transition, Refused> {
    check(run, report.fence)?;
    let mut outcomes: Vec<(StepId, StepKind, StepState)> = Vec::with_capacity(report.outcomes.len());
    for Reported { id, kind, state } in report.outcomes {
        let known = run.steps.contains_key(&id) || outcomes.iter().any(|(other, _, _)| *other == id);
        if !known {
            outcomes.push((id, kind, state));
        }
    }
    if run.steps.len() + outcomes.len() > MAX_STEPS {
        return Err(Refused::TooManySteps);
    }
    let ending = report.ending.map(|ending| match ending {
        Ending::Suspend => JobEnd::Suspended,
        Ending::Complete(result) => JobEnd::Completed(result),
        Ending::Fail { failure, again } => failed(run, failure, again, now),
    });
    if outcomes.is_empty() && ending.is_none() {
        return Ok(Transition { entry: None });
    }
    Ok(Transition { entry: Some(Entry::Progressed { fence: report.fence, outcomes, ending }) })
}

fn failed(run: &Run, failure: Failure, again: Again, now: Timestamp) -> JobEnd {
    let backoff = run.retry.delay_after(run.failures + 1);
    let pause = match again {
        Again::Never => None,
        Again::Backoff => backoff,
        Again::After(pause) => backoff.map(|_| pause),
    };
    JobEnd::Failed { failure, retry_at: pause.map(|pause| now.plus(pause)) }
}

fn after_release(run: &Run, reason: Release, now: Timestamp) -> Phase {
    match reason {
        Release::Withheld => Phase::Queued,
        Release::Undelivered => Phase::Retrying { at: now.plus(delay_after_undelivered(run.undelivered + 1)) },
        Release::Lost if run.losses + 1 >= MAX_LOSSES => Phase::Ended(End::Failed(Failure::Lost)),
        Release::Lost => match delay_after_losses(run.losses + 1) {
            Duration::ZERO => Phase::Queued,
            pause => Phase::Retrying { at: now.plus(pause) },
        },
    }
}
