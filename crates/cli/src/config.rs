//! The server's settings: defaults, then `config.toml`, then variables, then flags. Every problem is reported, with where
//! it comes from.

mod endpoint;
mod file;
mod key;
mod nats;
mod problems;

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use clap::Args;

use self::key::NATS_CREDENTIALS;
pub(crate) use self::{
    endpoint::Endpoint,
    key::{CORS_ORIGINS, DATA, FLATFILE_ENABLED, KEYS, Key, LISTEN, MASTER_KEY_FILE, NATS_SERVERS, SQLITE_PATH, Value},
    nats::Nats,
    problems::Problems,
};
use crate::{failure::Failure, traces};

/// The flags that override a setting. Their values are read together with all others.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConfigArgs {
    /// A configuration file, see `claviger config-file show --help`
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    config: Option<PathBuf>,
    /// The address to serve on; port 0 picks a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Configuration")]
    listen: Option<OsString>,
    /// The directory for everything that is kept [default: .claviger]
    #[arg(long, value_name = "DIR", help_heading = "Configuration")]
    data: Option<OsString>,
    /// An origin whose pages may use this server, such as `https://app.example`; may be repeated
    #[arg(long, value_name = "ORIGIN", help_heading = "Configuration")]
    cors_origin: Vec<OsString>,
    /// The database [default: claviger.db in the data directory]
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    sqlite_path: Option<OsString>,
    /// NATS servers to keep everything on instead of SQLite, separated by commas: `nats://a:4222,b:4222`
    #[arg(long, value_name = "SERVERS", help_heading = "Configuration")]
    nats: Option<Servers>,
    /// A file with NATS credentials: a JWT and its seed
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    nats_creds: Option<OsString>,
    /// A file with the master key, 64 hexadecimal digits
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    master_key_file: Option<OsString>,
}

/// Servers as they were given; a password may stand among them.
#[derive(Clone)]
struct Servers(OsString);

impl From<OsString> for Servers {
    fn from(text: OsString) -> Servers {
        Servers(text)
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Servers")
    }
}

