//! `cargo xtask ci`: all that has to be green, cheapest first.

use std::path::Path;

use anyhow::{Context, Result};

use crate::{
    shell,
    stages::{Done, Stages},
    test, tidy,
};

/// Runs every stage and prints what became of each.
///
/// Generated files need no stage of their own: the tests that write them under `UPDATE_GOLDEN=1` fail when they differ,
/// and `tidy` checks that those tests and the index of error pages are there.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut stages = Stages::default();
    stages.run("format", || cargo(root, &["fmt", "--all", "--check"]));
    stages.run("tidy", || tidy::run(root).map(|()| Done::Passed));
    stages.run("clippy", || cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    stages.run("dependency rules", || dependency_rules(root));
    test::add_stages(root, &mut stages);
    stages.finish()
}

fn dependency_rules(root: &Path) -> Result<Done> {
    // The fuzz targets stand outside of the workspace, so that no build notices.
    let metadata = ["metadata", "--locked", "--format-version", "1"];
    shell::output(shell::command(&root.join("fuzz"), "cargo", &metadata))
        .context("`fuzz/Cargo.lock` is not up to date, or its crates could not be fetched: run `cargo update --workspace` in `fuzz`")?;
    if !shell::has_program("cargo-deny") {
        return Ok(Done::Skipped("cargo-deny is not installed; tidy has checked the bans".to_owned()));
    }
    cargo(root, &["deny", "check", "bans", "licenses", "sources"])
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<Done> {
    shell::run(shell::command(root, "cargo", arguments)).map(|()| Done::Passed)
}
