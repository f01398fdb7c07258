//! The command line. Each command's arguments are beside its code, in `commands` and `serve`.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use clap::{
    Args, Command as Definition, CommandFactory, Parser, Subcommand, ValueEnum,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    commands::{
        api_key::ApiKeyCommand, completion::CompletionArgs, config_file::ConfigFileCommand,
        environment::EnvironmentCommand, event::EventCommand, explain::ExplainArgs, function::FunctionCommand,
        run::RunCommand, secret::SecretCommand, space::SpaceCommand, subscribe::SubscribeArgs, version::VersionArgs,
    },
    serve::ServeArgs,
};

/// Keeps the secrets of event-driven programs.
///
/// Values go in; they are handed, at run time only, to the functions that declared them; nobody reads them back.
#[derive(Debug, Parser)]
#[command(
    name = "claviger",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  claviger dev                           # a server on 127.0.0.1:8080
  printf %s \"$NEW\" | claviger secret set STRIPE_KEY
  claviger secret list
  claviger event emit payout.requested --data '{\"amount\": 1200}' --wait
  claviger explain revision_conflict     # what an error code means

Exit status:
  0 ok, 1 other, 2 usage: wrong or too large input, 3 denied, 4 not found,
  5 conflict, 6 no or wrong master key, 8 unreachable"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a server for development: makes the keys that it needs
    #[command(mut_arg("nats", |nats| nats.hide(true)), mut_arg("nats_creds", |creds| creds.hide(true)), after_help = "\
Makes a development key when no master key is set, and the API keys `admin.key` and `runtime.key` in the data directory.

Examples:
  claviger dev
  claviger dev --listen 127.0.0.1:0 --data try     # on a free port
  export CLAVIGER_API_KEY=$(cat .claviger/runtime.key)     # for a worker")]
    Dev(ServeArgs),
    /// Run a server
    #[command(after_help = "\
When it serves, it prints one line on standard error: `claviger ready api=http://… data=…`. The path after `data=` goes \
to the end of the line, spaces included.

Examples:
  export CLAVIGER_MASTER_KEY=$(openssl rand -hex 32)     # keep it
  claviger apikey bootstrap --data /var/lib/claviger     # once
  claviger start --data /var/lib/claviger
  claviger start --config config.toml --listen 127.0.0.1:9000
  claviger start --nats nats://a,b,c     # on NATS, with other servers
  CLAVIGER_SERVER__LISTEN=127.0.0.1:9000 claviger start")]
    Start(ServeArgs),
    /// Set, list, describe, explain, block and delete secrets
    #[command(subcommand, after_help = "Examples:\n  claviger secret set STRIPE_KEY\n  claviger secret list")]
    Secret(SecretCommand),
    /// Create, list, show, update and delete spaces, which inherit the secrets of their environment
    #[command(subcommand, after_help = "Examples:\n  claviger space create acme --env prod\n  claviger space list")]
    Space(SpaceCommand),
    /// Emit events
    #[command(subcommand, after_help = "Examples:\n  claviger event emit payout.requested --data '{\"amount\": 1200}'")]
    Event(EventCommand),
    /// Print events as they happen
    Subscribe(SubscribeArgs),
    /// List, show and cancel runs
    #[command(subcommand, after_help = "Examples:\n  claviger run list --status failed\n  claviger run get RUN")]
    Run(RunCommand),
    /// List functions
    #[command(subcommand, after_help = "Examples:\n  claviger function list")]
    Function(FunctionCommand),
    /// Create, list and revoke API keys
    #[command(
        subcommand,
        after_help = "Examples:\n  claviger apikey create --role viewer --ttl 8h\n  claviger apikey list"
    )]
    Apikey(ApiKeyCommand),
    /// Create and list environments
    #[command(subcommand, after_help = "Examples:\n  claviger env create staging\n  claviger env list")]
    Env(EnvironmentCommand),
    /// Show the server's configuration
    #[command(subcommand, after_help = "Examples:\n  claviger config-file show --config config.toml")]
    ConfigFile(ConfigFileCommand),
    /// Tell what an error code means and what to do
    Explain(ExplainArgs),
    /// Print a completion script for a shell
    Completion(CompletionArgs),
    /// Print the version
    Version(VersionArgs),
    /// Print the OpenAPI document
    #[command(hide = true)]
    Openapi,
    /// Print this reference as Markdown
    #[command(hide = true)]
    CliReference,
}

/// How to reach the server, and in which form to print.
#[derive(Args, Clone, Debug)]
pub(crate) struct Connection {
    /// The environment [default: that of the API key, else `default`]
    #[arg(short, long, value_name = "NAME", env = "CLAVIGER_ENV", hide_env_values = true, help_heading = "Connection")]
    pub(crate) env: Option<String>,
    /// Where the server is
    #[arg(
        long,
        value_name = "URL",
        env = "CLAVIGER_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8080",
        help_heading = "Connection"
    )]
    pub(crate) url: String,
    /// Where `admin.key` is, for a server on this machine when CLAVIGER_API_KEY is not set
    #[arg(
        long,
        value_name = "DIR",
        env = "CLAVIGER_SERVER__DATA",
        hide_env_values = true,
        default_value = ".claviger",
        help_heading = "Connection"
    )]
    pub(crate) data_dir: PathBuf,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Where in the environment.
#[derive(Args, Clone, Debug)]
pub(crate) struct PlaceArgs {
    /// A space of the environment [default: the environment itself]
    #[arg(short, long, value_name = "SPACE", help_heading = "Connection")]
    pub(crate) space: Option<String>,
}

/// In which form to print.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct OutputArgs {
    /// The form of what is printed on standard output
    #[arg(short, long, value_name = "FORMAT", default_value = "table", help_heading = "Output")]
    pub(crate) output: Format,
}

/// The forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs: its shape is stable
    Json,
    /// The same as YAML
    Yaml,
}

/// Reads the command line.
///
/// # Errors
/// What to print and with which status to exit: also for `--help` and `--version`.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(arguments).map_err(|error| {
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            return error;
        }
        mended(error, named(arguments))
    })
}

/// The command that the arguments name, as far as they name one.
fn named(arguments: &[OsString]) -> Definition {
    let mut command = Cli::command();
    command.build();
    for word in arguments.iter().skip(1).filter(|word| !is_flag(word)) {
        let Some(found) = command.find_subcommand(word).cloned() else { break };
        command = found;
    }
    command
}

/// A mistake in `secret set` may be about the value itself, which is then not repeated. In the others the line of usage is
/// that of the command: what variables set is no part of it.
fn mended(mut error: clap::Error, mut command: Definition) -> clap::Error {
    if command.get_bin_name() == Some("claviger secret set") {
        let message = format!("{} (the arguments are not repeated here, one might be a value)", error.kind());
        return command.error(error.kind(), message);
    }
    if error.get(ContextKind::Usage).is_some() {
        error.insert(ContextKind::Usage, ContextValue::StyledStr(command.render_usage()));
    }
    error
}

fn is_flag(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-")
}
