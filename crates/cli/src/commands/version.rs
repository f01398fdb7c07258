//! `claviger version`.

use clap::Args;
use serde::Serialize;

use crate::{
    args::OutputArgs,
    failure::Failure,
    output::{Output, print},
};

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  claviger version -o json")]
pub(crate) struct VersionArgs {
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

pub(crate) fn run(arguments: &VersionArgs) -> Result<(), Failure> {
    let output = Output::new(arguments.output);
    let version = Version { version: env!("CARGO_PKG_VERSION") };
    if output.is_table() {
        return print(&format!("claviger {}", version.version));
    }
    output.item(&version, |_| crate::output::fields([]))
}
