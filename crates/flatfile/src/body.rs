//! Request bodies.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderValue, header},
};
use claviger_api::{parse_object, read_body};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;

/// Most bytes of a body that is passed over: what the command line uploads as an agent.
const MAX_PASSED_OVER: usize = 16 * 1024 * 1024;

/// A JSON object. The buffer that it was read from is wiped. Errors say where, never what stands there.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Json<T>, Refusal> {
        let (parts, body) = request.into_parts();
        let announced = parts.headers.get(header::CONTENT_LENGTH).map(HeaderValue::as_bytes);
        Ok(Json(parse_object(&read_body(announced, body.into_data_stream()).await?)?))
    }
}

/// Reads a body to its end and keeps nothing of it: a client that is still sending does not see the answer.
pub(crate) async fn pass_over(body: Body) {
    let (mut chunks, mut length) = (body.into_data_stream(), 0);
    while let Some(Ok(chunk)) = chunks.next().await {
        length += chunk.len();
        if length > MAX_PASSED_OVER {
            return;
        }
    }
}
