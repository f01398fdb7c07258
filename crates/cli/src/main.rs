//! The binary `claviger`: the server and the command line.

mod args;
mod client;
mod commands;
mod config;
mod data_dir;
mod failure;
mod master_key;
mod output;
mod private_file;
mod serve;
mod terminal;
mod traces;

use std::{env, process::ExitCode};

use zeroize::Zeroizing;

use crate::{
    args::Command,
    commands::{api_key::ApiKeyCommand, config_file::ConfigFileCommand, secret::SecretCommand},
    failure::{Exit, Failure},
    serve::Mode,
};

fn main() -> ExitCode {
    // First, while there is one thread: nobody else ever sees the master key in the environment.
    let master_key = traces::take_variable(master_key::VARIABLE);
    let arguments: Vec<_> = env::args_os().collect();
    let cli = match args::parse(&arguments) {
        Ok(cli) => cli,
        Err(message) => {
            // Help goes to standard output, everything else to standard error.
            let _ = message.print();
            return ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(Exit::Usage as u8));
        }
    };
    hide_arguments(&cli.command);
    match run(cli.command, master_key) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Overwrites what others should not see among the arguments.
fn hide_arguments(command: &Command) {
    match command {
        Command::Secret(SecretCommand::Set(set)) => set.hide_value(),
        Command::Dev(arguments) | Command::Start(arguments) => arguments.config.hide_passwords(),
        Command::Apikey(ApiKeyCommand::Bootstrap(arguments)) => arguments.config.hide_passwords(),
        Command::ConfigFile(ConfigFileCommand::Show(arguments)) => arguments.config.hide_passwords(),
        _ => {}
    }
}

fn run(command: Command, master_key: Option<Zeroizing<Vec<u8>>>) -> Result<(), Failure> {
    match command {
        Command::Dev(arguments) => serve::run(Mode::Dev, &arguments, master_key),
        Command::Start(arguments) => serve::run(Mode::Start, &arguments, master_key),
        Command::Apikey(ApiKeyCommand::Bootstrap(arguments)) => serve::bootstrap(&arguments, master_key),
        Command::ConfigFile(command) => commands::config_file::run(&command, master_key),
        Command::Explain(arguments) => commands::explain::run(&arguments),
        Command::Completion(arguments) => commands::completion::run(&arguments),
        Command::Version(arguments) => commands::version::run(&arguments),
        Command::Openapi => output::print(claviger_server::openapi_json()),
        Command::CliReference => commands::reference::run(),
        command => client(command),
    }
}

/// The commands that talk to a server.
fn client(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::plain(Exit::Other, error.to_string()))?;
    runtime.block_on(async {
        match command {
            Command::Secret(command) => commands::secret::run(command).await,
            Command::Space(command) => commands::space::run(command).await,
            Command::Event(command) => commands::event::run(command).await,
            Command::Subscribe(arguments) => commands::subscribe::run(arguments).await,
            Command::Run(command) => commands::run::run(command).await,
            Command::Function(command) => commands::function::run(command).await,
            Command::Apikey(command) => commands::api_key::run(command).await,
            Command::Env(command) => commands::environment::run(command).await,
            _ => Ok(()),
        }
    })
}
