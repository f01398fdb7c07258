//! The envelopes of a journal record, with what each is bound to.

use std::sync::Arc;

use claviger_crypto::{Binding, View};

use super::{BodyForm, EntryForm, FailureForm, JobEndForm, StateForm, StoredEntry};

/// What replaces an envelope.
pub(crate) trait Renew<E>: FnMut(&Binding<'_>, &[u8]) -> Result<Arc<[u8]>, E> {}

impl<E, F: FnMut(&Binding<'_>, &[u8]) -> Result<Arc<[u8]>, E>> Renew<E> for F {}

/// The run that a record belongs to, as its subject names it.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) environment: &'a str,
    pub(crate) run: &'a str,
}

/// Which body, as the form names it.
#[derive(Clone, Copy)]
enum Part<'a> {
    /// The input of this or an invoked run.
    Input(&'a str),
    Step(&'a str),
    /// What a step waits for.
    Condition(&'a str),
    Output,
    /// The error of an attempt.
    Error(u32),
}

impl<'a> Owner<'a> {
    fn binding(self, part: Part<'a>, view: View) -> Binding<'a> {
        let Owner { environment, run } = self;
        match part {
            Part::Input(run) => Binding::RunInput { environment, run },
            Part::Step(step) => Binding::StepResult { environment, run, step, view },
            Part::Condition(step) => Binding::StepCondition { environment, run, step },
            Part::Output => Binding::RunOutput { environment, run, view },
            Part::Error(attempt) => Binding::RunError { environment, run, attempt, view },
        }
    }
}

impl StoredEntry {
    /// Replaces every envelope by what `renew` makes of it.
    pub(crate) fn renew_envelopes<E>(&mut self, owner: Owner<'_>, renew: &mut impl Renew<E>) -> Result<(), E> {
        match &mut self.entry {
            EntryForm::Created { input, .. } => input.renew(owner, Part::Input(owner.run), renew),
            EntryForm::Progressed { outcomes, ending, .. } => {
                for (step, _, state) in outcomes {
                    state.renew(owner, step, renew)?;
                }
                match ending {
                    Some(ending) => ending.renew(owner, self.summary.attempt, renew),
                    None => Ok(()),
                }
            }
            EntryForm::Resolved { step, state } => state.renew(owner, step, renew),
            EntryForm::Claimed(_)
            | EntryForm::Extended { .. }
            | EntryForm::LookedUp { .. }
            | EntryForm::Released { .. }
            | EntryForm::Blocked { .. }
            | EntryForm::Unblocked
            | EntryForm::Cancelled { .. } => Ok(()),
        }
    }
}

impl StateForm {
    fn renew<E>(&mut self, owner: Owner<'_>, step: &str, renew: &mut impl Renew<E>) -> Result<(), E> {
        match self {
            StateForm::Finished(Some(body)) | StateForm::Failed(FailureForm::Error(body)) => {
                body.renew(owner, Part::Step(step), renew)
            }
            StateForm::Invoke { child, input: Some(input), .. } => input.renew(owner, Part::Input(child), renew),
            StateForm::Wait { condition: Some(body), .. } => body.renew(owner, Part::Condition(step), renew),
            StateForm::Finished(None)
            | StateForm::Failed(_)
            | StateForm::Sleep { .. }
            | StateForm::Wait { .. }
            | StateForm::Invoke { .. } => Ok(()),
        }
    }
}

impl JobEndForm {
    /// `attempt` is that of the run after this end.
    fn renew<E>(&mut self, owner: Owner<'_>, attempt: u32, renew: &mut impl Renew<E>) -> Result<(), E> {
        match self {
            JobEndForm::Completed(Some(body)) => body.renew(owner, Part::Output, renew),
            JobEndForm::Failed { failure: FailureForm::Error(body), retry_at } => {
                // The one that failed; when there will be another, the run is at that one already.
                let failed = attempt.saturating_sub(u32::from(retry_at.is_some()));
                body.renew(owner, Part::Error(failed), renew)
            }
            JobEndForm::Suspended | JobEndForm::Completed(None) | JobEndForm::Failed { .. } => Ok(()),
        }
    }
}

impl BodyForm {
    fn renew<'a, E>(&mut self, owner: Owner<'a>, part: Part<'a>, renew: &mut impl Renew<E>) -> Result<(), E> {
        self.s = renew(&owner.binding(part, View::True), &self.s)?;
        if let Some(view) = &mut self.v {
            view.0 = renew(&owner.binding(part, View::Redacted), &view.0)?;
        }
        Ok(())
    }
}
