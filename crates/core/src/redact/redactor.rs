//! Masks values in whole texts.

use std::{borrow::Cow, fmt, sync::Arc};

use super::{
    Mask, StreamRedactor,
    index::{Found, Index, MaskNumber},
    json,
};

/// Replaces the values it tracks by their masks. Cloning is cheap; the clones share one index, which
/// is wiped with the last of them. The default redactor tracks nothing.
#[derive(Clone, Default)]
pub struct Redactor(Arc<Index>);

impl Redactor {
    pub(super) fn new(index: Index) -> Redactor {
        Redactor(Arc::new(index))
    }

    /// A redactor of all that these track; of equal values the first's mask is shown. They share what
    /// they keep of the values, so this costs next to nothing; but looking through a text takes longer
    /// the more there are, until [`Redactor::compact`].
    #[must_use]
    pub fn of_all<'a>(parts: impl IntoIterator<Item = &'a Redactor>) -> Redactor {
        Redactor::new(Index::of_all(parts.into_iter().map(|part| &*part.0)))
    }

    /// The same redactor, as fast as if it had been built at once. The forms of the values are not made
    /// anew, which is most of the work.
    #[must_use]
    pub fn compact(&self) -> Redactor {
        Redactor::new(self.0.compact())
    }

    /// Whether no value is tracked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a tracked value occurs in the bytes, in any of its forms.
    #[must_use]
    pub fn contains(&self, bytes: &[u8]) -> bool {
        self.find(bytes, 0).is_some()
    }

    /// The text with every value masked; borrowed if there was none. Where a value that is not UTF-8
    /// begins or ends inside a character, the whole character is masked.
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.contains(text.as_bytes()) {
            return Cow::Borrowed(text);
        }
        let whole_characters = |found: Found| Found {
            start: text.floor_char_boundary(found.start),
            end: text.ceil_char_boundary(found.end),
            mask: found.mask,
        };
        let bytes = self.redact_spans(text.as_bytes(), whole_characters);
        // Only whole characters are left out and only masks put in, so this never replaces anything.
        Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The bytes with every value masked; borrowed if there was none. Masks are written in UTF-8.
    #[must_use]
    pub fn redact_bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        if !self.contains(bytes) {
            return Cow::Borrowed(bytes);
        }
        Cow::Owned(self.redact_spans(bytes, |found| found))
    }

    /// A JSON text with every value masked in keys, strings and numbers. Valid JSON stays valid JSON:
    /// a number with a value in it becomes a string, and so does each key, string and number touched by
    /// a value that goes across several. Strings are compared unescaped, so it does not matter how
    /// they were escaped. (Redacting JSON like other text could break it: the value `n123456` is in
    /// `"\n123456"`.) Values in a text that is not JSON are masked too.
    #[must_use]
    pub fn redact_json<'t>(&self, text: &'t str) -> Cow<'t, str> {
        json::redact(self, text)
    }

    /// The text with every value masked, for a text that was cut: an end that may be the beginning of a
    /// value is left out.
    #[must_use]
    pub fn redact_cut(&self, text: &str) -> String {
        // Cut within a character, a text may end with what stands for a broken one.
        let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
        let mut out = Vec::with_capacity(text.len());
        // What the stream still holds back is dropped with it.
        self.stream().push(text.as_bytes(), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// A redactor for bytes that arrive in chunks.
    #[must_use]
    pub fn stream(&self) -> StreamRedactor {
        StreamRedactor::new(self.clone())
    }

    pub(super) fn find(&self, bytes: &[u8], from: usize) -> Option<Found> {
        self.0.find(bytes, from)
    }

    pub(super) fn settled(&self, bytes: &[u8]) -> usize {
        self.0.settled(bytes)
    }

    pub(super) fn mask(&self, found: Found) -> &Mask {
        self.0.mask(found.mask)
    }

    fn redact_spans(&self, bytes: &[u8], widen: impl Fn(Found) -> Found) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut progress = Progress::default();
        let mut from = 0;
        while let Some(found) = self.find(bytes, from) {
            from = found.start + 1;
            progress.mask(self, bytes, widen(found), &mut out);
        }
        progress.copy_until(bytes, bytes.len(), &mut out);
        out
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} values)", self.0.values())
    }
}

/// How far a text was written out.
#[derive(Default)]
pub(super) struct Progress {
    /// The text before this position was copied or masked.
    pub(super) end: usize,
    /// The mask that stands for what ends at `end`, if that was masked.
    last: Option<MaskNumber>,
}

impl Progress {
    /// Masks an occurrence. Occurrences arrive in the order of their starts.
    pub(super) fn mask(&mut self, redactor: &Redactor, text: &[u8], found: Found, out: &mut Vec<u8>) {
        let touches = found.start == self.end && self.last == Some(found.mask);
        if found.start < self.end || touches {
            self.end = self.end.max(found.end);
            return;
        }
        out.extend_from_slice(&text[self.end..found.start]);
        out.extend_from_slice(redactor.mask(found).as_str().as_bytes());
        *self = Progress { end: found.end, last: Some(found.mask) };
    }

    /// Copies what is not masked up to a position.
    pub(super) fn copy_until(&mut self, text: &[u8], until: usize, out: &mut Vec<u8>) {
        if self.end < until {
            out.extend_from_slice(&text[self.end..until]);
            *self = Progress { end: until, last: None };
        }
    }
}
