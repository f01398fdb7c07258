//! Revisions in headers: `ETag` and `If-Match`.

use claviger_core::Revision;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::failure::Failure;

/// `If-Match`: a revision, in quotes or not.
pub(super) fn expected(headers: &HeaderMap) -> Result<Option<Revision>, Failure> {
    let mut given = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && given.next().is_none();
    let revision = is_number.then(|| digits.parse().ok()).flatten();
    let revision = revision.ok_or_else(|| Failure::invalid("`If-Match` has to be one revision, such as `\"12\"`"))?;
    Ok(Some(Revision(revision)))
}

pub(super) fn etag(revision: Revision) -> [(HeaderName, HeaderValue); 1] {
    // Digits in quotes are a header value.
    let tag = HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"0\""));
    [(header::ETAG, tag)]
}
