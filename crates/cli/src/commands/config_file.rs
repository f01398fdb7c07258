//! `claviger config-file show`: what a server would run with, and why.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    args::OutputArgs,
    config::{Config, ConfigArgs, KEYS, Key, Value},
    failure::Failure,
    output::{Output, table},
};

/// The server's configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigFileCommand {
    /// Show the merged configuration and where each setting comes from; of key files only the paths
    #[command(after_help = "\
Defaults, then the file, then variables, then flags: the last one wins. Relative paths in the file begin at its directory.

  [server]
  listen = \"127.0.0.1:8080\"                 # CLAVIGER_SERVER__LISTEN, --listen
  data = \".claviger\"                        # CLAVIGER_SERVER__DATA, --data
  cors_origins = [\"https://app.example\"]    # CLAVIGER_SERVER__CORS_ORIGINS (with commas), --cors-origin
  [sqlite]
  path = \"claviger.db\"                      # CLAVIGER_SQLITE__PATH, --sqlite-path
  [vault]
  master_key_file = \"master.key\"            # CLAVIGER_VAULT__MASTER_KEY_FILE, --master-key-file

Examples:
  claviger config-file show --config config.toml
  claviger config-file show --config config.toml --listen 127.0.0.1:0 -o json")]
    Show(ShowArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// A setting as it is printed.
#[derive(Serialize)]
struct Shown {
    value: Text,
    origin: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Text {
    One(String),
    Many(Vec<String>),
}

pub(crate) fn run(ConfigFileCommand::Show(arguments): &ConfigFileCommand) -> Result<(), Failure> {
    let config = Config::load(&arguments.config)?;
    let shown: BTreeMap<&str, Shown> = KEYS.iter().filter_map(|key| Some((key.path, shown(&config, key)?))).collect();
    Output::new(arguments.output).item(&shown, |shown| {
        table(
            ["setting", "value", "origin"],
            shown.iter().map(|(path, shown)| [(*path).to_owned(), shown.value.line(), shown.origin.clone()]),
        )
    })
}

fn shown(config: &Config, key: &Key) -> Option<Shown> {
    if key.path == crate::config::SQLITE_PATH.path && config.setting(key).is_none() {
        let value = Text::One(config.sqlite_path().display().to_string());
        return Some(Shown { value, origin: "default".to_owned() });
    }
    let setting = config.setting(key)?;
    let value = match &setting.value {
        Value::Address(address) => Text::One(address.to_string()),
        Value::Origins(origins) => Text::Many(origins.clone()),
        Value::Path(path) => Text::One(path.display().to_string()),
    };
    Some(Shown { value, origin: setting.origin.to_string() })
}

impl Text {
    fn line(&self) -> String {
        match self {
            Text::One(text) => text.clone(),
            Text::Many(texts) => texts.join(", "),
        }
    }
}
