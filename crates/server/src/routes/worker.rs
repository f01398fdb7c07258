//! Where workers connect.

use axum::{
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    response::Response,
};
use claviger_api::worker::{MAX_MESSAGE_BYTES, SUBPROTOCOL};
use claviger_core::Permission;
use http::{HeaderMap, header};

use crate::{
    app::App,
    caller::{Authenticated, own_environment},
    failure::Failure,
    worker,
};

/// Bytes gathered before they are written without waiting for a flush.
const WRITE_BUFFER: usize = 64 * 1024;

/// Connects a worker.
///
/// A WebSocket with the subprotocol `claviger.worker.v1`, under a `runtime` key. The frames are in
/// `spec/worker-protocol.md`.
#[utoipa::path(
    get, path = "/v1/worker", tag = "runs",
    params(("Sec-WebSocket-Protocol" = String, Header, description = "The subprotocol", example = "claviger.worker.v1")),
    responses((status = 101, description = "The connection is a WebSocket now")),
)]
pub(crate) async fn connect_worker(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    if headers.contains_key(header::ORIGIN) {
        return Err(Failure::denied("a browser cannot be a worker"));
    }
    let environment = app.engine.access().environment(&caller, own_environment(&caller)).await?;
    app.engine.access().authorize(&caller, Permission::FunctionServe, &environment).await?;
    let upgrade = upgrade.map_err(|_| Failure::invalid("this route takes WebSocket connections only"))?;
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .write_buffer_size(WRITE_BUFFER);
    if upgrade.selected_protocol().is_none() {
        return Err(Failure::unsupported_protocol());
    }
    if app.stop.is_cancelled() {
        return Err(Failure::stopping());
    }
    let open = app.workers.token();
    Ok(upgrade.on_upgrade(async move |socket| {
        let abort = app.abort.clone();
        abort.run_until_cancelled(worker::run(socket, app, caller)).await;
        drop(open);
    }))
}
