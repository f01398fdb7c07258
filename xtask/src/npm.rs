//! The npm projects of the tree.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::shell;

/// Where the TypeScript SDKs live.
pub(crate) const SDK: &str = "sdk/typescript";

/// Every directory with a `package-lock.json`; the first that others use comes first.
const PROJECTS: [&str; 3] = [SDK, "tests/browser", "tests/flatfile"];

/// The npm projects that are in the tree.
pub(crate) fn projects(root: &Path) -> impl Iterator<Item = PathBuf> {
    PROJECTS.map(|project| root.join(project)).into_iter().filter(|project| project.join("package-lock.json").is_file())
}

/// Installs what the lock file names, unless it is what was installed last.
pub(crate) fn install(project: &Path) -> Result<()> {
    let lock_path = project.join("package-lock.json");
    let lock = fs::read(&lock_path).with_context(|| format!("cannot read `{}`", lock_path.display()))?;
    let stamp = project.join("node_modules/.claviger-installed");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        println!("npm packages of {}: there already", project.display());
        return Ok(());
    }
    println!("npm packages of {}: installing what package-lock.json names", project.display());
    shell::run(shell::command(project, "npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))?;
    // The stamp is the lock file itself: nothing to hash, nothing to confuse. A project without dependencies
    // has no `node_modules` of its own until now.
    fs::create_dir_all(project.join("node_modules"))?;
    fs::write(&stamp, &lock).with_context(|| format!("cannot write `{}`", stamp.display()))
}

/// Runs one script of a project's `package.json`.
pub(crate) fn script(project: &Path, name: &str) -> Result<()> {
    shell::run(shell::command(project, "npm", &["run", "--silent", name]))
}
