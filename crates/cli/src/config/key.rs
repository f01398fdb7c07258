//! The keys of the configuration and how their values are read.

use std::{ffi::OsStr, net::SocketAddr, path::PathBuf};

use reqwest::Url;

use super::endpoint::{Endpoint, Service};

/// A key of the configuration.
#[derive(Debug)]
pub(crate) struct Key {
    /// Section and name, `server.listen`.
    pub(crate) path: &'static str,
    /// The flag of the same meaning; empty when there is none.
    pub(crate) flag: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Address,
    Origins,
    Path,
    Endpoints(Service),
    /// A name of a NATS store.
    Name,
    Replicas,
    Requirement,
    Switch,
}

/// How a value is written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    List,
    Number,
    Switch,
}

/// What a key can be set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Where to listen.
    Address(SocketAddr),
    /// Exact browser origins.
    Origins(Vec<String>),
    /// A file or directory.
    Path(PathBuf),
    /// Servers, at least one.
    Endpoints(Vec<Endpoint>),
    /// A name, or a word of a few.
    Text(String),
    /// A whole number.
    Number(usize),
    /// On or off.
    Switch(bool),
}

const fn key(path: &'static str, flag: &'static str, kind: Kind) -> Key {
    Key { path, flag, kind }
}

pub(crate) static LISTEN: Key = key("server.listen", "--listen", Kind::Address);
pub(crate) static DATA: Key = key("server.data", "--data", Kind::Path);
pub(crate) static CORS_ORIGINS: Key = key("server.cors_origins", "--cors-origin", Kind::Origins);
pub(crate) static SQLITE_PATH: Key = key("sqlite.path", "--sqlite-path", Kind::Path);
pub(crate) static NATS_SERVERS: Key = key("nats.servers", "--nats", Kind::Endpoints(Service::Nats));
pub(crate) static NATS_CREDENTIALS: Key = key("nats.credentials_file", "--nats-creds", Kind::Path);
pub(crate) static NATS_NAME: Key = key("nats.name", "", Kind::Name);
pub(crate) static NATS_REPLICAS: Key = key("nats.replicas", "", Kind::Replicas);
pub(crate) static NATS_REQUIRE: Key = key("nats.require", "", Kind::Requirement);
pub(crate) static NATS_SEAL_NAMES: Key = key("nats.seal_names", "", Kind::Switch);
pub(crate) static NATS_MONITOR: Key = key("nats.monitor", "", Kind::Endpoints(Service::Monitoring));
pub(crate) static NATS_CA: Key = key("nats.ca_file", "", Kind::Path);
pub(crate) static NATS_CERTIFICATE: Key = key("nats.cert_file", "", Kind::Path);
pub(crate) static NATS_KEY: Key = key("nats.key_file", "", Kind::Path);
pub(crate) static FLATFILE_ENABLED: Key = key("flatfile.enabled", "", Kind::Switch);
pub(crate) static MASTER_KEY_FILE: Key = key("vault.master_key_file", "--master-key-file", Kind::Path);

/// Every key, in the order in which they are shown.
pub(crate) static KEYS: [&Key; 16] = [
    &LISTEN,
    &DATA,
    &CORS_ORIGINS,
    &SQLITE_PATH,
    &NATS_SERVERS,
    &NATS_CREDENTIALS,
    &NATS_NAME,
    &NATS_REPLICAS,
    &NATS_REQUIRE,
    &NATS_SEAL_NAMES,
    &NATS_MONITOR,
    &NATS_CA,
    &NATS_CERTIFICATE,
    &NATS_KEY,
    &MASTER_KEY_FILE,
    &FLATFILE_ENABLED,
];

/// The only thing that can be required of a NATS store.
pub(crate) const DURABLE: &str = "durable";

/// As many replicas as a JetStream stream can have.
const MOST_REPLICAS: usize = 5;

/// So many characters a store's name may have.
const NAME_LENGTH: usize = 32;

impl Key {
    /// Section and name.
    pub(crate) fn parts(&self) -> (&'static str, &'static str) {
        self.path.split_once('.').unwrap_or((self.path, ""))
    }

    /// The environment variable of the same meaning.
    pub(crate) fn variable(&self) -> String {
        let (section, name) = self.parts();
        format!("CLAVIGER_{}__{}", section.to_uppercase(), name.to_uppercase())
    }

    /// How its value is written in a file.
    pub(super) fn form(&self) -> Form {
        match self.kind {
            Kind::Origins | Kind::Endpoints(_) => Form::List,
            Kind::Replicas => Form::Number,
            Kind::Switch => Form::Switch,
            Kind::Address | Kind::Path | Kind::Name | Kind::Requirement => Form::Text,
        }
    }

