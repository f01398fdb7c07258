//! Finds the tracked forms in a text.
//!
//! Why not an Aho-Corasick automaton: its states are copies of the values that cannot be wiped, and
//! building one for every run costs more than this index, whose filter rules out almost every position
//! of ordinary text with one multiplication and one bit.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{MIN_MASKABLE_BYTES, Mask};

/// Bytes of a form that its head holds. Every form has at least as many.
const HEAD_BYTES: usize = MIN_MASKABLE_BYTES;
/// Bits of the filter for each form: about 1 in 64 positions of unrelated text passes it.
const FILTER_BITS_PER_FORM: usize = 64;
/// 2^64 divided by the golden ratio: spreads heads over the filter.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// One form of a value, at least [`MIN_MASKABLE_BYTES`] long. Wiped with the last index that has it.
#[derive(Clone)]
pub(super) struct Form {
    /// What to look for.
    pub(super) bytes: Arc<Zeroizing<Vec<u8>>>,
    /// The mask that replaces it, by its number.
    pub(super) mask: usize,
}

/// One occurrence of a form.
#[derive(Clone, Copy)]
pub(super) struct Found {
    /// The first byte.
    pub(super) start: usize,
    /// The byte after the last.
    pub(super) end: usize,
    /// The mask of the form.
    pub(super) mask: MaskNumber,
}

/// Which shelf, and which of its masks.
pub(super) type MaskNumber = (usize, usize);

/// What is looked for, on shelves: one is fastest to look through, and several can be put together without sorting anew.
#[derive(Clone, Default)]
pub(super) struct Index(Vec<Arc<Shelf>>);

impl Index {
    /// Forms with their masks.
    pub(super) fn new(masks: Vec<Mask>, forms: Vec<Form>) -> Index {
        if forms.is_empty() { Index::default() } else { Index(vec![Arc::new(Shelf::new(masks, forms))]) }
    }

    /// All that these have. Of equal forms that of the first counts.
    pub(super) fn of_all<'a>(parts: impl Iterator<Item = &'a Index>) -> Index {
        Index(parts.flat_map(|part| part.0.iter().cloned()).collect())
    }

    /// The same on one shelf.
    pub(super) fn compact(&self) -> Index {
        if self.0.len() < 2 {
            return self.clone();
        }
        let (mut masks, mut forms) =
            (Vec::new(), Vec::with_capacity(self.0.iter().map(|shelf| shelf.forms.len()).sum()));
        for shelf in &self.0 {
            let number = |form: &Form| Form { bytes: form.bytes.clone(), mask: masks.len() + form.mask };
            forms.extend(shelf.forms.iter().map(number));
            masks.extend_from_slice(&shelf.masks);
        }
        Index::new(masks, forms)
    }

    /// Whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many values it has.
    pub(super) fn values(&self) -> usize {
        self.0.iter().map(|shelf| shelf.masks.len()).sum()
    }

    pub(super) fn mask(&self, (shelf, mask): MaskNumber) -> &Mask {
        &self.0[shelf].masks[mask]
    }

    /// The first position at or after `from` where a form occurs, with the longest form there.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<Found> {
        if self.is_empty() {
            return None;
        }
        let rest = text.get(from..)?;
        for (offset, window) in rest.windows(8).enumerate() {
            let head = head_of_eight(window);
            if self.0.iter().any(|shelf| shelf.may_start(head))
                && let Some(found) = self.longest_at(head, text, from + offset)
            {
                return Some(found);
            }
        }
        let last = text.len().checked_sub(HEAD_BYTES)?;
        let scanned = from + (rest.len() + 1).saturating_sub(8);
        (scanned..=last).find_map(|at| self.longest_at(head(&text[at..]), text, at))
    }

    /// The first position from which a form could go on beyond the end of the text; the length of the
    /// text if there is none. What occurs before that position does not depend on what follows.
    pub(super) fn settled(&self, text: &[u8]) -> usize {
        self.0.iter().map(|shelf| shelf.settled(text)).min().unwrap_or(text.len())
    }

    fn longest_at(&self, head: u64, text: &[u8], start: usize) -> Option<Found> {
        let mut longest: Option<Found> = None;
        for (number, shelf) in self.0.iter().enumerate() {
            if let Some(form) = shelf.longest_at(head, text, start) {
                let end = start + form.bytes.len();
                if longest.is_none_or(|longest| longest.end < end) {
                    longest = Some(Found { start, end, mask: (number, form.mask) });
                }
            }
        }
        longest
    }
}

