//! Waiting times between attempts to connect.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

const INITIAL: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(10);

/// Exponential, with full jitter so that many workers spread out after a server's restart.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait before the next attempt. Each call doubles the range, up to the most.
    pub(crate) fn next(&mut self) -> Duration {
        let range = INITIAL.saturating_mul(1 << self.failures.min(16)).min(MOST);
        self.failures += 1;
        range.mul_f64(random_fraction())
    }

    /// Begins again with the shortest range, after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Uniform in 0..1. A fresh `RandomState` is seeded randomly, which is all the randomness that jitter needs.
fn random_fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_double_up_to_the_most() {
        let mut backoff = Backoff::default();
        for attempt in 0..40 {
            let most = INITIAL.saturating_mul(1 << attempt.min(16)).min(MOST);
            assert!(backoff.next() <= most);
        }
        backoff.reset();
        assert!(backoff.next() <= INITIAL);
    }

    #[test]
    fn fractions_spread_over_the_whole_range() {
        let fractions: Vec<f64> = (0..1000).map(|_| random_fraction()).collect();
        assert!(fractions.iter().all(|fraction| (0.0..1.0).contains(fraction)));
        assert!(fractions.iter().any(|fraction| *fraction < 0.1));
        assert!(fractions.iter().any(|fraction| *fraction > 0.9));
    }
}
