//! What an entry makes of a run.

use std::collections::BTreeMap;

use super::{
    Claim, Delivery, End, Entry, Failure, JobEnd, NewClaim, Open, Phase, Release, Run, RunId, Step, StepId, StepKind,
    StepState,
};
use crate::{EnvironmentName, Revision, Timestamp, secret::SecretVersion};

/// Where an entry stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// Its revision.
    pub revision: Revision,
    /// When it was made.
    pub at: Timestamp,
}

impl Run {
    /// Folds one entry. `None` when the entry cannot follow this state: the journal is damaged.
    #[must_use]
    pub fn fold(run: Option<Run>, id: RunId, entry: &Entry, revision: Revision, at: Timestamp) -> Option<Run> {
        let here = At { revision, at };
        match (run, entry) {
            (None, Entry::Created { .. }) => created(id, entry, here),
            (Some(mut run), entry) if !run.has_ended() && run.id == id => {
                run.last = revision;
                run.advance(entry, here)?;
                Some(run)
            }
            _ => None,
        }
    }

    fn advance(&mut self, entry: &Entry, here: At) -> Option<()> {
        match entry {
            Entry::Created { .. } => return None,
            Entry::Claimed(claim) => self.take(claim, here),
            Entry::Extended { fence, lease_until } => self.held(*fence)?.lease_until = *lease_until,
            Entry::LookedUp { fence, environment, secrets } => {
                self.held(*fence)?;
                self.deliver(environment.clone(), secrets, *fence, here.at);
            }
            Entry::Progressed { fence, outcomes, ending } => {
                self.held(*fence)?;
                (self.losses, self.undelivered) = (0, 0);
                for (step, kind, state) in outcomes {
                    self.record(step, *kind, state, here.at);
                }
                if let Some(ending) = ending {
                    self.end_job(ending, here.at);
                }
            }
            Entry::Resolved { step, state } => self.resolve(step, state, here.at)?,
            Entry::Released { fence, reason, then } => {
                self.held(*fence)?;
                self.claim = None;
                self.losses += u32::from(*reason == Release::Lost);
                self.undelivered += u32::from(*reason == Release::Undelivered);
                self.enter(then.clone(), here.at);
            }
            Entry::Blocked { missing } => {
                // A claim that was over may stand there still.
                self.claim = None;
                self.enter(Phase::Blocked { missing: missing.clone() }, here.at);
            }
            Entry::Unblocked => self.enter(Phase::Queued, here.at),
            Entry::Cancelled { by, reason } => {
                self.enter(Phase::Ended(End::Cancelled { by: by.clone(), reason: reason.clone() }), here.at);
            }
        }
        Some(())
    }

    fn held(&mut self, fence: Revision) -> Option<&mut Claim> {
        self.claim.as_mut().filter(|claim| claim.fence == fence)
    }

    fn take(&mut self, claim: &NewClaim, here: At) {
        self.finish_due(here.at);
        self.unseen = false;
        self.started_at = self.started_at.or(Some(here.at));
        self.deliver(self.environment.clone(), &claim.secrets, here.revision, here.at);
        let recorded = Claim { fence: here.revision, holder: claim.holder.clone(), lease_until: claim.lease_until };
        self.claim = Some(recorded);
        self.phase = Phase::Running;
    }

    fn deliver(&mut self, environment: EnvironmentName, secrets: &[SecretVersion], fence: Revision, at: Timestamp) {
        let (attempt, secrets) = (self.attempt(), secrets.to_vec());
        self.deliveries.push(Delivery { at, attempt, fence, environment, secrets });
    }

    /// Time finishes open steps when the run is claimed, so that every replay sees the same.
    fn finish_due(&mut self, now: Timestamp) {
        for step in self.steps.values_mut() {
            let StepState::Open(open) = &step.state else { continue };
            if open.due_at().is_none_or(|at| at > now) {
                continue;
            }
            step.state = match open {
                Open::Sleep { .. } | Open::Wait { .. } => StepState::Finished(None),
                Open::Invoke { .. } => StepState::Failed(Failure::TimedOut),
            };
            step.at = now;
        }
    }

    fn record(&mut self, id: &StepId, kind: StepKind, state: &StepState, at: Timestamp) {
        let order = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        self.steps.entry(id.clone()).or_insert_with(|| Step { kind, state: state.clone(), order, at });
    }

    fn resolve(&mut self, id: &StepId, state: &StepState, at: Timestamp) -> Option<()> {
        let step = self.steps.get_mut(id)?;
        if !matches!(step.state, StepState::Open(_)) {
            return None;
        }
        step.state = state.clone();
        step.at = at;
        match self.phase {
            Phase::Suspended => self.phase = Phase::Queued,
            Phase::Running => self.unseen = true,
            _ => {}
        }
        Some(())
    }

    fn end_job(&mut self, ending: &JobEnd, at: Timestamp) {
        self.claim = None;
        match ending {
            JobEnd::Suspended => {
                let blind = self.unseen || self.open_steps().next().is_none();
                self.enter(if blind { Phase::Queued } else { Phase::Suspended }, at);
            }
            JobEnd::Completed(result) => self.enter(Phase::Ended(End::Completed(result.clone())), at),
            JobEnd::Failed { failure, retry_at } => {
                self.failures += 1;
                self.last_failure = Some(failure.clone());
                match retry_at {
                    Some(at_next) => self.enter(Phase::Retrying { at: *at_next }, at),
                    None => self.enter(Phase::Ended(End::Failed(failure.clone())), at),
                }
            }
        }
    }

    fn enter(&mut self, phase: Phase, at: Timestamp) {
        if matches!(phase, Phase::Ended(_)) {
            self.claim = None;
            self.ended_at = Some(at);
        }
        self.phase = phase;
    }
}

fn created(id: RunId, entry: &Entry, here: At) -> Option<Run> {
    let Entry::Created { environment, function, cause, retry, claim } = entry else { return None };
    let mut run = Run {
        id,
        environment: environment.clone(),
        function: function.clone(),
        cause: cause.clone(),
        retry: *retry,
        phase: Phase::Queued,
        failures: 0,
        losses: 0,
        undelivered: 0,
        unseen: false,
        claim: None,
        steps: BTreeMap::new(),
        last_failure: None,
        deliveries: Vec::new(),
        created_at: here.at,
        started_at: None,
        ended_at: None,
        last: here.revision,
    };
    if let Some(claim) = claim {
        run.take(claim, here);
    }
    Some(run)
}
