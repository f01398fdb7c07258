//! Lists in portions.

use crate::Error;

/// Most items of one page.
pub(crate) const MAX_ITEMS: usize = 1_000;

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// What to pass as `after` for the items that follow; `None` when there are none.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of one item more than asked for, if there was one: that item only tells that more follow.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, position: impl Fn(&T) -> String) -> Page<T> {
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| has_more).map(position);
        Page { items, next }
    }
}

/// Refuses a limit outside its bounds.
pub(crate) fn checked(limit: usize) -> Result<usize, Error> {
    match (1..=MAX_ITEMS).contains(&limit) {
        true => Ok(limit),
        false => Err(Error::invalid(format!("a limit is 1 to {MAX_ITEMS}"))),
    }
}