    /// Reads a value; the members of a list are separated by commas.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(&self, text: &OsStr) -> Result<Value, String> {
        if self.kind == Kind::Path {
            let path = PathBuf::from(text);
            return if text.is_empty() { Err("is empty".to_owned()) } else { Ok(Value::Path(path)) };
        }
        let text = text.to_str().ok_or("is not text")?;
        match self.kind {
            Kind::Address => address(text).map(Value::Address),
            Kind::Name => name(text),
            Kind::Replicas => replicas(text),
            Kind::Requirement if text == DURABLE => Ok(Value::Text(text.to_owned())),
            Kind::Requirement => Err(format!("is not `{DURABLE}`")),
            Kind::Switch => text.parse().map(Value::Switch).map_err(|_| "is neither true nor false".to_owned()),
            _ => self.list(text.split(',').map(str::trim).filter(|member| !member.is_empty())),
        }
    }

    /// Reads a list.
    ///
    /// # Errors
    /// What is wrong with its members.
    pub(crate) fn read_list(&self, texts: &[String]) -> Result<Value, String> {
        self.list(texts.iter().map(String::as_str))
    }

    fn list<'t>(&self, texts: impl Iterator<Item = &'t str>) -> Result<Value, String> {
        match self.kind {
            Kind::Endpoints(service) => Endpoint::list(texts, service).map(Value::Endpoints),
            _ => origins(texts),
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let parsed = numeric.as_deref().unwrap_or(text).parse();
    parsed.map_err(|_| "is not an address and a port, such as `127.0.0.1:8080` or `[::1]:0`".to_owned())
}

fn name(text: &str) -> Result<Value, String> {
    let is_name = (1..=NAME_LENGTH).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let problem = || format!("is not made of 1 to {NAME_LENGTH} letters, digits and `-`");
    is_name.then(|| Value::Text(text.to_owned())).ok_or_else(problem)
}

fn replicas(text: &str) -> Result<Value, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_REPLICAS).contains(number));
    number.map(Value::Number).ok_or_else(|| format!("is not a number from 1 to {MOST_REPLICAS}"))
}

fn origins<'t>(texts: impl Iterator<Item = &'t str>) -> Result<Value, String> {
    let (exact, others): (Vec<_>, Vec<_>) = texts.map(str::to_owned).partition(|text| is_exact_origin(text));
    let others: Vec<String> = others.iter().map(|text| format!("`{text}`")).collect();
    let are = match others.len() {
        0 => return Ok(Value::Origins(exact)),
        1 => "is not an exact origin",
        _ => "are not exact origins",
    };
    let others = others.join(", ");
    Err(format!("{others} {are}, such as `https://app.example` or `http://localhost:3000`"))
}

fn is_exact_origin(text: &str) -> bool {
    let is_exact = |url: &Url| matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text;
    !text.contains('*') && Url::parse(text).is_ok_and(|url| is_exact(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_exact() {
        for text in ["https://app.example", "http://localhost:3000", "http://127.0.0.1:8081"] {
            assert!(is_exact_origin(text), "{text}");
        }
        for text in ["*", "https://*.example", "https://app.example/", "app.example", "null", "https://app.example:443"]
        {
            assert!(!is_exact_origin(text), "{text}");
        }
    }

    #[test]
    fn variables_are_named_after_their_keys() {
        assert_eq!(LISTEN.variable(), "CLAVIGER_SERVER__LISTEN");
        assert_eq!(MASTER_KEY_FILE.variable(), "CLAVIGER_VAULT__MASTER_KEY_FILE");
        assert_eq!(NATS_SERVERS.variable(), "CLAVIGER_NATS__SERVERS");
    }

    #[test]
    fn the_settings_of_nats_have_bounds() {
        for (key, right, wrong) in [
            (&NATS_NAME, &["claviger", "a", "Team-1"][..], &["", "a.b", "a b", ">", "a_b", "é", &*"a".repeat(33)][..]),
            (&NATS_REPLICAS, &["1", "3", "5"], &["0", "6", "-1", "three", ""]),
            (&NATS_REQUIRE, &["durable"], &["Durable", "yes", ""]),
            (&NATS_SEAL_NAMES, &["true", "false"], &["yes", "1", ""]),
            (&FLATFILE_ENABLED, &["true", "false"], &["on", ""]),
        ] {
            for text in right {
                assert!(key.read(OsStr::new(text)).is_ok(), "{}: {text}", key.path);
            }
            for text in wrong {
                assert!(key.read(OsStr::new(text)).is_err(), "{}: {text}", key.path);
            }
        }
    }
}
