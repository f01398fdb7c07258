//! Functions.

use axum::{Json, extract::State};
use claviger_api::{Concurrency, DeclaredSecret, Function, FunctionList, FunctionTrigger, MatchCondition, Retry};
use claviger_core::run;
use claviger_engine::runtime::{self, ServedFunction};

use super::show::instant;
use crate::{app::App, caller::InEnvironment, failure::Failure, query::Query};

/// The functions of an environment, as their workers declared them.
#[utoipa::path(
    get, path = "/v1/environments/{env}/functions", tag = "runs",
    params(("env" = String, Path, description = "An environment", example = "default")),
    responses((status = 200, body = FunctionList)),
)]
pub(crate) async fn list_functions(
    State(app): State<App>,
    InEnvironment { caller, environment }: InEnvironment,
    query: Query,
) -> Result<Json<FunctionList>, Failure> {
    query.only(&[])?;
    let functions = app.engine.runtime().functions(&caller, &environment).await?;
    Ok(Json(FunctionList { items: functions.into_iter().map(show).collect() }))
}

fn show(known: ServedFunction) -> Function {
    let (function, spec) = (&known.function, &known.function.spec);
    let declared =
        |secret: &runtime::DeclaredSecret| DeclaredSecret { name: secret.name.to_string(), required: secret.required };
    Function {
        id: spec.id.to_string(),
        environment: function.environment.to_string(),
        triggers: spec.triggers.iter().map(trigger).collect(),
        spaces: spec.spaces.as_ref().map(|names| names.iter().map(ToString::to_string).collect()),
        lookups: spec.lookups,
        secrets: spec.secrets.iter().map(declared).collect(),
        retry: retry(&spec.retry),
        concurrency: spec.concurrency.map(|limit| Concurrency { limit }),
        timeout_ms: spec.timeout.map(millis),
        workers: u64::try_from(known.workers).unwrap_or(u64::MAX),
        updated_at: instant(function.updated_at),
    }
}

fn trigger(trigger: &runtime::Trigger) -> FunctionTrigger {
    let condition =
        |known: &runtime::Condition| MatchCondition { path: known.path.clone(), equals: known.equals.clone() };
    FunctionTrigger { event: trigger.event.to_string(), r#match: trigger.conditions.iter().map(condition).collect() }
}

fn retry(retry: &run::Retry) -> Retry {
    Retry {
        max_attempts: retry.max_attempts,
        initial_delay_ms: millis(retry.initial_delay),
        backoff_factor: retry.backoff_factor,
        max_delay_ms: millis(retry.max_delay),
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
