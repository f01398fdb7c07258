//! The routes.

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequestParts, RawPathParams},
    http::{StatusCode, request::Parts},
    middleware::from_fn_with_state,
    routing::{delete, get, post},
};
use claviger_engine::Engine;

use crate::{
    agents,
    app::App,
    environments, events,
    refusal::{Refusal, told},
    secrets, spaces,
};

/// Where the routes belong: clients get this, after the server's address, as their API's address.
pub const PATH: &str = "/flatfile";

/// The routes below [`PATH`], each under `/v1` and under `/api/v1`. Every request needs a
/// [`Caller`](claviger_core::Caller) among its extensions.
pub fn routes(engine: Arc<Engine>) -> Router {
    let app = App::new(engine);
    let version = Router::new()
        .route("/environments", get(environments::list).post(environments::create))
        .route("/environments/subscription-token", get(agents::subscription_token))
        .route("/environments/{id}", get(environments::get).patch(environments::update).delete(environments::delete))
        .route("/spaces", get(spaces::list).post(spaces::create))
        .route("/spaces/{id}", get(spaces::get).patch(spaces::update).delete(spaces::delete))
        .route("/secrets", get(secrets::list).post(secrets::upsert))
        .route("/secrets/{id}", delete(secrets::delete))
        .route("/events", get(events::list).post(events::create))
        .route("/events/{id}", get(events::get))
        .route("/events/{id}/ack", post(events::acknowledge))
        .route("/agents", get(agents::list).post(agents::create))
        .route("/subscription", get(agents::subscription_token))
        .method_not_allowed_fallback(no_method);
    Router::new()
        .nest("/v1", version.clone())
        .nest("/api/v1", version)
        .fallback(no_route)
        .layer(from_fn_with_state(app.clone(), told))
        .with_state(app)
}

async fn no_route() -> Refusal {
    Refusal::of_status(StatusCode::NOT_FOUND, "there is no route of that path in this adapter")
}

async fn no_method() -> Refusal {
    Refusal::of_status(StatusCode::METHOD_NOT_ALLOWED, "the route does not have that method")
}

/// The id in the path, percent-decoded once. One that is not text stands for nothing.
pub(crate) struct Id(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Id, Refusal> {
        let parameters = RawPathParams::from_request_parts(parts, &()).await;
        let parameters = parameters.map_err(|_| Refusal::unknown("id", "stands for nothing"))?;
        let id = parameters.iter().find(|(name, _)| *name == "id").map(|(_, id)| id.to_owned());
        id.ok_or_else(|| Refusal::unknown("id", "stands for nothing")).map(Id)
    }
}
