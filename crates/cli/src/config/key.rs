//! The keys of the configuration and how their values are read.

use std::{ffi::OsStr, net::SocketAddr, path::PathBuf};

use reqwest::Url;

/// A key of the configuration.
#[derive(Debug)]
pub(crate) struct Key {
    /// Section and name, `server.listen`.
    pub(crate) path: &'static str,
    /// The flag of the same meaning.
    pub(crate) flag: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Address,
    Origins,
    Path,
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
}

pub(crate) static LISTEN: Key = Key { path: "server.listen", flag: "--listen", kind: Kind::Address };
pub(crate) static DATA: Key = Key { path: "server.data", flag: "--data", kind: Kind::Path };
pub(crate) static CORS_ORIGINS: Key = Key { path: "server.cors_origins", flag: "--cors-origin", kind: Kind::Origins };
pub(crate) static SQLITE_PATH: Key = Key { path: "sqlite.path", flag: "--sqlite-path", kind: Kind::Path };
pub(crate) static MASTER_KEY_FILE: Key =
    Key { path: "vault.master_key_file", flag: "--master-key-file", kind: Kind::Path };

/// Every key, in the order in which they are shown.
pub(crate) static KEYS: [&Key; 5] = [&LISTEN, &DATA, &CORS_ORIGINS, &SQLITE_PATH, &MASTER_KEY_FILE];

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

    /// Whether the value is a list.
    pub(crate) fn is_list(&self) -> bool {
        self.kind == Kind::Origins
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
            _ => origins(text.split(',').map(str::trim).filter(|origin| !origin.is_empty())),
        }
    }

    /// Reads a list.
    ///
    /// # Errors
    /// What is wrong with its members.
    pub(crate) fn read_list(&self, texts: &[String]) -> Result<Value, String> {
        origins(texts.iter().map(String::as_str))
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let parsed = numeric.as_deref().unwrap_or(text).parse();
    parsed.map_err(|_| "is not an address and a port, such as `127.0.0.1:8080` or `[::1]:0`".to_owned())
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
    }
}
