//! What the engine has to do about a new state.

use super::{Open, Phase, Run, RunId, StepId, StepState};
use crate::Timestamp;

/// Something to do outside the journal. All are safe to repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Offer the run to workers.
    Offer,
    /// Look at the run again then.
    WakeAt(Timestamp),
    /// Watch events for this open step.
    Watch(StepId),
    /// Start the run that this open step invokes.
    Invoke(StepId, RunId),
    /// Watch for required secrets that are not set.
    AwaitSecrets,
    /// Tell the run that invoked this one.
    TellParent(RunId, StepId),
}

/// What has to be done after a run went from one state to another. From `None`, as after a restart:
/// everything that its state asks for.
#[must_use]
pub fn effects(before: Option<&Run>, after: &Run) -> Vec<Effect> {
    let mut effects = Vec::new();
    let is_new_phase = before.map(|run| &run.phase) != Some(&after.phase);
    if is_new_phase {
        match &after.phase {
            Phase::Queued => effects.push(Effect::Offer),
            Phase::Blocked { .. } => effects.push(Effect::AwaitSecrets),
            Phase::Ended(_) => {
                effects.extend(after.cause.parent.clone().map(|(run, step)| Effect::TellParent(run, step)));
            }
            _ => {}
        }
    }
    let due = after.due_at();
    // An alarm of another phase may have rung already, also one for the same instant.
    if is_new_phase || due != before.and_then(Run::due_at) {
        effects.extend(due.map(Effect::WakeAt));
    }
    if !after.has_ended() {
        for (id, open) in after.open_steps() {
            let known = before.and_then(|run| run.steps.get(id)).is_some_and(|s| matches!(s.state, StepState::Open(_)));
            match open {
                _ if known => {}
                Open::Wait { .. } => effects.push(Effect::Watch(id.clone())),
                Open::Invoke { child, .. } => effects.push(Effect::Invoke(id.clone(), *child)),
                Open::Sleep { .. } => {}
            }
        }
    }
    effects
}
