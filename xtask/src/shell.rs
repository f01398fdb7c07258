//! Running other programs.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// The directory of the workspace's manifest.
pub(crate) fn workspace_root() -> Result<PathBuf> {
    let own = env::var("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
    Path::new(&own).parent().map(Path::to_path_buf).context("the xtask package has no parent directory")
}

/// Names the nats-server of the tests: a setting for them, not for Claviger.
const KEPT: &str = "CLAVIGER_NATS_SERVER";

/// A command in a directory, with nothing on its standard input and none of the caller's Claviger settings: whoever has
/// just exported an API key runs the same tests as everybody.
pub(crate) fn command(directory: &Path, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    let settings = env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("CLAVIGER_"));
    let settings = settings.filter(|name| name != KEPT);
    settings.for_each(|name| {
        command.env_remove(name);
    });
    command
}

/// Shows the command, runs it, and fails when it fails.
pub(crate) fn run(mut command: Command) -> Result<()> {
    println!("$ {}", shown(&command));
    let status = command.status().with_context(|| format!("cannot start `{}`", shown(&command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(&command));
    }
    Ok(())
}

/// The standard output of a command that must succeed.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start `{}`", shown(&command)))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", shown(&command), String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` printed something that is not UTF-8", shown(&command)))
}

/// A program that Cargo has built, with debug assertions.
pub(crate) fn built(root: &Path, program: &str) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |given| root.join(given));
    target.join("debug").join(program)
}

/// Whether a program of that name is on `PATH`.
pub(crate) fn has_program(name: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|directory| directory.join(name).is_file()))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = run(command(Path::new("."), "cargo", &["no-such-command"])).unwrap_err();
        assert!(error.to_string().contains("cargo no-such-command"), "{error}");
    }

    #[test]
    fn programs_are_looked_up_on_the_path() {
        assert!(has_program("cargo"));
        assert!(!has_program("no-such-program-anywhere"));
    }
}
