//! What to measure, how often and for how long.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};
use tempfile::TempDir;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Usage: cargo xtask bench [--quick] [--rounds N] [--seconds S] [--only TEXT]… [--directory DIR]

  --quick          one short round with fewer secrets: whether it works, not how fast it is
  --rounds N       rounds, of which medians are taken [default: 3]
  --seconds S      how long each row is measured in a round [default: 2]
  --only TEXT      only rows with this text in their name, and the bases; may be repeated
  --directory DIR  where the data goes: a real disk, not tmpfs [default: beside this program]";

/// How to measure.
pub(crate) struct Plan {
    /// Rounds, of which medians are taken.
    pub(crate) rounds: usize,
    /// How long each row is measured in a round.
    pub(crate) time: Duration,
    /// Secrets of the store that is opened again.
    pub(crate) secrets: usize,
    only: Vec<String>,
    directory: Option<PathBuf>,
}

impl Plan {
    /// Reads the arguments; `None` when help is wanted.
    pub(crate) fn parse(arguments: &[String]) -> Result<Option<Plan>> {
        let mut plan =
            Plan { rounds: 3, time: Duration::from_secs(2), secrets: 100_000, only: Vec::new(), directory: None };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| anyhow::anyhow!("`{argument}` needs a value"));
            match argument.as_str() {
                "--help" | "-h" => return Ok(None),
                "--quick" => (plan.rounds, plan.time, plan.secrets) = (1, Duration::from_millis(300), 5_000),
                "--rounds" => plan.rounds = value()?.parse()?,
                "--seconds" => plan.time = Duration::try_from_secs_f64(value()?.parse()?)?,
                "--only" => plan.only.push(value()?.clone()),
                "--directory" => plan.directory = Some(value()?.into()),
                other => bail!("`{other}` is not known\n{HELP}"),
            }
        }
        Ok(Some(plan))
    }

    /// Whether a row is to be measured.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| row.contains(text))
    }

    /// A directory for the data, deleted afterwards.
    pub(crate) fn directory(&self) -> Result<TempDir> {
        let program = std::env::current_exe()?;
        let beside = program.parent().unwrap_or(&program);
        Ok(tempfile::tempdir_in(self.directory.as_deref().unwrap_or(beside))?)
    }
}
