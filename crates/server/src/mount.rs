//! Routes of another protocol, under a path of their own.

use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::StatusCode;

use crate::{app::App, caller::Authenticated};

/// Routes that an adapter brings. Their requests pass the same edge as all others: host, limits, authentication, request
/// ids, the access log. Each arrives with its [`Caller`](claviger_core::Caller) among its extensions and with its id in the
/// header `X-Request-Id`; an answer is sent as it is.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Where they are: begins with `/` and does not end with one.
    pub path: &'static str,
    /// The routes below it.
    pub routes: Router,
    /// The answer to a request that is refused before it arrives: the status, and what is wrong.
    pub refusal: fn(StatusCode, &str) -> Response,
}

impl Mount {
    pub(crate) fn router(&self, app: &App) -> Router<App> {
        let routes = self.routes.clone().layer(from_fn_with_state(app.clone(), admit));
        Router::new().nest(self.path, routes.with_state(()))
    }

    /// Whether a path is one of its routes', or could be.
    pub(crate) fn holds(&self, path: &str) -> bool {
        path.strip_prefix(self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match Authenticated::from_request_parts(&mut parts, &app).await {
        Ok(Authenticated(caller)) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(failure) => failure.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_holds_its_path_and_what_is_below_it() {
        let refusal = |status: StatusCode, _: &str| status.into_response();
        let mount = Mount { path: "/other", routes: Router::new(), refusal };
        for (path, expected) in [
            ("/other", true),
            ("/other/", true),
            ("/other/v1/x", true),
            ("/others", false),
            ("/", false),
            ("/v1/other", false),
        ] {
            assert_eq!(mount.holds(path), expected, "{path}");
        }
    }
}
