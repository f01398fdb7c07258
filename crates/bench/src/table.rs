//! Rows, their medians, and how they compare with the bases of the same round.

use std::{fmt::Write as _, time::Duration};

use crate::base::Base;

/// What one row was in one round.
#[derive(Clone, Copy)]
pub(crate) enum Measured {
    /// Something done again and again.
    Work { per_second: f64, p50: Duration, p99: Duration },
    /// How long something took.
    Time { p50: Duration, p99: Duration },
    /// How much memory something takes.
    Bytes(f64),
}

struct Row {
    name: String,
    against: Vec<Base>,
    rounds: Vec<(usize, Measured)>,
}

/// All rows, in the order in which they were measured first.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    round: usize,
}

impl Table {
    /// Notes what a row was in this round, and what it is compared with.
    pub(crate) fn note(&mut self, name: &str, against: &[Base], measured: Measured) {
        eprintln!("  {name}: {}", one_line(measured));
        let round = self.round;
        match self.rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.rounds.push((round, measured)),
            None => {
                let (name, against) = (name.to_owned(), against.to_vec());
                self.rows.push(Row { name, against, rounds: vec![(round, measured)] });
            }
        }
    }

    pub(crate) fn end_round(&mut self) {
        self.round += 1;
    }

    /// The table in Markdown.
    pub(crate) fn show(&self) -> String {
        let mut text =
            String::from("| | per second | median | p99 | × hello | × raw |\n|---|---:|---:|---:|---:|---:|\n");
        for row in &self.rows {
            let cells = [
                row.middle(|measured| measured.per_second()).map_or_else(String::new, count),
                row.middle(|measured| measured.p50()).map_or_else(|| row.bytes(), time),
                row.middle(|measured| measured.p99()).map_or_else(String::new, time),
                self.ratio(row, |base| !base.is_store()).map_or_else(String::new, ratio),
                self.ratio(row, Base::is_store).map_or_else(String::new, ratio),
            ];
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {} | {} |", row.name, cells.join(" | "));
        }
        text
    }

    /// The median of the ratios to a base of one kind, each within one round.
    fn ratio(&self, row: &Row, is_meant: impl Fn(Base) -> bool) -> Option<f64> {
        let name = row.against.iter().copied().find(|base| is_meant(*base))?.name();
        let base = self.rows.iter().find(|other| other.name == name)?;
        let ratios = row.rounds.iter().filter_map(|(round, measured)| {
            let (_, base) = base.rounds.iter().find(|(other, _)| other == round)?;
            Some(measured.per_second()? / base.per_second()?)
        });
        median(ratios.collect())
    }
}

impl Row {
    fn middle(&self, of: impl Fn(&Measured) -> Option<f64>) -> Option<f64> {
        median(self.rounds.iter().filter_map(|(_, measured)| of(measured)).collect())
    }

    fn bytes(&self) -> String {
        let bytes = |measured: &Measured| if let Measured::Bytes(bytes) = measured { Some(*bytes) } else { None };
        self.middle(bytes).map_or_else(String::new, |bytes| format!("{bytes:.0} bytes"))
    }
}

impl Measured {
    /// From the times of single operations, and from how long all of them took together.
    pub(crate) fn work(mut times: Vec<Duration>, all: Duration) -> Measured {
        times.sort_unstable();
        Measured::Work {
            per_second: times.len() as f64 / all.as_secs_f64(),
            p50: at(&times, 0.5),
            p99: at(&times, 0.99),
        }
    }

    /// From single times.
    pub(crate) fn time(mut times: Vec<Duration>) -> Measured {
        times.sort_unstable();
        Measured::Time { p50: at(&times, 0.5), p99: at(&times, 0.99) }
    }

    fn per_second(&self) -> Option<f64> {
        if let Measured::Work { per_second, .. } = self { Some(*per_second) } else { None }
    }

    fn p50(&self) -> Option<f64> {
        match self {
            Measured::Work { p50, .. } | Measured::Time { p50, .. } => Some(p50.as_secs_f64()),
            Measured::Bytes(_) => None,
        }
    }

    fn p99(&self) -> Option<f64> {
        match self {
            Measured::Work { p99, .. } | Measured::Time { p99, .. } => Some(p99.as_secs_f64()),
            Measured::Bytes(_) => None,
        }
    }
}

fn at(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

fn one_line(measured: Measured) -> String {
    match measured {
        Measured::Work { per_second, p50, p99 } => {
            format!("{}/s, median {}, p99 {}", count(per_second), time(p50.as_secs_f64()), time(p99.as_secs_f64()))
        }
        Measured::Time { p50, p99 } => format!("median {}, p99 {}", time(p50.as_secs_f64()), time(p99.as_secs_f64())),
        Measured::Bytes(bytes) => format!("{bytes:.0} bytes"),
    }
}

fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

fn time(seconds: f64) -> String {
    if seconds < 0.001 { format!("{:.0} µs", seconds * 1e6) } else { format!("{:.2} ms", seconds * 1e3) }
}

fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_within_a_round_and_medians_over_rounds() {
        let work =
            |per_second| Measured::Work { per_second, p50: Duration::from_micros(900), p99: Duration::from_millis(2) };
        let mut table = Table::default();
        for (base, row) in [(1000.0, 2000.0), (500.0, 1500.0), (1000.0, 4000.0)] {
            table.note(&Base::Commits.name(), &[], work(base));
            table.note("sets", &[Base::Commits], work(row));
            table.end_round();
        }
        let text = table.show();
        assert!(text.contains("| sets | 2,000 | 900 µs | 2.00 ms |  | 3.00 |"), "{text}");
    }

    #[test]
    fn an_even_number_of_rounds_has_a_middle() {
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
