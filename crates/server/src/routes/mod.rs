//! The routes. Each handler translates a request into one call of the engine, and its answer back.

mod api_keys;
mod audit;
mod blocks;
mod callers;
mod environments;
mod events;
mod functions;
mod health;
mod revisions;
mod runs;
mod scoped;
mod secrets;
mod show;
mod spaces;
mod subscribe;
mod worker;

use utoipa_axum::{router::OpenApiRouter, routes};

use self::scoped::and_in_spaces;
use crate::app::App;

/// The route that waits for runs to end.
pub(crate) const LONG_POLL: &str = "/v1/environments/{env}/events/{id}/runs";

/// Routes that pages of the configured origins may read: no values, no changes.
pub(crate) fn readable_from_browsers() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(callers::caller))
        .routes(and_in_spaces(routes!(secrets::list_secrets)))
        .routes(routes!(functions::list_functions))
        .routes(routes!(subscribe::subscribe))
}

/// All others.
pub(crate) fn others() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health::ready))
        .routes(routes!(environments::list_environments, environments::create_environment))
        .routes(and_in_spaces(routes!(secrets::set_secret, secrets::get_secret, secrets::delete_secret)))
        .routes(and_in_spaces(routes!(blocks::explain_secret)))
        .routes(routes!(blocks::block_secret, blocks::unblock_secret))
        .routes(routes!(spaces::list_spaces, spaces::create_space))
        .routes(routes!(spaces::get_space, spaces::update_space, spaces::delete_space))
        .routes(routes!(events::emit_event))
        .routes(routes!(events::event_runs))
        .routes(routes!(runs::list_runs))
        .routes(routes!(runs::get_run))
        .routes(routes!(runs::cancel_run))
        .routes(routes!(api_keys::list_api_keys, api_keys::create_api_key))
        .routes(routes!(api_keys::revoke_api_key))
        .routes(routes!(audit::list_audit))
        .routes(routes!(worker::connect_worker))
}
