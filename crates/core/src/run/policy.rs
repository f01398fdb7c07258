//! How attempts are repeated.

use std::time::Duration;

/// Retry with exponential backoff.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Attempts in all, 1–100.
    pub max_attempts: u32,
    /// Pause before the second attempt.
    pub initial_delay: Duration,
    /// What the pause is multiplied by each time, 1–10.
    pub backoff_factor: f64,
    /// The longest pause.
    pub max_delay: Duration,
}

// The factor is checked to be finite when a function is declared.
impl Eq for Retry {}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            max_attempts: 4,
            initial_delay: Duration::from_secs(1),
            backoff_factor: 2.0,
            max_delay: Duration::from_secs(60),
        }
    }
}

impl Retry {
    /// The pause after this many failed attempts; `None` when there is no attempt left.
    #[must_use]
    pub fn delay_after(&self, failures: u32) -> Option<Duration> {
        if failures >= self.max_attempts {
            return None;
        }
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.initial_delay.as_secs_f64() * self.backoff_factor.powi(exponent);
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(self.max_delay).min(self.max_delay))
    }
}

/// The pause before a run is offered again after workers were lost in a row: none at first, then
/// 100 ms doubling to 30 s.
pub(super) fn delay_after_losses(losses: u32) -> Duration {
    match losses {
        0 | 1 => Duration::ZERO,
        n => Duration::from_millis(100u64.saturating_mul(1 << (n - 2).min(16))).min(Duration::from_secs(30)),
    }
}

/// The pause before a hand-over is tried again that failed so many times in a row: 1 s doubling to 5 minutes.
pub(super) fn delay_after_undelivered(times: u32) -> Duration {
    let longest = Duration::from_secs(300);
    Duration::from_secs(1 << times.saturating_sub(1).min(16)).min(longest)
}
