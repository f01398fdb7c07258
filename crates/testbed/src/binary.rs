//! Which nats-server is started.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, bail};

/// Names the program, whatever its version.
const VARIABLE: &str = "CLAVIGER_NATS_SERVER";
/// Where `cargo xtask setup` puts it, in the directory of the workspace.
const INSTALLED: &str = "target/tools/nats/bin/nats-server";
/// Major and minor version: what the backend relies on.
const OLDEST: (u32, u32) = (2, 12);

/// The nats-server program: what the variable `CLAVIGER_NATS_SERVER` names, else what `cargo xtask setup` installed, else
/// one of version 2.12 or newer on `PATH`.
///
/// # Errors
/// When there is none.
pub fn binary() -> Result<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| named().or_else(installed).or_else(on_path));
    found.clone().context("there is no nats-server: run `cargo xtask setup`, or have version 2.12 or newer on PATH")
}

fn named() -> Option<PathBuf> {
    env::var_os(VARIABLE).map(PathBuf::from)
}

fn installed() -> Option<PathBuf> {
    // Cargo tells a test where its package is; a program that was built elsewhere is started from within the workspace.
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = [package, env::current_dir().ok(), Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")))];
    let above = here.iter().flatten().flat_map(|directory| directory.ancestors());
    above.map(|directory| directory.join(INSTALLED)).find(|path| path.is_file())
}

fn on_path() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut candidates = env::split_paths(&path).map(|directory| directory.join("nats-server"));
    candidates.find(|program| program.is_file() && version(program).is_ok_and(|version| version >= OLDEST))
}

fn version(program: &Path) -> Result<(u32, u32)> {
    let output = Command::new(program).arg("--version").output()?;
    let text = String::from_utf8(output.stdout)?;
    match parse(&text) {
        Some(version) => Ok(version),
        None => bail!("`{}` does not say its version", program.display()),
    }
}

/// Reads `nats-server: v2.12.1`.
fn parse(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().rsplit_once('v')?.1.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        assert_eq!(parse("nats-server: v2.12.1\n"), Some((2, 12)));
        assert_eq!(parse("nats-server: v3.0.0-beta.1"), Some((3, 0)));
        assert_eq!(parse("something else"), None);
    }
}
