//! Query parameters. Those that a route does not know are passed over, and an empty one is one that is not there: the
//! clients put ids together without encoding them.

use std::convert::Infallible;

use axum::{
    extract::{self, FromRequestParts},
    http::request::Parts,
};
use serde::Serialize;

use crate::refusal::Refusal;

const PAGE_SIZE: usize = 10;
const MAX_PAGE_SIZE: usize = 1_000;
const MAX_PAGE_NUMBER: usize = 1_000_000;

/// The parameters of a query in their order.
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query, Infallible> {
        // What cannot be read has no parameters.
        Ok(Query(extract::Query::try_from_uri(&parts.uri).map(|pairs| pairs.0).unwrap_or_default()))
    }
}

impl Query {
    /// The first value of a parameter, unless it is empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let given = self.0.iter().find(|(known, _)| known == name)?;
        Some(given.1.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter that is `true` or `false`.
    pub(crate) fn flag(&self, name: &'static str) -> Result<Option<bool>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Refusal::invalid(name, "is neither `true` nor `false`"))
    }

    /// Which part of a list is asked for.
    pub(crate) fn paging(&self) -> Result<Paging, Refusal> {
        let size = self.number("pageSize", PAGE_SIZE, MAX_PAGE_SIZE)?;
        let number = self.number("pageNumber", 1, MAX_PAGE_NUMBER)?;
        Ok(Paging { size, number })
    }

    fn number(&self, name: &'static str, default: usize, limit: usize) -> Result<usize, Refusal> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| (1..=limit).contains(number));
        number.ok_or_else(|| Refusal::invalid(name, format!("is not a number from 1 to {limit}")))
    }
}

/// A part of a list: pages of so many items, the first one is 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paging {
    size: usize,
    number: usize,
}

/// What a list says of its parts.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pagination {
    current_page: usize,
    page_count: usize,
    total_count: usize,
}

impl Paging {
    /// How many items come before those of this page.
    pub(crate) fn skipped(self) -> usize {
        (self.number - 1).saturating_mul(self.size)
    }

    /// How many items are on this page at most.
    pub(crate) fn size(self) -> usize {
        self.size
    }

    /// The items of this page.
    pub(crate) fn cut<T>(self, items: Vec<T>) -> (Vec<T>, Pagination) {
        let total_count = items.len();
        let pagination =
            Pagination { current_page: self.number, page_count: total_count.div_ceil(self.size), total_count };
        (items.into_iter().skip(self.skipped()).take(self.size).collect(), pagination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        let uri = format!("/v1/x?{text}").parse().unwrap();
        Query(extract::Query::try_from_uri(&uri).map(|pairs| pairs.0).unwrap_or_default())
    }

    #[test]
    fn the_first_of_several_counts_and_an_empty_one_is_none() {
        let query = query("a=1&a=2&b=&c=%2F+d&%zz");
        assert_eq!(query.text("a"), Some("1"));
        assert_eq!((query.text("b"), query.text("x")), (None, None));
        assert_eq!(query.text("c"), Some("/ d"));
    }

    #[test]
    fn pages_are_cut_and_counted() {
        let cut = |text: &str| query(text).paging().unwrap().cut((1..=25).collect::<Vec<_>>());
        let counted = |current_page, page_count| Pagination { current_page, page_count, total_count: 25 };
        assert_eq!(cut(""), ((1..=10).collect(), counted(1, 3)));
        assert_eq!(cut("pageNumber=3"), ((21..=25).collect(), counted(3, 3)));
        assert_eq!(cut("pageSize=100"), ((1..=25).collect(), counted(1, 1)));
        assert_eq!(cut("pageNumber=9"), (vec![], counted(9, 3)));
        for bad in ["pageSize=0", "pageSize=1001", "pageSize=-1", "pageSize=x", "pageNumber=0", "pageNumber=1e3"] {
            assert!(query(bad).paging().is_err(), "{bad}");
        }
    }
}
