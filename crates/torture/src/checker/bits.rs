//! A set of small numbers.

/// Which of a fixed number of things are in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    /// None of `length` things.
    pub(super) fn none(length: usize) -> Bits {
        Bits(vec![0; length.div_ceil(64)].into())
    }

    pub(super) fn has(&self, at: usize) -> bool {
        self.0[at / 64] & (1 << (at % 64)) != 0
    }

    pub(super) fn add(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    /// The same with one more.
    pub(super) fn with(&self, at: usize) -> Bits {
        let mut more = self.clone();
        more.add(at);
        more
    }

    /// The first that is not in; past the end when all are.
    pub(super) fn first_missing(&self) -> usize {
        let full = self.0.iter().take_while(|word| **word == u64::MAX).count();
        full * 64 + self.0.get(full).map_or(0, |word| word.trailing_ones() as usize)
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_in() {
        let mut bits = Bits::none(130);
        for at in 0..130 {
            assert_eq!((bits.has(at), bits.first_missing(), bits.count()), (false, at, at));
            bits.add(at);
            assert!(bits.has(at));
        }
        assert_eq!(Bits::none(3).with(0).first_missing(), 1);
    }
}
