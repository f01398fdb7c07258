//! Which API keys may be made.

use std::time::Duration;

use claviger_core::Role;

use super::NewApiKey;
use crate::Error;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SUBSCRIBER_TTL: Duration = DAY;
const SUBSCRIBER_TTL_LIMIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const MAX_DESCRIPTION: usize = 1_000;
const MAX_BOUNDS: usize = 100;
const MAX_BOUND_BYTES: usize = 1_024;

/// Checks role, reach and bounds against each other; answers how long the key lives.
pub(super) fn check(new: &NewApiKey) -> Result<Option<Duration>, Error> {
    check_sizes(new)?;
    check_bounds(new)?;
    if new.role == Role::Admin && new.environment.is_some() {
        return Err(Error::invalid("an admin key is for all environments, it cannot be for one"));
    }
    check_ttl(new)
}

fn check_bounds(new: &NewApiKey) -> Result<(), Error> {
    let (is_runtime, is_subscriber) = (new.role == Role::Runtime, new.role == Role::Subscriber);
    let is_bounded = !new.bounds.secrets.is_empty() || new.bounds.functions.is_some() || new.bounds.spaces.is_some();
    if !is_runtime && is_bounded {
        return Err(Error::invalid("only a runtime key is bounded by secrets, functions and spaces"));
    }
    if !is_subscriber && (!new.bounds.events.is_empty() || !new.bounds.origins.is_empty()) {
        return Err(Error::invalid("only a subscriber key is bounded by events and origins"));
    }
    if is_runtime && new.bounds.secrets.is_empty() {
        return Err(Error::invalid("a runtime key needs a pattern of the secrets it may receive, such as `*` for all"));
    }
    check_spaces(new)?;
    if is_subscriber && new.bounds.events.is_empty() {
        return Err(Error::invalid("a subscriber key needs a pattern of the events it may receive"));
    }
    Ok(())
}

fn check_spaces(new: &NewApiKey) -> Result<(), Error> {
    match &new.bounds.spaces {
        Some(spaces) if spaces.is_empty() => Err(Error::invalid("a key that is narrowed to spaces needs one at least")),
        Some(_) if new.environment.is_none() => {
            Err(Error::invalid("a key that is narrowed to spaces is for one environment, not for all"))
        }
        _ => Ok(()),
    }
}

fn check_ttl(new: &NewApiKey) -> Result<Option<Duration>, Error> {
    if new.ttl.is_some_and(|ttl| ttl.is_zero()) {
        return Err(Error::invalid("an API key lives longer than no time"));
    }
    if new.role != Role::Subscriber {
        return Ok(new.ttl);
    }
    let ttl = new.ttl.unwrap_or(SUBSCRIBER_TTL);
    if ttl > SUBSCRIBER_TTL_LIMIT {
        return Err(Error::invalid("a subscriber key lives for 30 days at most"));
    }
    Ok(Some(ttl))
}

fn check_sizes(new: &NewApiKey) -> Result<(), Error> {
    if new.description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
        return Err(Error::invalid("a description has at most 1,000 characters"));
    }
    let bounds = &new.bounds;
    let (functions, spaces) =
        (bounds.functions.as_ref().map_or(0, Vec::len), bounds.spaces.as_ref().map_or(0, Vec::len));
    let counts = [bounds.secrets.len(), functions, spaces, bounds.events.len(), bounds.origins.len()];
    if counts.iter().any(|count| *count > MAX_BOUNDS) {
        return Err(Error::invalid("an API key has at most 100 bounds of a kind"));
    }
    let texts = bounds.secrets.iter().chain(&bounds.origins);
    if texts.into_iter().any(|text| text.is_empty() || text.len() > MAX_BOUND_BYTES) {
        return Err(Error::invalid("a pattern or origin has 1 to 1,024 bytes"));
    }
    Ok(())
}
