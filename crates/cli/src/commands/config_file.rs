//! `claviger config-file show`: what a server would run with, and why.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    args::OutputArgs,
    config::{Config, ConfigArgs, Endpoint, KEYS, Key, SQLITE_PATH, Value},
    failure::Failure,
    master_key,
    output::{Output, table},
};

/// The server's configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigFileCommand {
    /// Show the merged configuration and where each setting comes from; of key files only the paths
    #[command(after_help = "\
Defaults, then the file, then variables, then flags: the last one wins. Relative paths in the file begin at its directory.

  [server]
  listen = \"127.0.0.1:8080\"                 # --listen
  data = \".claviger\"                        # --data
  cors_origins = [\"https://app.example\"]    # --cors-origin
  [sqlite]
  path = \"claviger.db\"                      # --sqlite-path
  [nats]                                    # instead of SQLite
  servers = [\"nats://127.0.0.1:4222\"]       # --nats
  credentials_file = \"node.creds\"           # --nats-creds
  name = \"claviger\"                         # what the names of its streams begin with
  replicas = 3                              # of streams that are made
  require = \"durable\"                       # else warn only
  monitor = [\"http://127.0.0.1:8222\"]       # of every NATS server: how it syncs
  seal_names = true                         # for a new store
  ca_file = \"ca.pem\"                        # and cert_file, key_file
  [vault]
  master_key_file = \"master.key\"            # --master-key-file
  [flatfile]
  enabled = true                            # their clients; else only with `claviger dev`

The variable of a key is `CLAVIGER_SECTION__KEY`: CLAVIGER_SERVER__CORS_ORIGINS=https://a.example,https://b.example. \
A login in an address is not shown. A master key that is given otherwise is shown as `vault.master_key`, the key itself never.

Examples:
  claviger config-file show --config config.toml
  claviger config-file show --listen 127.0.0.1:0 -o json")]
    Show(ShowArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
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

pub(crate) fn run(
    ConfigFileCommand::Show(arguments): &ConfigFileCommand,
    key: Option<Zeroizing<Vec<u8>>>,
) -> Result<(), Failure> {
    let config = Config::load(&arguments.config)?;
    let settings = KEYS.iter().filter_map(|key| Some((key.path, shown(&config, key)?)));
    let shown: BTreeMap<&str, Shown> = settings.chain(master_key(key)).collect();
    Output::new(arguments.output).item(&shown, |shown| {
        table(
            ["setting", "value", "origin"],
            shown.iter().map(|(path, shown)| [(*path).to_owned(), shown.value.line(), shown.origin.clone()]),
        )
    })
}

fn shown(config: &Config, key: &Key) -> Option<Shown> {
    let is_default_file = key.path == SQLITE_PATH.path && config.setting(key).is_none() && config.nats().is_none();
    if is_default_file {
        let value = Text::One(config.sqlite_path().display().to_string());
        return Some(Shown { value, origin: "default".to_owned() });
    }
    let setting = config.setting(key)?;
    let value = match &setting.value {
        Value::Address(address) => Text::One(address.to_string()),
        Value::Origins(origins) => Text::Many(origins.clone()),
        Value::Path(path) => Text::One(path.display().to_string()),
        Value::Endpoints(endpoints) => Text::Many(endpoints.iter().map(Endpoint::to_string).collect()),
        Value::Text(text) => Text::One(text.clone()),
        Value::Number(number) => Text::One(number.to_string()),
        Value::Switch(on) => Text::One(on.to_string()),
    };
    Some(Shown { value, origin: setting.origin.to_string() })
}

/// A master key that the configuration does not name: where it is, never what it is.
fn master_key(key: Option<Zeroizing<Vec<u8>>>) -> Option<(&'static str, Shown)> {
    let (values, names): (Vec<String>, Vec<String>) = master_key::shown(key).into_iter().unzip();
    let value = match <[String; 1]>::try_from(values) {
        Ok([value]) => Text::One(value),
        Err(values) if values.is_empty() => return None,
        // A server refuses more than one.
        Err(values) => Text::Many(values),
    };
    Some(("vault.master_key", Shown { value, origin: names.join(", ") }))
}

impl Text {
    fn line(&self) -> String {
        match self {
            Text::One(text) => text.clone(),
            Text::Many(texts) => texts.join(", "),
        }
    }
}
