//! Who makes a request.

use std::net::{IpAddr, Ipv4Addr};

use axum::{extract::FromRequestParts, http::request::Parts};
use claviger_core::{Caller, EnvironmentName, ErrorKind, Reach, Scope, SpaceName};
use claviger_engine::{Error, access::DEFAULT_ENVIRONMENT};
use http::{HeaderMap, header};
use tokio::time::Instant;

use crate::{
    app::App,
    failure::Failure,
    path::{SpaceInPath, parameter},
};

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// A caller whose API key is good.
pub(crate) struct Authenticated(pub(crate) Caller);

/// A caller, and the environment of the path, which exists and is within its reach.
pub(crate) struct InEnvironment {
    pub(crate) caller: Caller,
    pub(crate) environment: EnvironmentName,
}

/// A caller, and the scope of the path: its environment as above, or the space that it names besides, which may not exist.
pub(crate) struct InScope {
    pub(crate) caller: Caller,
    pub(crate) scope: Scope,
}

/// A caller, and the environment and space of the path.
pub(crate) struct InSpace {
    pub(crate) caller: Caller,
    pub(crate) environment: EnvironmentName,
    pub(crate) space: SpaceName,
}

impl FromRequestParts<App> for Authenticated {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Authenticated, Failure> {
        let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        let caller = authenticate(&parts.headers, app, peer).await.map_err(|error| {
            if error.kind() != ErrorKind::Unauthenticated {
                return Failure::from(error);
            }
            match app.throttle.note_failure(peer, Instant::now()) {
                Ok(()) => Failure::from(error),
                Err(seconds) => Failure::too_many_logins(seconds),
            }
        })?;
        check_origin(&caller, &parts.headers)?;
        Ok(Authenticated(caller))
    }
}

impl FromRequestParts<App> for InEnvironment {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<InEnvironment, Failure> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, app).await?;
        let name = parameter(parts, "env").await?;
        let environment = app.engine.access().environment(&caller, &name).await?;
        Ok(InEnvironment { caller, environment })
    }
}

impl FromRequestParts<App> for InScope {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<InScope, Failure> {
        let InEnvironment { caller, environment } = InEnvironment::from_request_parts(parts, app).await?;
        let space = SpaceInPath::from_request_parts(parts, app).await?.0;
        Ok(InScope { caller, scope: Scope { environment, space } })
    }
}

impl FromRequestParts<App> for InSpace {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<InSpace, Failure> {
        let InScope { caller, scope: Scope { environment, space } } = InScope::from_request_parts(parts, app).await?;
        Ok(InSpace { caller, environment, space: space.ok_or_else(Failure::internal)? })
    }
}

async fn authenticate(headers: &HeaderMap, app: &App, peer: IpAddr) -> Result<Caller, Error> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let value = given.next().ok_or(Error::Unauthenticated)?;
    let (scheme, key) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Error::Unauthenticated)?;
    if given.next().is_some() || !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Error::Unauthenticated);
    }
    let (access, key) = (app.engine.access(), key.trim());
    if app.throttle.is_used_up(peer, Instant::now()) { access.admit_known(key).await } else { access.admit(key).await }
}

/// A key that was made for certain browser origins is good from there only.
fn check_origin(caller: &Caller, headers: &HeaderMap) -> Result<(), Failure> {
    let allowed = &caller.bounds.origins;
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    if allowed.is_empty() || origin.is_some_and(|origin| allowed.iter().any(|known| known == origin)) {
        return Ok(());
    }
    Err(Failure::denied("this API key may not be used from this origin"))
}

/// The environment that a caller means when it names none.
pub(crate) fn own_environment(caller: &Caller) -> &str {
    match &caller.reach {
        Reach::All => DEFAULT_ENVIRONMENT,
        Reach::One(environment) => environment.as_str(),
    }
}
