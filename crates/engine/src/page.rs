//! Lists in portions.

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

/// A limit that somebody asked for, brought into its bounds.
pub(crate) fn bounded(limit: usize) -> usize {
    limit.clamp(1, MAX_ITEMS)
}
