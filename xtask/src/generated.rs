//! `cargo xtask gen`: files that are written by the code they describe.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{error_index, shell, tree::Tree};

/// A committed file and the test that compares it with what the code says. With `UPDATE_GOLDEN=1` the test writes it.
pub(crate) struct Golden {
    /// The file.
    pub(crate) path: &'static str,
    /// The package of the test.
    pub(crate) package: &'static str,
    /// Where that package lives.
    pub(crate) directory: &'static str,
    /// A part of the test's name that only tests of this file have.
    pub(crate) test: &'static str,
}

/// Every file that a test keeps equal to the code.
pub(crate) const GOLDEN: [Golden; 2] = [
    Golden { path: "spec/openapi.json", package: "claviger-server", directory: "crates/server", test: "openapi" },
    Golden { path: "docs/reference/cli.md", package: "claviger-cli", directory: "crates/cli", test: "cli_reference" },
];

/// Writes every generated file again.
pub(crate) fn write(root: &Path) -> Result<()> {
    println!("{}", error_index::PATH);
    let index = error_index::render(&Tree::read(root)?);
    fs::write(root.join(error_index::PATH), index).with_context(|| format!("cannot write `{}`", error_index::PATH))?;
    GOLDEN.iter().try_for_each(|golden| write_golden(root, golden))
}

fn write_golden(root: &Path, golden: &Golden) -> Result<()> {
    println!("{}", golden.path);
    let mut command = shell::command(root, "cargo", &["test", "--quiet", "--package", golden.package, golden.test]);
    command.env("UPDATE_GOLDEN", "1");
    shell::run(command)
}
