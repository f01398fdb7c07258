//! What to measure, how often and for how long.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::nats::Mode;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Usage: cargo xtask bench [OPTION]…

  --quick          one short round with fewer secrets and one mode of NATS: whether it works, not how fast it is
  --rounds N       rounds, of which medians are taken [default: 3]
  --seconds S      how long each row is measured in a round [default: 2]
  --only TEXT      only rows with this text in their name, and the bases; may be repeated
  --directory DIR  where the data goes: a real disk, not tmpfs [default: beside this program]
  --server FILE    the server, built for release [default: `claviger` beside this program]";

/// How to measure.
pub(crate) struct Plan {
    /// Rounds, of which medians are taken.
    pub(crate) rounds: usize,
    /// How long each row is measured in a round.
    pub(crate) time: Duration,
    /// Secrets of the store that is opened again.
    pub(crate) secrets: usize,
    /// How NATS keeps what it acknowledges.
    pub(crate) modes: &'static [Mode],
    /// The server's program.
    pub(crate) server: PathBuf,
    only: Vec<String>,
    directory: PathBuf,
}

impl Plan {
    /// Reads the arguments; `None` when help is wanted.
    pub(crate) fn parse(arguments: &[String]) -> Result<Option<Plan>> {
        let mut plan = Plan::standard()?;
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("`{argument}` needs a value"));
            match argument.as_str() {
                "--help" | "-h" => return Ok(None),
                "--quick" => plan = plan.quick(),
                "--rounds" => plan.rounds = value()?.parse()?,
                "--seconds" => plan.time = Duration::try_from_secs_f64(value()?.parse()?)?,
                "--only" => plan.only.push(value()?.clone()),
                "--directory" => plan.directory = value()?.into(),
                "--server" => plan.server = value()?.into(),
                other => bail!("`{other}` is not known\n{HELP}"),
            }
        }
        Ok(Some(plan))
    }

    fn standard() -> Result<Plan> {
        let program = std::env::current_exe()?;
        let beside = program.parent().context("this program is nowhere")?;
        Ok(Plan {
            rounds: 3,
            time: Duration::from_secs(2),
            secrets: 100_000,
            modes: &Mode::ALL,
            server: beside.join("claviger"),
            only: Vec::new(),
            directory: beside.to_owned(),
        })
    }

    fn quick(self) -> Plan {
        Plan { rounds: 1, time: Duration::from_millis(300), secrets: 5_000, modes: &[Mode::Durable], ..self }
    }

    /// Fails unless the server's program is there.
    pub(crate) fn check_server(&self) -> Result<()> {
        ensure!(self.server.exists(), "{} is not there: cargo build --release -p claviger-cli", self.server.display());
        Ok(())
    }

    /// Whether a row is to be measured.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| row.contains(text))
    }

    /// Whether one of the rows is to be measured.
    pub(crate) fn wants_any(&self, rows: &[String]) -> bool {
        rows.iter().any(|row| self.wants(row))
    }

    /// A directory for the data, deleted afterwards.
    pub(crate) fn directory(&self) -> Result<TempDir> {
        Ok(tempfile::tempdir_in(&self.directory)?)
    }
}
