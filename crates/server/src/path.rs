//! Parameters of the path. Each is percent-decoded exactly once.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use claviger_core::{SecretName, SpaceName, run::RunId};
use claviger_engine::Error;

use crate::failure::Failure;

/// The secret named in the path.
pub(crate) struct SecretInPath(pub(crate) SecretName);

/// The space named in the path; `None` where the route has none. What cannot be a space's name is one that does not exist.
pub(crate) struct SpaceInPath(pub(crate) Option<SpaceName>);

/// The run named in the path.
pub(crate) struct RunInPath(pub(crate) RunId);

/// Another id in the path.
pub(crate) struct IdInPath(pub(crate) String);

/// A parameter of the matched route.
pub(crate) async fn parameter(parts: &mut Parts, name: &str) -> Result<String, Failure> {
    optional(parts, name).await?.ok_or_else(Failure::internal)
}

/// A parameter that not every route with this extractor has.
async fn optional(parts: &mut Parts, name: &str) -> Result<Option<String>, Failure> {
    let parameters = RawPathParams::from_request_parts(parts, &()).await;
    let parameters = parameters.map_err(|_| Failure::invalid_name("a name in the path is not UTF-8"))?;
    Ok(parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned()))
}

impl<S: Send + Sync> FromRequestParts<S> for SecretInPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<SecretInPath, Failure> {
        Ok(SecretInPath(parameter(parts, "name").await?.parse::<SecretName>()?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SpaceInPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<SpaceInPath, Failure> {
        let space = optional(parts, "space").await?.map(|name| name.parse()).transpose();
        space.map(SpaceInPath).map_err(|_| Error::SpaceNotFound.into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RunInPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<RunInPath, Failure> {
        let id = parameter(parts, "run").await?.parse();
        id.map(RunInPath).map_err(|_| Error::RunNotFound.into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdInPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<IdInPath, Failure> {
        parameter(parts, "id").await.map(IdInPath)
    }
}
