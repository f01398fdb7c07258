//! Which browser origins may read what. Exact origins, no credentials, `GET` only, and only routes without values.

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{Error, request_id::X_REQUEST_ID};

const PREFLIGHT_HOLDS: std::time::Duration = std::time::Duration::from_secs(600);

/// The configured origins.
pub(crate) struct Origins(Vec<HeaderValue>);

impl Origins {
    /// # Errors
    /// [`Error::Origin`] naming the first that is not `scheme://host` with an optional port.
    pub(crate) fn parse(origins: &[String]) -> Result<Origins, Error> {
        let parse = |origin: &String| {
            let value = HeaderValue::from_str(origin).ok().filter(|_| is_origin(origin));
            value.ok_or_else(|| Error::Origin { origin: origin.clone() })
        };
        origins.iter().map(parse).collect::<Result<_, _>>().map(Origins)
    }

    pub(crate) fn layer(&self) -> CorsLayer {
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.0.clone()))
            .allow_methods([Method::GET])
            .allow_headers([
                header::AUTHORIZATION,
                header::ACCEPT,
                HeaderName::from_static("last-event-id"),
                X_REQUEST_ID,
            ])
            .expose_headers([X_REQUEST_ID, header::RETRY_AFTER])
            .max_age(PREFLIGHT_HOLDS)
    }
}

fn is_origin(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.'));
    let has_only_host = !rest.is_empty()
        && rest.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b':' | b'[' | b']' | b'_')
        });
    is_scheme && has_only_host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_exact() {
        for good in ["https://app.example.com", "http://localhost:5173", "http://[::1]:80", "app-x://a"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "*",
            "https://*.example.com",
            "https://a/",
            "https://a/path",
            "a.example",
            "https://",
            "null",
            "HTTPS://a",
            "https://A",
        ] {
            assert!(is_origin(bad).eq(&false), "{bad}");
        }
    }
}
