//! `cargo xtask test`: everything, in one command.

use std::{path::Path, process::Command};

use anyhow::Result;

use crate::{
    npm, setup, shell,
    stages::{Done, Stages},
    torture,
};

/// Runs all tests and prints what became of each stage.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut stages = Stages::default();
    add_stages(root, &mut stages);
    stages.finish()
}

/// The stages of `test`, also the last ones of `ci`.
pub(crate) fn add_stages(root: &Path, stages: &mut Stages) {
    stages.run("setup", || setup::run(root).map(passed));
    let sdk = root.join(npm::SDK);
    let has_sdk = stages.run("build the TypeScript SDKs", || npm::script(&sdk, "build").map(passed));
    if !stages.run("build the binary and the tests", || shell::run(build(root)).map(passed)) {
        for name in ["tests", "documentation tests", "TypeScript SDK tests", "torture"] {
            stages.leave_out(name, "the build failed");
        }
        return;
    }
    stages.run("tests", || shell::run(tests(root)).map(passed));
    stages.run("documentation tests", || shell::run(cargo(root, &["test", "--doc", "--workspace"])).map(passed));
    if has_sdk {
        stages.run("TypeScript SDK tests", || shell::run(sdk_tests(root, &sdk)).map(passed));
    } else {
        stages.leave_out("TypeScript SDK tests", "their build failed");
    }
    stages.run("torture", || torture::stage(root));
}

fn passed((): ()) -> Done {
    Done::Passed
}

/// One build for all that follows: with `--tests`, Cargo unifies the features of the development dependencies as the
/// test runs do, so that nothing is compiled twice.
fn build(root: &Path) -> Command {
    cargo(root, &["build", "--workspace", "--bins", "--tests", "--examples"])
}

fn tests(root: &Path) -> Command {
    if shell::has_program("cargo-nextest") {
        cargo(root, &["nextest", "run", "--workspace", "--no-fail-fast"])
    } else {
        cargo(root, &["test", "--workspace", "--no-fail-fast", "--bins", "--lib", "--tests"])
    }
}

fn sdk_tests(root: &Path, sdk: &Path) -> Command {
    let mut command = shell::command(sdk, "npm", &["test", "--silent"]);
    command.env("CLAVIGER_BIN", shell::built(root, "claviger"));
    command
}

fn cargo(root: &Path, arguments: &[&str]) -> Command {
    shell::command(root, "cargo", arguments)
}
