//! `cargo xtask torture`: the torture run, on servers with all their assertions.

use std::path::Path;

use anyhow::Result;

use crate::{shell, stages::Done};

/// What `ci` and `test` do: long enough for every kind of fault, and the same course each time.
const SHORT: [&str; 4] = ["--seconds", "60", "--seed", "20"];

/// Builds the server and the torture run, and starts it with the arguments.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let both = ["build", "--package", "claviger-cli", "--package", "claviger-torture"];
    shell::run(shell::command(root, "cargo", &both))?;
    start(root, arguments)
}

/// The stage of `test` and `ci`: everything has been built.
pub(crate) fn stage(root: &Path) -> Result<Done> {
    start(root, &SHORT.map(str::to_owned)).map(|()| Done::Passed)
}

fn start(root: &Path, arguments: &[String]) -> Result<()> {
    let program = shell::built(root, "claviger-torture");
    let mut command = shell::command(root, &program.to_string_lossy(), &[]);
    command.args(arguments);
    shell::run(command)
}
