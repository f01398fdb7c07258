//! What every request handler shares.

use std::{ops::Deref, sync::Arc};

use axum::{Router, middleware::from_fn_with_state, routing::get};
use claviger_engine::Engine;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Mount, Options,
    cors::Origins,
    door::Door,
    edge::{self, Edge},
    openapi, routes,
    throttle::Throttle,
};

/// Shared state. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Arc<Engine>,
    pub(crate) options: Options,
    pub(crate) door: Door,
    pub(crate) throttle: Throttle,
    /// Told once, when the server stops.
    pub(crate) stop: CancellationToken,
    /// Cuts off what has not ended in time after that.
    pub(crate) abort: CancellationToken,
    /// Connections that became WebSockets: the listener no longer sees them.
    pub(crate) workers: TaskTracker,
}

impl App {
    pub(crate) fn new(engine: Arc<Engine>, options: Options, door: Door) -> App {
        App(Arc::new(Inner {
            engine,
            options,
            door,
            throttle: Throttle::default(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            workers: TaskTracker::new(),
        }))
    }

    /// Every route behind its middleware.
    pub(crate) fn router(&self, origins: &Origins, mounts: &[Mount]) -> Router {
        let (router, _) = OpenApiRouter::new()
            .merge(routes::readable_from_browsers().layer(origins.layer()))
            .merge(routes::others())
            .split_for_parts();
        let edge = Edge { app: self.clone(), mounts: mounts.into() };
        mounts
            .iter()
            .fold(router, |router, mount| router.merge(mount.router(self)))
            .route("/openapi.json", get(openapi::serve))
            .layer(from_fn_with_state(edge, edge::edge))
            .with_state(self.clone())
    }
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