impl ConfigArgs {
    /// Overwrites a password among the arguments where the system shows it to others. To be called as early as possible.
    pub(crate) fn hide_passwords(&self) {
        if let Some(Servers(servers)) = &self.nats
            && servers.as_encoded_bytes().contains(&b'@')
        {
            traces::overwrite_argument(servers);
            let mut joined = OsString::from("--nats=");
            joined.push(servers);
            traces::overwrite_argument(&joined);
        }
    }
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody set it.
    Default,
    /// A line of a file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag.
    Flag(&'static str),
}

/// A setting and its origin.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// All settings.
#[derive(Debug)]
pub(crate) struct Config(BTreeMap<&'static str, Setting>);

impl Config {
    /// Reads and merges all sources.
    ///
    /// # Errors
    /// `config_invalid`, with every problem.
    pub(crate) fn load(flags: &ConfigArgs) -> Result<Config, Failure> {
        let (config, problems) = Config::read(flags);
        problems.finish(Ok(config))
    }

    /// Reads and merges all sources. Settings that are wrong are left out; what is wrong is for the caller to report, with
    /// what else there may be.
    pub(crate) fn read(flags: &ConfigArgs) -> (Config, Problems) {
        let mut problems = Problems::default();
        let mut settings = defaults();
        if let Some(path) = &flags.config {
            settings.extend(file::read(path, &mut problems));
        }
        settings.extend(variables(env::vars_os(), &mut problems));
        settings.extend(given_flags(flags, &mut problems));
        let config = Config(settings);
        nats::check(&config, &mut problems);
        (config, problems)
    }

    /// The setting of a key, if it has one.
    pub(crate) fn setting(&self, key: &Key) -> Option<&Setting> {
        self.0.get(key.path)
    }

    /// Where to serve.
    pub(crate) fn listen(&self) -> SocketAddr {
        match self.setting(&LISTEN).map(|setting| &setting.value) {
            Some(Value::Address(address)) => *address,
            _ => DEFAULT_LISTEN,
        }
    }

    /// Which origins' pages may use the server.
    pub(crate) fn cors_origins(&self) -> Vec<String> {
        match self.setting(&CORS_ORIGINS).map(|setting| &setting.value) {
            Some(Value::Origins(origins)) => origins.clone(),
            _ => Vec::new(),
        }
    }

    /// Whether to serve the Flatfile clients, if anything says so.
    pub(crate) fn flatfile(&self) -> Option<bool> {
        match self.setting(&FLATFILE_ENABLED).map(|setting| &setting.value) {
            Some(Value::Switch(enabled)) => Some(*enabled),
            _ => None,
        }
    }

    /// Where everything is kept.
    pub(crate) fn data(&self) -> &Path {
        self.path(&DATA).unwrap_or(Path::new(DEFAULT_DATA))
    }

    /// The database file.
    pub(crate) fn sqlite_path(&self) -> PathBuf {
        self.path(&SQLITE_PATH).map_or_else(|| self.data().join("claviger.db"), Path::to_owned)
    }

    /// The setting of a key whose value is a path.
    pub(crate) fn path(&self, key: &Key) -> Option<&Path> {
        match &self.setting(key)?.value {
            Value::Path(path) => Some(path),
            _ => None,
        }
    }
}

/// Where a server listens when nothing says where.
pub(crate) const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Where everything is kept when nothing says where.
pub(crate) const DEFAULT_DATA: &str = ".claviger";

fn defaults() -> BTreeMap<&'static str, Setting> {
    let default = |value| Setting { value, origin: Origin::Default };
    BTreeMap::from([
        (LISTEN.path, default(Value::Address(DEFAULT_LISTEN))),
        (DATA.path, default(Value::Path(DEFAULT_DATA.into()))),
        (CORS_ORIGINS.path, default(Value::Origins(Vec::new()))),
    ])
}

/// The variables `CLAVIGER_SECTION__KEY`. One that names no key is a problem: it is probably mistyped.
fn variables(
    variables: impl Iterator<Item = (OsString, OsString)>,
    problems: &mut Problems,
) -> Vec<(&'static str, Setting)> {
    let mut settings = Vec::new();
    for (name, text) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with("CLAVIGER_") && name.contains("__")) else {
            continue;
        };
        let origin = Origin::Variable(name.to_owned());
        match KEYS.iter().find(|key| key.variable() == name) {
            None => problems.add(origin, "no key has this variable"),
            Some(key) => settings.extend(problems.setting(key, key.read(&text), origin)),
        }
    }
    settings
}

fn given_flags(flags: &ConfigArgs, problems: &mut Problems) -> Vec<(&'static str, Setting)> {
    let origins = (!flags.cors_origin.is_empty()).then(|| flags.cors_origin.join(OsString::from(",").as_os_str()));
    let given = [
        (&LISTEN, flags.listen.clone()),
        (&DATA, flags.data.clone()),
        (&CORS_ORIGINS, origins),
        (&SQLITE_PATH, flags.sqlite_path.clone()),
        (&NATS_SERVERS, flags.nats.clone().map(|servers| servers.0)),
        (&NATS_CREDENTIALS, flags.nats_creds.clone()),
        (&MASTER_KEY_FILE, flags.master_key_file.clone()),
    ];
    let read = given.into_iter().filter_map(|(key, text)| Some((key, text?)));
    read.filter_map(|(key, text)| problems.setting(key, key.read(&text), Origin::Flag(key.flag))).collect()
}

impl Origin {
    /// The line, of what stands in a file.
    fn line(&self) -> Option<usize> {
        match self {
            Origin::File { line, .. } => Some(*line),
            _ => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Variable(name) => f.write_str(name),
            Origin::Flag(flag) => f.write_str(flag),
        }
    }
}

/// What the system says of a file, in its words.
pub(crate) fn reason(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase()
}
