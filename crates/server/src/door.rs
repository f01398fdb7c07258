//! What is refused before anything else is looked at.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Query, Request};
use http::{header, uri::Authority};

use crate::failure::Failure;

/// Names of query parameters that keys are put in by mistake.
const KEY_NAMES: [&str; 6] = ["api_key", "apikey", "api-key", "access_token", "token", "authorization"];

/// Checks host and query.
pub(crate) struct Door {
    /// The port, when only this machine is listened to: then the host must name it, which a page that had its own name
    /// pointed here (DNS rebinding) cannot do.
    loopback_port: Option<u16>,
}

impl Door {
    pub(crate) fn of(address: SocketAddr) -> Door {
        Door { loopback_port: address.ip().is_loopback().then_some(address.port()) }
    }

    pub(crate) fn refuses(&self, request: &Request) -> Option<Failure> {
        if self.loopback_port.is_some_and(|port| !names_this_machine(request, port)) {
            let detail = "the header `Host` has to be `localhost`, `127.0.0.1` or `[::1]` with the server's port";
            return Some(Failure::invalid(detail));
        }
        has_key_in_query(request).then(Failure::key_in_query)
    }
}

fn names_this_machine(request: &Request, port: u16) -> bool {
    // HTTP/2 has the authority in its URI. Where both are given, both have to fit.
    let given = request.headers().get_all(header::HOST).iter().map(|host| host.to_str().ok()?.parse().ok());
    let given = given.chain(request.uri().authority().cloned().map(Some));
    let mut count = 0;
    for authority in given {
        count += 1;
        if !authority.is_some_and(|authority| is_loopback(&authority, port)) {
            return false;
        }
    }
    count > 0
}

fn is_loopback(authority: &Authority, port: u16) -> bool {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_local = host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    is_local && !authority.as_str().contains('@') && authority.port_u16().unwrap_or(80) == port
}

fn has_key_in_query(request: &Request) -> bool {
    if request.uri().query().is_none_or(str::is_empty) {
        return false;
    }
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(request.uri()) else { return false };
    pairs.iter().any(|(name, value)| {
        KEY_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
            || value.contains("clv_")
            || name.contains("clv_")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_host(host: &str) -> Request {
        Request::builder().uri("/").header("host", host).body(axum::body::Body::empty()).unwrap()
    }

    #[test]
    fn only_this_machine_may_be_named_on_a_loopback_address() {
        let door = Door::of("127.0.0.1:8080".parse().unwrap());
        for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST:8080"] {
            assert!(door.refuses(&with_host(host)).is_none(), "{host}");
        }
        for host in [
            "localhost",
            "localhost:8081",
            "evil.example:8080",
            "127.0.0.1.evil.example:8080",
            "user@localhost:8080",
            "localhost.evil.example:8080",
            "10.0.0.1:8080",
            "",
            "[::1]",
            "0.0.0.0:8080",
        ] {
            assert!(door.refuses(&with_host(host)).is_some(), "{host}");
        }
        let none = Request::builder().uri("/").body(axum::body::Body::empty()).unwrap();
        assert!(door.refuses(&none).is_some());
    }

    #[test]
    fn any_host_may_be_named_elsewhere() {
        let door = Door::of("10.0.0.1:8080".parse().unwrap());
        assert!(door.refuses(&with_host("claviger.example")).is_none());
    }

    #[test]
    fn keys_in_the_query_are_found_in_any_spelling() {
        let door = Door::of("10.0.0.1:80".parse().unwrap());
        let code = |uri: &str| {
            let request = Request::builder().uri(uri).body(axum::body::Body::empty()).unwrap();
            door.refuses(&request).map(|failure| failure.code)
        };
        for uri in [
            "/?token=x",
            "/?API_KEY=1",
            "/?a=1&x=clv_default_a_b",
            "/?x=clv%5Fall",
            "/?authorization=Bearer+x",
            "/?clv_a=1",
        ] {
            assert_eq!(code(uri), Some("key_in_query"), "{uri}");
        }
        for uri in ["/", "/?", "/?after=abc&limit=1", "/?pattern=system.secret.*.updated"] {
            assert_eq!(code(uri), None, "{uri}");
        }
    }
}
