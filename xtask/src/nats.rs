//! The nats-server of the tests.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::shell;

/// What is installed, with its hashes.
const REQUIREMENTS: &str = "xtask/nats-server.txt";
/// Where: a Python virtual environment. `claviger-testbed` looks there.
const ENVIRONMENT: &str = "target/tools/nats";
/// Major and minor version: what the backend relies on.
const OLDEST: (u32, u32) = (2, 12);

/// Installs it, unless the one on `PATH` will do.
pub(crate) fn install(root: &Path) -> Result<()> {
    if let Some(version) = on_path(root) {
        println!("nats-server: {version} on PATH");
        return Ok(());
    }
    let wanted = fs::read(root.join(REQUIREMENTS)).with_context(|| format!("cannot read `{REQUIREMENTS}`"))?;
    let environment = root.join(ENVIRONMENT);
    let stamp = environment.join("installed.txt");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        println!("nats-server: there already");
        return Ok(());
    }
    println!("nats-server: installing what {REQUIREMENTS} names");
    if !shell::has_program("python3") {
        bail!(
            "the NATS tests need python3 to install nats-server ({REQUIREMENTS}), or nats-server {}.{} or newer on PATH",
            OLDEST.0,
            OLDEST.1
        );
    }
    shell::run(shell::command(root, "python3", &["-m", "venv", "--clear", ENVIRONMENT]))
        .context("no Python virtual environment for nats-server; on Debian: sudo apt-get install python3-venv")?;
    let python = environment.join("bin/python");
    let python = python.to_str().context("the workspace's path is not UTF-8")?;
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    let checked = ["--only-binary=:all:", "--require-hashes", "--requirement", REQUIREMENTS];
    shell::run(shell::command(root, python, &[quiet.as_slice(), &checked].concat()))?;
    fs::write(&stamp, &wanted).with_context(|| format!("cannot write `{}`", stamp.display()))
}

/// The version of the one on `PATH`, if it is new enough.
fn on_path(root: &Path) -> Option<String> {
    if !shell::has_program("nats-server") {
        return None;
    }
    let said = shell::output(shell::command(root, "nats-server", &["--version"])).ok()?;
    let version = said.trim().rsplit_once('v')?.1;
    (parse(version)? >= OLDEST).then(|| version.to_owned())
}

fn parse(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(parse("2.9.10") < Some(OLDEST));
        assert!(parse("2.12.0") >= Some(OLDEST));
        assert!(parse("3.0.0-beta.1") >= Some(OLDEST));
        assert_eq!(parse("devel"), None);
    }
}
