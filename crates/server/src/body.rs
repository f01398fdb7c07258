//! Request bodies.

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderValue, header},
};
use claviger_api::{BodyError, parse_object, read_body};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// A JSON body. The buffer that it was read from is wiped. Errors say where, never what stands there.
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body that may be left out.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Json<T>, Failure> {
        Ok(Json(parse_object(&read(request).await?)?))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<OptionalJson<T>, Failure> {
        let body = read(request).await?;
        Ok(OptionalJson(if body.is_empty() { T::default() } else { parse_object(&body)? }))
    }
}

async fn read(request: Request) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let (parts, body) = request.into_parts();
    let announced = parts.headers.get(header::CONTENT_LENGTH).map(HeaderValue::as_bytes);
    read_body(announced, body.into_data_stream()).await
}
