//! `claviger completion`: scripts for shells.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::{args::Cli, failure::Failure, output::print};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  source <(claviger completion bash)     # in ~/.bashrc
  claviger completion zsh > ~/.zfunc/_claviger
  claviger completion fish > ~/.config/fish/completions/claviger.fish")]
pub(crate) struct CompletionArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(arguments: &CompletionArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut Cli::command(), "claviger", &mut script);
    print(&String::from_utf8_lossy(&script))
}
