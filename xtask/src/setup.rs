//! `cargo xtask setup`: installs what the tests need and nothing else.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{npm, shell};

const OLDEST_NODE: u32 = 20;

/// Does every part, then reports all that is missing at once.
pub(crate) fn run(root: &Path) -> Result<()> {
    let parts = [check_node(), install_npm_packages(root), install_chromium(root)];
    check_nextest();
    let problems: Vec<String> = parts.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    if !problems.is_empty() {
        bail!("{}", problems.join("\n       "));
    }
    Ok(())
}

fn check_node() -> Result<()> {
    let version = shell::output(shell::command(Path::new("."), "node", &["--version"]))
        .with_context(|| format!("Node.js {OLDEST_NODE} or newer is needed for the TypeScript SDKs"))?;
    let major = major_version(&version).with_context(|| format!("cannot read the version `{}`", version.trim()))?;
    if major < OLDEST_NODE {
        bail!("Node.js {OLDEST_NODE} or newer is needed for the TypeScript SDKs; this is {}", version.trim());
    }
    println!("Node.js {}: fine", version.trim());
    Ok(())
}

fn major_version(text: &str) -> Option<u32> {
    text.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
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
    fn the_major_version_of_node_is_read() {
        assert_eq!(major_version("v20.20.2\n"), Some(20));
        assert_eq!(major_version("20"), None);
        assert_eq!(major_version("vx"), None);
    }
}
