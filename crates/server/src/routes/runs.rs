//! Runs, in their redacted views.

use axum::{Json, extract::State};
use claviger_api::{CancelRun, Run, RunList};
use claviger_engine::runtime::{RunFilter, Status};

use super::show;
use crate::{app::App, body::OptionalJson, caller::InEnvironment, failure::Failure, path::RunInPath, query::Query};

const LIMIT: usize = 50;

/// The runs of an environment, newest first.
#[utoipa::path(
    get, path = "/v1/environments/{env}/runs", tag = "runs",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("function" = Option<String>, Query, description = "Of this function", example = "payout"),
        ("status" = Option<claviger_api::RunStatus>, Query, description = "In this status"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many; 50 when left out"),
        ("after" = Option<String>, Query, description = "Go on where a page before ended: its `next`"),
    ),
    responses((status = 200, body = RunList)),
)]
pub(crate) async fn list_runs(
    State(app): State<App>,
    InEnvironment { caller, environment }: InEnvironment,
    query: Query,
) -> Result<Json<RunList>, Failure> {
    let query = query.only(&["function", "status", "limit", "after"])?;
    let filter = RunFilter {
        function: query.text("function")?.map(str::to_owned),
        status: query.text("status")?.map(status).transpose()?,
        after: query.text("after")?.map(str::to_owned),
        limit: query.number("limit", LIMIT)?,
    };
    let page = app.engine.runtime().runs(&caller, &environment, filter).await?;
    Ok(Json(RunList { items: page.items.into_iter().map(show::run).collect(), next: page.next }))
}

/// One run, with its steps and the secrets that it was given.
#[utoipa::path(
    get, path = "/v1/environments/{env}/runs/{run}", tag = "runs",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("run" = String, Path, description = "The run's id", example = "run_0198f2a4c0de7c4f9b1c5d2e3f405162"),
    ),
    responses((status = 200, body = Run)),
)]
pub(crate) async fn get_run(
    State(app): State<App>,
    InEnvironment { caller, environment }: InEnvironment,
    RunInPath(id): RunInPath,
    query: Query,
) -> Result<Json<Run>, Failure> {
    query.only(&[])?;
    let detail = app.engine.runtime().run(&caller, &environment, id).await?;
    Ok(Json(show::whole_run(detail)))
}

/// Ends a run, also while a step of it is executed.
#[utoipa::path(
    post, path = "/v1/environments/{env}/runs/{run}/cancel", tag = "runs",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("run" = String, Path, description = "The run's id", example = "run_0198f2a4c0de7c4f9b1c5d2e3f405162"),
    ),
    request_body(content = CancelRun, description = "May be left out"),
    responses((status = 200, body = Run)),
)]
pub(crate) async fn cancel_run(
    State(app): State<App>,
    InEnvironment { caller, environment }: InEnvironment,
    RunInPath(id): RunInPath,
    OptionalJson(cancel): OptionalJson<CancelRun>,
) -> Result<Json<Run>, Failure> {
    let detail = app.engine.runtime().cancel(&caller, &environment, id, cancel.reason).await?;
    Ok(Json(show::whole_run(detail)))
}

fn status(word: &str) -> Result<Status, Failure> {
    let words = || Status::ALL.map(Status::as_str).join(", ");
    let known = Status::ALL.into_iter().find(|status| status.as_str() == word);
    known.ok_or_else(|| Failure::invalid(format!("the query parameter `status` is one of {}", words())))
}
