//! What the project stands on: few packages, one cryptography provider, nothing unmaintained.

use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::Finding;
use crate::{shell, tree::Tree};

const LOCK: &str = "Cargo.lock";
const PACKAGES: usize = 380;

/// Not even as an unused entry of the lock file.
const BANNED: [&str; 6] = ["openssl", "openssl-sys", "native-tls", "serde_yaml", "serde_yml", "bincode"];

/// In the lock file as somebody's option, but never built.
const UNUSED: [&str; 1] = ["ring"];

/// Checks the lock file, and asks Cargo which of its packages are built.
pub(super) fn check(root: &Path, tree: &Tree) -> Result<Vec<Finding>> {
    let lock: Table = tree.text(LOCK).unwrap_or_default().parse().context("cannot read Cargo.lock")?;
    let names = package_names(&lock);
    let mut findings = check_names(&names);
    for package in UNUSED.iter().filter(|package| names.contains(*package)) {
        let arguments = ["tree", "--workspace", "--quiet", "--prefix", "none", "--invert", package];
        let users = shell::output(shell::command(root, "cargo", &arguments))?;
        if !users.trim().is_empty() {
            findings.push(Finding::file(
                LOCK,
                format!("`{package}` is built; `cargo tree --invert {package}` says by whom"),
            ));
        }
    }
    Ok(findings)
}

fn check_names(names: &[&str]) -> Vec<Finding> {
    let banned = names.iter().filter(|name| BANNED.contains(name));
    let mut findings: Vec<Finding> = banned.map(|name| Finding::file(LOCK, format!("`{name}` is banned"))).collect();
    if names.len() >= PACKAGES {
        findings.push(Finding::file(LOCK, format!("{} packages; fewer than {PACKAGES} are allowed", names.len())));
    }
    findings
}

fn package_names(lock: &Table) -> Vec<&str> {
    let packages = lock.get("package").and_then(Value::as_array);
    packages.into_iter().flatten().filter_map(|package| package.get("name")?.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_packages_and_banned_ones_are_found() {
        let lock: Table = "[[package]]\nname = \"openssl\"\n[[package]]\nname = \"serde\"\n".parse().unwrap();
        let said: Vec<String> = check_names(&package_names(&lock)).iter().map(Finding::shown).collect();
        assert_eq!(said, ["Cargo.lock: `openssl` is banned"]);
        assert_eq!(check_names(&["a"; 380]).len(), 1);
        assert_eq!(check_names(&["a"; 379]).len(), 0);
    }
}
