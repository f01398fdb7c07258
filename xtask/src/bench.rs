//! `cargo xtask bench`: the benchmark program, built for release.

use std::path::Path;

use anyhow::Result;

use crate::shell;

/// Builds and runs the benchmarks with these arguments.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let mut command = shell::command(root, "cargo", &["run", "--release", "--package", "claviger-bench", "--"]);
    command.args(arguments);
    shell::run(command)
}
