//! Request bodies: read without leaving copies behind, and parsed without saying what stands there.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use zeroize::{Zeroize, Zeroizing};

/// Most bytes of a request's body.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// What is wrong with a request's body, as the predicate of a sentence. Says where, never what stands there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Over [`MAX_REQUEST_BYTES`].
    #[error("has more than {MAX_REQUEST_BYTES} bytes")]
    TooLarge,
    /// The connection was lost before its end.
    #[error("ended too early")]
    CutOff,
    /// Not JSON.
    #[error("is not JSON at line {line}, column {column}")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1; 0 is before the first.
        column: usize,
    },
    /// JSON, but an array, a text or the like.
    #[error("is not a JSON object")]
    NotAnObject,
    /// A member is not there.
    #[error("has no member `{member}`")]
    MissingMember {
        /// Its name. It is our own, not something that was sent.
        member: String,
    },
    /// A member is unknown or of another type.
    #[error("has a member that is unknown or of another type at line {line}, column {column}")]
    WrongMember {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
}

/// Reads a body, given the header `Content-Length` if there is one. What it was received and gathered in is wiped.
///
/// # Errors
///
/// [`BodyError::TooLarge`], already if so much is announced, and [`BodyError::CutOff`].
pub async fn read_body<E>(
    content_length: Option<&[u8]>,
    mut chunks: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let announced = content_length.and_then(|length| str::from_utf8(length).ok()?.parse().ok()).unwrap_or(0);
    if announced > MAX_REQUEST_BYTES {
        return Err(BodyError::TooLarge);
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(announced));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| BodyError::CutOff)?;
        let length = bytes.len() + chunk.len();
        if length > MAX_REQUEST_BYTES {
            wipe(chunk);
            return Err(BodyError::TooLarge);
        }
        if length > bytes.capacity() {
            // Growing in place could leave a copy behind.
            let mut grown = Zeroizing::new(Vec::with_capacity(length.next_power_of_two()));
            grown.extend_from_slice(&bytes);
            bytes = grown;
        }
        bytes.extend_from_slice(&chunk);
        wipe(chunk);
    }
    Ok(bytes)
}

/// Wipes what was received, where nobody else holds it any more.
fn wipe(chunk: Bytes) {
    if let Ok(mut owned) = chunk.try_into_mut() {
        owned.zeroize();
    }
}

/// Parses a body that has to be a JSON object.
///
/// # Errors
///
/// All but those of [`read_body`].
pub fn parse_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    // An array would be taken for the members in their order.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        let json: Result<IgnoredAny, _> = serde_json::from_slice(body);
        return Err(json.map_or_else(|error| BodyError::of(&error), |_| BodyError::NotAnObject));
    }
    serde_json::from_slice(body).map_err(|error| BodyError::of(&error))
}

impl BodyError {
    fn of(error: &serde_json::Error) -> BodyError {
        let (line, column) = (error.line(), error.column());
        if error.classify() != Category::Data {
            return BodyError::NotJson { line, column };
        }
        match missing_member(&error.to_string()) {
            Some(member) => BodyError::MissingMember { member: member.to_owned() },
            None => BodyError::WrongMember { line, column },
        }
    }
}

fn missing_member(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}
