//! The reference of all commands as Markdown: `docs/reference/cli.md`.

use clap::{Command, CommandFactory};

use crate::{args::Cli, failure::Failure, output::print};

const HEAD: &str = "# The command line\n\nWritten by `cargo xtask gen` from what `claviger -h` says.\n";

pub(crate) fn run() -> Result<(), Failure> {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut text = HEAD.to_owned();
    write(&mut command, &mut text);
    print(&text)
}

fn write(command: &mut Command, text: &mut String) {
    if command.is_hide_set() {
        return;
    }
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.render_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    text.push_str(&format!("\n## `{name}`\n\n```text\n{}\n```\n", lines.join("\n").trim_end()));
    for part in command.get_subcommands_mut() {
        write(part, text);
    }
}
