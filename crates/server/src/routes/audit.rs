//! The record of decisions.

use axum::{Json, extract::State};
use claviger_api::{AuditEntry, AuditList, AuditOutcome};
use claviger_core::Revision;
use claviger_engine::audit::{self, Fact};

use super::show::{instant, secret_versions};
use crate::{app::App, caller::InEnvironment, failure::Failure, query::Query};

const LIMIT: usize = 100;

/// What was delivered to whom, and what was refused: oldest first.
#[utoipa::path(
    get, path = "/v1/environments/{env}/audit", tag = "audit",
    params(
        ("env" = String, Path, description = "An environment", example = "default"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many; 100 when left out"),
        ("after" = Option<String>, Query, description = "Go on where a page before ended: its `next`"),
    ),
    responses((status = 200, body = AuditList)),
)]
pub(crate) async fn list_audit(
    State(app): State<App>,
    InEnvironment { caller, environment }: InEnvironment,
    query: Query,
) -> Result<Json<AuditList>, Failure> {
    let query = query.only(&["limit", "after"])?;
    let after = Revision(query.revision("after")?);
    let page = app.engine.audit().list(&caller, &environment, after, query.number("limit", LIMIT)?).await?;
    Ok(Json(AuditList { items: page.items.into_iter().map(show).collect(), next: page.next }))
}

fn show(entry: audit::AuditEntry) -> AuditEntry {
    let shown = AuditEntry {
        revision: entry.revision.0,
        at: instant(entry.at),
        action: String::new(),
        outcome: AuditOutcome::Refused,
        caller: entry.caller.to_string(),
        function: None,
        run: None,
        run_environment: None,
        secrets: Vec::new(),
        reason: None,
    };
    match entry.fact {
        Fact::Delivered { function, run, home, secrets } => AuditEntry {
            action: "secret.receive".to_owned(),
            outcome: AuditOutcome::Delivered,
            function: Some(function.to_string()),
            run: Some(run.to_string()),
            run_environment: home.map(|home| home.to_string()),
            secrets: secret_versions(&secrets),
            ..shown
        },
        Fact::HandedOver { what, secrets } => AuditEntry {
            action: "secret.receive".to_owned(),
            outcome: AuditOutcome::Delivered,
            secrets: secret_versions(&secrets),
            reason: Some(what),
            ..shown
        },
        Fact::Refused { role, permission, what, unrecorded } => {
            AuditEntry { action: permission, reason: Some(reason(role.as_str(), what, unrecorded)), ..shown }
        }
    }
}

fn reason(role: &str, what: Option<String>, unrecorded: u64) -> String {
    let reason = what.unwrap_or_else(|| format!("the role `{role}` does not allow that"));
    match unrecorded {
        0 => reason,
        more => format!("{reason}; {more} more refusals before this one were only counted"),
    }
}
