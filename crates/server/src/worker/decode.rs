//! From frames to the engine's words.

use std::time::Duration;

use claviger_api::{
    DeclaredSecret, FunctionFailure, MatchCondition, Retry,
    worker::{self, Hello, LookupFrame, Outcome, RunFrame, WorkerFunction},
};
use claviger_core::{
    EnvironmentName, Revision, Timestamp,
    run::{self, RunId},
};
use claviger_engine::{
    Error,
    runtime::{
        self, Condition, Frame, FrameEnd, FunctionError, FunctionSpec, JobReport, Lookup, LookupId, LookupSpace, Made,
        Registration, Retryable, Trigger,
    },
};

/// Which of the frames about a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Step,
    Suspend,
    Complete,
    Fail,
}

/// Why a frame about a run goes no further.
#[derive(Debug)]
pub(super) enum Undecoded {
    /// Run or fence are not of our making, so no claim of this worker's.
    Lost { run: String, fence: String },
    /// An outcome breaks a rule.
    Refused { run: RunId, fence: Revision, error: Error },
    /// A look-up asks for what cannot be.
    Unanswered { run: RunId, fence: Revision, id: LookupId, error: Error },
}

/// What `hello` declares.
pub(super) fn registration(hello: Hello, environment: EnvironmentName) -> Result<Registration, Error> {
    let functions = hello.functions.into_iter().map(function).collect::<Result<_, _>>()?;
    Ok(Registration { environment, functions, credit: hello.credit, worker: hello.worker })
}

fn function(declared: WorkerFunction) -> Result<FunctionSpec, Error> {
    let spaces = declared.spaces.map(|names| names.iter().map(|name| name.parse()).collect::<Result<_, _>>());
    Ok(FunctionSpec {
        id: declared.id.parse()?,
        triggers: declared.triggers.into_iter().map(trigger).collect::<Result<_, _>>()?,
        spaces: spaces.transpose()?,
        secrets: declared.secrets.iter().map(secret).collect::<Result<_, _>>()?,
        lookups: declared.lookups,
        retry: declared.retry.map(retry).unwrap_or_default(),
        concurrency: declared.concurrency.map(|concurrency| concurrency.limit),
        timeout: declared.timeout_ms.map(Duration::from_millis),
    })
}

fn trigger(declared: worker::Trigger) -> Result<Trigger, Error> {
    Ok(Trigger { event: declared.event.parse()?, conditions: declared.r#match.into_iter().map(condition).collect() })
}

fn secret(declared: &DeclaredSecret) -> Result<runtime::DeclaredSecret, Error> {
    Ok(runtime::DeclaredSecret { name: declared.name.parse()?, required: declared.required })
}

fn retry(declared: Retry) -> run::Retry {
    run::Retry {
        max_attempts: declared.max_attempts,
        initial_delay: Duration::from_millis(declared.initial_delay_ms),
        backoff_factor: declared.backoff_factor,
        max_delay: Duration::from_millis(declared.max_delay_ms),
    }
}

/// A frame about a run.
pub(super) fn frame(kind: Kind, frame: RunFrame) -> Result<Frame, Undecoded> {
    let (run, fence) = claim(frame.run, frame.fence)?;
    let outcomes = frame.outcomes.into_iter().map(outcome).collect::<Result<_, _>>();
    let outcomes = outcomes.map_err(|error| Undecoded::Refused { run, fence, error })?;
    let ending = match kind {
        Kind::Step => None,
        Kind::Suspend => Some(FrameEnd::Suspend),
        Kind::Complete => Some(FrameEnd::Complete(frame.result)),
        Kind::Fail => Some(FrameEnd::Fail {
            error: failure(frame.error.unwrap_or_default()),
            retryable: match (frame.retryable, frame.retry_after_ms) {
                (Some(false), _) => Retryable::No,
                (_, Some(pause)) => Retryable::After(Duration::from_millis(pause)),
                (_, None) => Retryable::Yes,
            },
        }),
    };
    Ok(Frame::Report(JobReport { run, fence, outcomes, ending }))
}

/// A question for a secret.
pub(super) fn lookup(frame: LookupFrame) -> Result<Frame, Undecoded> {
    let (run, fence) = claim(frame.run, frame.fence)?;
    let id: LookupId = frame.id.parse().map_err(|error| Undecoded::Refused { run, fence, error })?;
    let asked = || {
        let environment = frame.environment.map(|name| name.parse()).transpose()?;
        let space = match frame.space {
            worker::LookupSpace::OfJob => LookupSpace::OfJob,
            worker::LookupSpace::None => LookupSpace::Environment,
            worker::LookupSpace::Named(name) => LookupSpace::Named(name.parse()?),
        };
        Ok(Lookup { run, fence, id: id.clone(), name: frame.name.parse()?, environment, space })
    };
    asked().map(Frame::Lookup).map_err(|error: Error| Undecoded::Unanswered { run, fence, id, error })
}

/// The run and the claim that a frame names.
fn claim(run: String, fence: String) -> Result<(RunId, Revision), Undecoded> {
    match (run.parse(), fence.parse()) {
        (Ok(run), Ok(fence)) => Ok((run, Revision(fence))),
        _ => Err(Undecoded::Lost { run, fence }),
    }
}

fn outcome(outcome: Outcome) -> Result<runtime::Outcome, Error> {
    let id = outcome.id.parse().map_err(|error: run::BadStepId| invalid(error.to_string()))?;
    let missing = |member: &str| invalid(format!("an outcome of kind `{}` needs `{member}`", outcome.kind));
    let made = match outcome.kind.as_str() {
        "run" => match outcome.error {
            Some(error) => Made::Threw(failure(error)),
            None => Made::Returned(outcome.result),
        },
        "sendEvent" => {
            Made::Send { event: outcome.event.ok_or_else(|| missing("event"))?.parse()?, data: outcome.data }
        }
        "sleep" => Made::Sleep { until: Timestamp(outcome.until.ok_or_else(|| missing("until"))?) },
        "waitForEvent" => Made::Wait {
            pattern: outcome.event.ok_or_else(|| missing("event"))?.parse()?,
            condition: outcome.r#match.map(condition),
            timeout: outcome.timeout_ms.map(Duration::from_millis),
        },
        "invoke" => Made::Invoke {
            function: outcome.function.ok_or_else(|| missing("function"))?.parse()?,
            data: outcome.data,
            timeout: outcome.timeout_ms.map(Duration::from_millis),
        },
        _ => return Err(invalid("an outcome has a kind that this version of the protocol does not know".to_owned())),
    };
    Ok(runtime::Outcome { id, made })
}

fn condition(given: MatchCondition) -> Condition {
    Condition { path: given.path, equals: given.equals }
}

fn failure(given: FunctionFailure) -> FunctionError {
    FunctionError { name: given.name, message: given.message, stack: given.stack }
}

fn invalid(what: String) -> Error {
    Error::Invalid { what }
}
