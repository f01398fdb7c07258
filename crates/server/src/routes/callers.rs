//! Who is calling.

use axum::Json;
use claviger_api::{AllEnvironments, CallerView, Reach as ReachView};
use claviger_core::Reach;

use crate::{
    caller::{Authenticated, own_environment},
    failure::Failure,
    query::Query,
};

/// Who the API key belongs to: its role, its environments and spaces.
#[utoipa::path(get, path = "/v1/caller", tag = "access", responses((status = 200, body = CallerView)))]
pub(crate) async fn caller(Authenticated(caller): Authenticated, query: Query) -> Result<Json<CallerView>, Failure> {
    query.only(&[])?;
    let environments = match &caller.reach {
        Reach::All => ReachView::All(AllEnvironments::All),
        Reach::One(environment) => ReachView::Some(vec![environment.to_string()]),
    };
    Ok(Json(CallerView {
        id: caller.id.to_string(),
        role: caller.role.to_string(),
        environments,
        environment: own_environment(&caller).to_owned(),
        spaces: caller.bounds.spaces.as_ref().map(|names| names.iter().map(ToString::to_string).collect()),
    }))
}
