//! Pauses between attempts.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// How long a request is tried again.
const TRIED_FOR: Duration = Duration::from_secs(10);

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(500);

/// A random number; not for secrets.
pub(super) fn random() -> u64 {
    // The hasher's keys are drawn anew for every instance.
    RandomState::new().hash_one(())
}

/// Between half of it and the whole.
pub(super) fn jitter(longest: Duration) -> Duration {
    let part = f64::from(u32::try_from(random() >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    longest.mul_f64(0.5 + part / 2.0)
}

/// Growing pauses, for a while.
pub(super) struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    pub(super) fn new() -> Patience {
        Patience { until: Instant::now() + TRIED_FOR, pause: SHORTEST }
    }

    /// Waits before the next attempt. False when there shall be none.
    pub(super) async fn is_left(&mut self) -> bool {
        let pause = jitter(self.pause);
        self.pause = (self.pause * 2).min(LONGEST);
        if Instant::now() + pause >= self.until {
            return false;
        }
        sleep(pause).await;
        true
    }
}
