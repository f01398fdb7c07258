//! What every request passes, and every response: ids, limits, headers, the access log, the form of errors.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use claviger_engine::LiveValues;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::time::{Instant, timeout};

use crate::{
    Mount,
    app::App,
    failure::Failure,
    request_id::{RequestId, X_REQUEST_ID},
    routes::LONG_POLL,
};

/// How long until a response has to begin.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// The same for the route that waits for up to a minute.
const LONG_POLL_LIMIT: Duration = Duration::from_secs(65);

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// What the outermost middleware knows.
#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) app: App,
    pub(crate) mounts: Arc<[Mount]>,
}

/// The outermost middleware.
pub(crate) async fn edge(State(Edge { app, mounts }): State<Edge>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = RequestId::of(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mount = mounts.iter().find(|mount| mount.holds(request.uri().path()));
    if mount.is_some() {
        request.headers_mut().insert(X_REQUEST_ID, id.header());
    }
    let response = match app.door.refuses(&request) {
        Some(failure) => Err(failure),
        None => within_limits(route.as_ref(), next.run(request)).await,
    };
    let response = finish(response, &app.engine.live(), &id, mount);
    log(&method, route.as_ref(), response.status(), began.elapsed(), &id);
    response
}

/// Answers in time, whatever happens.
async fn within_limits(
    route: Option<&MatchedPath>,
    response: impl Future<Output = Response>,
) -> Result<Response, Failure> {
    let limit = match route {
        Some(route) if route.as_str() == LONG_POLL => LONG_POLL_LIMIT,
        _ => TIME_LIMIT,
    };
    match timeout(limit, AssertUnwindSafe(response).catch_unwind()).await {
        Ok(Ok(response)) => Ok(response),
        // The panic's message went to the log with its place; whatever it holds, it is not for the client.
        Ok(Err(_)) => Err(Failure::internal()),
        Err(_) => Err(Failure::timed_out()),
    }
}

fn finish(response: Result<Response, Failure>, live: &LiveValues, id: &RequestId, mount: Option<&Mount>) -> Response {
    // What a mounted protocol answers is its own.
    let bare = |status| if mount.is_some() { None } else { bare(status) };
    let (failure, headers, response) = match response {
        Err(failure) => (Some(failure), HeaderMap::new(), None),
        Ok(mut response) => match response.extensions_mut().remove::<Failure>().or_else(|| bare(response.status())) {
            Some(failure) => (Some(failure), std::mem::take(response.headers_mut()), None),
            None => (None, HeaderMap::new(), Some(response)),
        },
    };
    // A detail names what the request named: if that was a value, it goes no further.
    let failure = failure.map(|failure| failure.redacted(live));
    if let Some(failure) = failure.as_ref().filter(|failure| failure.status.is_server_error()) {
        tracing::error!(code = failure.code, request = id.as_str(), "{}", failure.detail);
    }
    let rendered = failure.map(|failure| match mount {
        Some(mount) => failure.render_with(mount.refusal),
        None => failure.render(headers, id),
    });
    let mut response = rendered.or(response).unwrap_or_default();
    response.headers_mut().extend(HEADERS);
    response.headers_mut().insert(X_REQUEST_ID, id.header());
    response
}

/// What the router or an extractor of the framework answered by itself.
fn bare(status: StatusCode) -> Option<Failure> {
    match status {
        StatusCode::NOT_FOUND => Some(Failure::route_not_found()),
        StatusCode::METHOD_NOT_ALLOWED => Some(Failure::method_not_allowed()),
        status if status.is_client_error() => Some(Failure::invalid("the request does not have its form")),
        _ => None,
    }
}

/// Says which route, never what stood in its place: no path, no query, no header, no body.
fn log(method: &Method, route: Option<&MatchedPath>, status: StatusCode, took: Duration, id: &RequestId) {
    let route = route.map_or("none", MatchedPath::as_str);
    let (status, micros) = (status.as_u16(), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    tracing::info!(target: "claviger::access", %method, route, status, micros, request = id.as_str());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_without_what_it_said() {
        let broken = async { panic!("canary-41d0") };
        let id = RequestId::of(&HeaderMap::new());
        let response = finish(within_limits(None, broken).await, &LiveValues::new(), &id, None);
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains("\"code\":\"internal\"") && !body.contains("canary"), "{body}");
    }
}
