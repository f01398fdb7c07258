//! Instants for people: how long ago.

use claviger_api::Instant;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// `5s ago`, `3m ago`, `in 2h`; the date for what is more than 30 days away.
pub(crate) fn ago(instant: Instant) -> String {
    relative(instant, jiff::Timestamp::now().as_millisecond())
}

/// The same for what may not have happened.
pub(crate) fn maybe_ago(instant: Option<Instant>) -> String {
    instant.map(ago).unwrap_or_default()
}

fn relative(instant: Instant, now: i64) -> String {
    let seconds = now.saturating_sub(instant.0) / 1_000;
    let amount = match seconds.saturating_abs() {
        0 => return "now".to_owned(),
        s @ ..MINUTE => format!("{s}s"),
        s @ ..HOUR => format!("{}m", s / MINUTE),
        s @ ..DAY => format!("{}h", s / HOUR),
        s if s < 30 * DAY => format!("{}d", s / DAY),
        _ => return instant.to_string().split('T').next().unwrap_or_default().to_owned(),
    };
    if seconds > 0 { format!("{amount} ago") } else { format!("in {amount}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_instants_are_relative_and_far_ones_are_dates() {
        let now = 1_795_255_200_000;
        for (at, said) in [
            (now, "now"),
            (now - 59_999, "59s ago"),
            (now - 60_000, "1m ago"),
            (now + 7_200_000, "in 2h"),
            (now - 3 * 86_400_000, "3d ago"),
            (now - 31 * 86_400_000, "2026-10-21"),
        ] {
            assert_eq!(relative(Instant(at), now), said);
        }
    }
}
