//! `cargo xtask bench`: the benchmark program, built for release.

use std::path::Path;

use anyhow::Result;

use crate::shell;

/// Builds the server and the benchmarks, and runs these with the arguments.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let both = ["build", "--release", "--package", "claviger-cli", "--package", "claviger-bench"];
    shell::run(shell::command(root, "cargo", &both))?;
    let mut command = shell::command(root, "cargo", &["run", "--release", "--package", "claviger-bench", "--"]);
    command.args(arguments);
    shell::run(command)
}
