//! Build chores: `cargo xtask <command>`. One module per command; `tidy` holds the house rules as code.

// This program talks to the person at the terminal; it has no other output.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod ci;
mod error_index;
mod generated;
mod markdown;
mod nats;
mod npm;
mod rust_source;
mod setup;
mod shell;
mod stages;
mod test;
mod tidy;
mod torture;
mod tree;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask <command>

  setup   install what the tests need: npm packages, Chromium, nats-server; says what it does, skips what is there
  test    setup, build the SDKs and the binary, run every test there is
  tidy    check the house rules (STYLE.md, ARCHITECTURE.md)
  gen     write the generated files again: spec/openapi.json, docs/reference/cli.md, docs/errors/README.md
  ci      fmt, tidy, clippy, dependency rules, test: what has to be green
  bench   run the benchmarks; what follows is passed on
  torture break a cluster while clients work, and check what they were told; what follows is passed on";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let root = shell::workspace_root()?;
    match arguments.first().map(String::as_str) {
        Some("setup") => setup::run(&root),
        Some("test") => test::run(&root),
        Some("tidy") => tidy::run(&root),
        Some("gen") => generated::write(&root),
        Some("ci") => ci::run(&root),
        Some("bench") => bench::run(&root, &arguments[1..]),
        Some("torture") => torture::run(&root, &arguments[1..]),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        Some(other) => bail!("there is no command `{other}`\n\n{USAGE}"),
        None => bail!("which command?\n\n{USAGE}"),
    }
}
