//! Query parameters.

use std::str::FromStr;

use axum::{extract, extract::FromRequestParts, http::request::Parts};
use claviger_engine::Error;

use crate::failure::Failure;

/// The parameters of a query in their order. One that a route does not take is refused, so that a mistyped name is noticed.
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query, Failure> {
        let pairs = extract::Query::try_from_uri(&parts.uri);
        pairs.map(|pairs| Query(pairs.0)).map_err(|_| Failure::invalid("the query does not have its form"))
    }
}

impl Query {
    /// Refuses every parameter but these.
    pub(crate) fn only(self, known: &[&str]) -> Result<Query, Failure> {
        match self.0.iter().all(|(name, _)| known.contains(&name.as_str())) {
            true => Ok(self),
            false if known.is_empty() => Err(Failure::invalid("the route takes no query parameters")),
            false => Err(Failure::invalid(format!("the query parameters of this route are `{}`", known.join("`, `")))),
        }
    }

    /// Every value of a parameter that may be repeated.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// A parameter's value, or `None`.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Failure::invalid(format!("the query parameter `{name}` is given twice"))),
        }
    }

    /// A parameter that is a number.
    pub(crate) fn number<T: FromStr>(&self, name: &str, default: T) -> Result<T, Failure> {
        let Some(text) = self.text(name)? else { return Ok(default) };
        text.parse().map_err(|_| Failure::invalid(format!("the query parameter `{name}` has to be a whole number")))
    }

    /// A parameter that is one of some words.
    pub(crate) fn one_of<T, const N: usize>(&self, name: &str, words: [(&str, T); N]) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let known = words.each_ref().map(|(word, _)| *word).join("`, `");
        let found = words.into_iter().find(|(word, _)| *word == text).map(|(_, meant)| meant);
        let refused = || Failure::invalid(format!("the query parameter `{name}` is one of `{known}`"));
        found.ok_or_else(refused).map(Some)
    }

    /// A parameter that tells where to go on and is read as a number.
    pub(crate) fn revision(&self, name: &str) -> Result<u64, Failure> {
        let Some(text) = self.text(name)? else { return Ok(0) };
        text.parse().map_err(|_| Error::InvalidCursor.into())
    }
}
