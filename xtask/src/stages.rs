//! Named stages with durations. A failed stage does not stop the later ones, so that one run tells everything.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What became of a stage that did not fail.
pub(crate) enum Done {
    /// It ran.
    Passed,
    /// It did not run, and this is why.
    Skipped(String),
}

/// The stages of one command so far.
#[derive(Default)]
pub(crate) struct Stages {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    took: Duration,
    outcome: Result<Done, String>,
}

impl Stages {
    /// Runs a stage, says so, and keeps what became of it. True when it did not fail.
    pub(crate) fn run(&mut self, name: &str, stage: impl FnOnce() -> Result<Done>) -> bool {
        println!("\n=== {name}");
        let started = Instant::now();
        let outcome = stage().map_err(|error| format!("{error:#}"));
        if let Err(why) = &outcome {
            eprintln!("error: {why}");
        }
        let passed = outcome.is_ok();
        self.rows.push(Row { name: name.to_owned(), took: started.elapsed(), outcome });
        passed
    }

    /// Notes a stage that makes no sense because an earlier one failed.
    pub(crate) fn leave_out(&mut self, name: &str, why: &str) {
        self.rows.push(Row { name: name.to_owned(), took: Duration::ZERO, outcome: Ok(Done::Skipped(why.to_owned())) });
    }

    /// Prints the summary; an error when any stage failed.
    pub(crate) fn finish(self) -> Result<()> {
        println!("\n=== summary");
        for row in &self.rows {
            println!("{}", row.line());
        }
        let failed: Vec<&str> =
            self.rows.iter().filter(|row| row.outcome.is_err()).map(|row| row.name.as_str()).collect();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

impl Row {
    fn line(&self) -> String {
        let (word, note) = match &self.outcome {
            Ok(Done::Passed) => ("ok", String::new()),
            Ok(Done::Skipped(why)) => ("skipped", format!("  ({why})")),
            Err(_) => ("FAILED", String::new()),
        };
        format!("{:<8} {:>7.1} s  {}{note}", word, self.took.as_secs_f64(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn later_stages_run_after_a_failure_and_the_end_names_it() {
        let mut stages = Stages::default();
        assert!(!stages.run("first", || Err(anyhow!("broken"))));
        assert!(stages.run("second", || Ok(Done::Passed)));
        assert_eq!(stages.finish().unwrap_err().to_string(), "failed: first");
    }

    #[test]
    fn a_skipped_stage_is_no_failure() {
        let mut stages = Stages::default();
        stages.run("deny", || Ok(Done::Skipped("not installed".to_owned())));
        stages.leave_out("tests", "the build failed");
        assert!(stages.rows[0].line().contains("not installed"));
        stages.finish().unwrap();
    }
}
