//! What a ciphertext is.

use crate::{DataKeyId, fields::Fields};

/// What an envelope holds and where it belongs. Sealed in as associated data: an envelope opens under
/// the very binding it was sealed with and no other, so that a record that was moved, renamed, or put
/// back in place of a newer one does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding<'a> {
    /// One version of a secret.
    Secret {
        /// The environment.
        environment: &'a str,
        /// The space, or `None` for the environment's own secret.
        space: Option<&'a str>,
        /// The full name.
        name: &'a str,
        /// The version, from 1.
        version: u64,
        /// The metadata that decides who may see the value, in a canonical form.
        metadata: &'a [u8],
    },
    /// The data of an event.
    Event {
        /// The environment.
        environment: &'a str,
        /// The event's id.
        event_id: &'a str,
    },
    /// The input of a run.
    RunInput {
        /// The environment.
        environment: &'a str,
        /// The run's id.
        run: &'a str,
    },
    /// The result of a step.
    StepResult {
        /// The environment.
        environment: &'a str,
        /// The run's id.
        run: &'a str,
        /// The step's id.
        step: &'a str,
        /// The true body or the one to show.
        view: View,
    },
    /// What a step waits for: the condition on an event's data.
    StepCondition {
        /// The environment.
        environment: &'a str,
        /// The run's id.
        run: &'a str,
        /// The step's id.
        step: &'a str,
    },
    /// The output of a run.
    RunOutput {
        /// The environment.
        environment: &'a str,
        /// The run's id.
        run: &'a str,
        /// The true body or the one to show.
        view: View,
    },
    /// The error with which an attempt of a run ended.
    RunError {
        /// The environment.
        environment: &'a str,
        /// The run's id.
        run: &'a str,
        /// The attempt, from 1.
        attempt: u32,
        /// The true body or the one to show.
        view: View,
    },
}

/// Which of the two bodies of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// What the code produced; goes to workers only.
    True,
    /// The same with secret values masked; goes to people.
    Redacted,
}

impl View {
    fn as_str(self) -> &'static str {
        match self {
            View::True => "true",
            View::Redacted => "redacted",
        }
    }
}

impl<'a> Binding<'a> {
    /// The environment: decides whose data key is used.
    #[must_use]
    pub fn environment(&self) -> &'a str {
        match self {
            Binding::Secret { environment, .. }
            | Binding::Event { environment, .. }
            | Binding::RunInput { environment, .. }
            | Binding::StepResult { environment, .. }
            | Binding::StepCondition { environment, .. }
            | Binding::RunOutput { environment, .. }
            | Binding::RunError { environment, .. } => environment,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Binding::Secret { .. } => "secret",
            Binding::Event { .. } => "event",
            Binding::RunInput { .. } => "run-input",
            Binding::StepResult { .. } => "step-result",
            Binding::StepCondition { .. } => "step-condition",
            Binding::RunOutput { .. } => "run-output",
            Binding::RunError { .. } => "run-error",
        }
    }

    /// The associated data of an envelope: format, kind, data key, environment, then what identifies
    /// this one among its kind.
    pub(crate) fn associated_data(&self, format: u8, data_key: DataKeyId) -> Vec<u8> {
        let fields = Fields::new(format, self.kind()).bytes(&data_key.to_bytes()).text(self.environment());
        match *self {
            Binding::Secret { environment: _, space, name, version, metadata } => {
                fields.optional_text(space).text(name).number(version).bytes(metadata)
            }
            Binding::Event { environment: _, event_id } => fields.text(event_id),
            Binding::RunInput { environment: _, run } => fields.text(run),
            Binding::StepResult { environment: _, run, step, view } => fields.text(run).text(step).text(view.as_str()),
            Binding::StepCondition { environment: _, run, step } => fields.text(run).text(step),
            Binding::RunOutput { environment: _, run, view } => fields.text(run).text(view.as_str()),
            Binding::RunError { environment: _, run, attempt, view } => {
                fields.text(run).number(attempt.into()).text(view.as_str())
            }
        }
        .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Texts that run into their neighbors, and that look like lengths and markers.
    const TEXTS: [&str; 6] = ["", "a", "aa", "\0", "\0\0\0\0\0\0\0\u{1}a", "true"];

    fn secrets() -> impl Iterator<Item = Binding<'static>> {
        let spaces = || TEXTS.into_iter().map(Some).chain([None]);
        TEXTS.into_iter().flat_map(move |environment| {
            spaces().flat_map(move |space| {
                TEXTS.into_iter().flat_map(move |name| {
                    [0, 1, 97, u64::MAX].into_iter().flat_map(move |version| {
                        TEXTS.map(str::as_bytes).map(|metadata| Binding::Secret {
                            environment,
                            space,
                            name,
                            version,
                            metadata,
                        })
                    })
                })
            })
        })
    }

    fn others() -> impl Iterator<Item = Binding<'static>> {
        TEXTS.into_iter().flat_map(|environment| {
            TEXTS.into_iter().flat_map(move |run| {
                let step = |view| move |step| Binding::StepResult { environment, run, step, view };
                let view = move |view| {
                    let attempt = |attempt| Binding::RunError { environment, run, attempt, view };
                    [Binding::RunOutput { environment, run, view }, attempt(1), attempt(u32::MAX)]
                };
                [Binding::Event { environment, event_id: run }, Binding::RunInput { environment, run }]
                    .into_iter()
                    .chain(TEXTS.map(step(View::True)))
                    .chain(TEXTS.map(step(View::Redacted)))
                    .chain(TEXTS.map(|step| Binding::StepCondition { environment, run, step }))
                    .chain(view(View::True))
                    .chain(view(View::Redacted))
            })
        })
    }

    #[test]
    fn different_bindings_and_data_keys_have_different_associated_data() {
        let mut seen = HashMap::new();
        for id in [DataKeyId::from_bytes([0; 8]), DataKeyId::from_bytes([b'a'; 8])] {
            for binding in secrets().chain(others()) {
                let former = seen.insert(binding.associated_data(1, id), (id, binding));
                assert_eq!(former, None, "{binding:?}");
            }
        }
        assert_eq!(seen.len(), 2 * (6 * 7 * 6 * 4 * 6 + 6 * 6 * (2 + 12 + 6 + 6)));
    }
}
