//! `cargo xtask setup`: installs what the tests need and nothing else.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{nats, npm, shell};

/// Major and minor version: what the SDKs' build tools need.
const OLDEST_NODE: (u32, u32) = (20, 19);

/// Does every part, then reports all that is missing at once.
pub(crate) fn run(root: &Path) -> Result<()> {
    let parts = [check_node(), install_npm_packages(root), install_chromium(root), nats::install(root)];
    check_nextest();
    let problems: Vec<String> = parts.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    if !problems.is_empty() {
        bail!("{}", problems.join("\n       "));
    }
    Ok(())
}

fn check_node() -> Result<()> {
    let version = shell::output(shell::command(Path::new("."), "node", &["--version"]))
        .context("Node.js 20.19 or newer is needed for the TypeScript SDKs")?;
    let found = version_of(&version).with_context(|| format!("cannot read the version `{}`", version.trim()))?;
    if found < OLDEST_NODE {
        bail!("Node.js 20.19 or newer is needed for the TypeScript SDKs; this is {}", version.trim());
    }
    println!("Node.js {}: fine", version.trim());
    Ok(())
}

fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn install_npm_packages(root: &Path) -> Result<()> {
    npm::projects(root).try_for_each(|project| npm::install(&project))
}

fn install_chromium(root: &Path) -> Result<()> {
    if shell::has_program("chromium") {
        println!("Chromium: there already");
        return Ok(());
    }
    if !is_root(root) || !shell::has_program("apt-get") {
        bail!(
            "the browser tests need `chromium` on PATH; on Debian: sudo apt-get install --no-install-recommends chromium"
        );
    }
    println!("Chromium: installing the Debian package");
    apt_get(root, &["update", "-qq"])?;
    apt_get(root, &["install", "-qq", "--yes", "--no-install-recommends", "chromium"])
}

fn apt_get(root: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = shell::command(root, "apt-get", arguments);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    shell::run(command)
}

fn is_root(root: &Path) -> bool {
    shell::output(shell::command(root, "id", &["-u"])).is_ok_and(|id| id.trim() == "0")
}

fn check_nextest() {
    if shell::has_program("cargo-nextest") {
        println!("cargo-nextest: there already");
    } else {
        println!("cargo-nextest: not here, `cargo test` is used instead (cargo install cargo-nextest --locked)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_node_is_read() {
        assert_eq!(version_of("v20.20.2\n"), Some((20, 20)));
        assert_eq!(version_of("20"), None);
        assert_eq!(version_of("vx"), None);
    }
}