/// Forms in the order of their bytes, and what makes looking for them fast.
struct Shelf {
    masks: Vec<Mask>,
    forms: Vec<Form>,
    heads: Zeroizing<Vec<u64>>,
    filter: Zeroizing<Vec<u64>>,
    shift: u32,
    longest: usize,
}

impl Shelf {
    /// Of equal forms the one with the lowest mask number counts.
    fn new(masks: Vec<Mask>, mut forms: Vec<Form>) -> Shelf {
        // Stable, because it is fast where parts are in order already.
        forms.sort_by(|a, b| (a.bytes.as_slice(), a.mask).cmp(&(b.bytes.as_slice(), b.mask)));
        forms.dedup_by(|later, kept| later.bytes == kept.bytes);
        let heads: Vec<u64> = forms.iter().map(|form| head(&form.bytes)).collect();
        let bits = (forms.len() * FILTER_BITS_PER_FORM).next_power_of_two().max(64);
        let mut shelf = Shelf {
            masks,
            longest: forms.iter().map(|form| form.bytes.len()).max().unwrap_or(0),
            forms,
            heads: Zeroizing::new(heads),
            filter: Zeroizing::new(vec![0; bits / 64]),
            shift: 64 - bits.trailing_zeros(),
        };
        for at in 0..shelf.heads.len() {
            let (word, bit) = shelf.filter_place(shelf.heads[at]);
            shelf.filter[word] |= bit;
        }
        shelf
    }

    fn settled(&self, text: &[u8]) -> usize {
        let first = text.len().saturating_sub(self.longest.saturating_sub(1));
        (first..text.len()).find(|&at| self.may_go_on(&text[at..])).unwrap_or(text.len())
    }

    fn may_go_on(&self, tail: &[u8]) -> bool {
        if tail.len() >= HEAD_BYTES && !self.may_start(head(tail)) {
            return false;
        }
        let after = self.forms.partition_point(|form| form.bytes.as_slice() <= tail);
        self.forms.get(after).is_some_and(|form| form.bytes.starts_with(tail))
    }

    fn longest_at(&self, head: u64, text: &[u8], start: usize) -> Option<&Form> {
        let first = self.heads.partition_point(|&other| other < head);
        let same_head = self.heads[first..].iter().take_while(|&&other| other == head).count();
        self.forms[first..first + same_head]
            .iter()
            .filter(|form| text[start..].starts_with(&form.bytes))
            .max_by_key(|form| form.bytes.len())
    }

    #[inline]
    fn may_start(&self, head: u64) -> bool {
        let (word, bit) = self.filter_place(head);
        self.filter[word] & bit != 0
    }

    #[inline]
    fn filter_place(&self, head: u64) -> (usize, u64) {
        let place = head.wrapping_mul(SPREAD) >> self.shift;
        ((place / 64) as usize, 1 << (place % 64))
    }
}

/// The first [`HEAD_BYTES`] of at least as many, as a number in the order of the bytes.
fn head(bytes: &[u8]) -> u64 {
    bytes[..HEAD_BYTES].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// [`head`] of exactly eight bytes, read at once.
#[inline]
fn head_of_eight(window: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(window);
    u64::from_be_bytes(bytes) >> (8 * (8 - HEAD_BYTES))
}
