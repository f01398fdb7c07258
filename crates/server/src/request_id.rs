//! The id by which a request is found again in the log.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const LONGEST: usize = 64;

/// A request's id.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The id that the client or a proxy gave, if it is one that may stand in a log; otherwise a new one.
    pub(crate) fn of(headers: &HeaderMap) -> RequestId {
        let given = headers.get(X_REQUEST_ID).filter(|value| is_sane(value.as_bytes()));
        given.cloned().map_or_else(RequestId::next, RequestId)
    }

    fn next() -> RequestId {
        // Tells processes apart; nobody has to be unable to guess it.
        static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let id = format!("req_{:016x}_{}", *PROCESS, COUNT.fetch_add(1, Ordering::Relaxed));
        RequestId(HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("req")))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// Short, plain, and not an API key that stands in the wrong place.
fn is_sane(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
        && !id.windows(4).any(|part| part == b"clv_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_kept_and_any_other_replaced() {
        let of = |given: &str| {
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(given).unwrap())]);
            RequestId::of(&headers).as_str().to_owned()
        };
        assert_eq!(of("a-1_b.c:2"), "a-1_b.c:2");
        for given in ["", "a b", "é", "x\ty", "clv_default_abc", &"a".repeat(65)] {
            assert!(of(given).starts_with("req_"), "{given}");
        }
        assert_ne!(RequestId::next().as_str(), RequestId::next().as_str());
    }
}
