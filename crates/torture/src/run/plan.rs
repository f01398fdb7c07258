//! How long to torture, and by which course of events.

use std::{
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Usage: cargo xtask torture [OPTION]…

  --seconds S    how long faults go on; checking comes after it [default: 120]
  --seed N       repeats a course of faults and requests, as far as the machine's timing permits [default: by chance]
  --nodes N      Claviger servers, 1 to 9 [default: 3]
  --blackouts    every other kill of a nats-server is one of all three at once: more than NATS promises to survive
  --server FILE  the server's program [default: `claviger` beside this program]";

/// How long one round of faults may take on a slow machine, on the average: the slowest that were seen took 18 s to be well
/// again, after at most 5.5 s of calm and fault; half of all took 2 s.
const SLOW_ROUND: Duration = Duration::from_secs(20);

/// What to do.
pub(crate) struct Plan {
    /// How long faults go on.
    pub(crate) time: Duration,
    /// What chance begins with.
    pub(crate) seed: u64,
    /// How many Claviger servers.
    pub(crate) nodes: usize,
    /// Whether all nats-servers are killed at once, too.
    pub(crate) blackouts: bool,
    /// The server's program.
    pub(crate) server: PathBuf,
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
                "--seconds" => plan.time = Duration::try_from_secs_f64(value()?.parse()?)?,
                "--seed" => plan.seed = value()?.parse()?,
                "--nodes" => plan.nodes = value()?.parse()?,
                "--blackouts" => plan.blackouts = true,
                "--server" => plan.server = value()?.into(),
                other => bail!("`{other}` is not known\n{HELP}"),
            }
        }
        ensure!((1..=9).contains(&plan.nodes), "there may be 1 to 9 servers");
        ensure!(plan.server.exists(), "{} is not there: cargo build -p claviger-cli", plan.server.display());
        Ok(Some(plan))
    }

    /// How many rounds of faults it takes to say anything.
    pub(crate) fn fewest_rounds(&self) -> usize {
        usize::try_from(self.time.as_secs() / SLOW_ROUND.as_secs()).unwrap_or(usize::MAX).max(1)
    }

    fn standard() -> Result<Plan> {
        let program = std::env::current_exe()?;
        let beside = program.parent().context("this program is nowhere")?;
        // The hasher's keys are random for each process.
        let seed = RandomState::new().hash_one("seed") % 1_000_000;
        Ok(Plan { time: Duration::from_secs(120), seed, nodes: 3, blackouts: false, server: beside.join("claviger") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_a_minute_has_a_few_rounds_and_none_has_nothing() {
        for (seconds, fewest) in [(0, 1), (8, 1), (39, 1), (60, 3), (120, 6)] {
            let plan = Plan { time: Duration::from_secs(seconds), ..Plan::standard().unwrap() };
            assert_eq!(plan.fewest_rounds(), fewest, "{seconds} s");
        }
    }
}
