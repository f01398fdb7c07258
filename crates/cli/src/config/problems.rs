//! Collects what is wrong, so that all of it is said at once.

use std::fmt::Display;

use super::{Key, Origin, Setting, Value};
use crate::failure::{Exit, Failure};

/// What is wrong with the configuration.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<(Origin, String)>);

impl Problems {
    pub(crate) fn add(&mut self, origin: Origin, what: impl Display) {
        self.0.push((origin, what.to_string()));
    }

    /// Whether the value of this key is among them.
    pub(super) fn has(&self, key: &Key) -> bool {
        let start = format!("`{}`: ", key.path);
        self.0.iter().any(|(_, what)| what.starts_with(&start))
    }

    /// The setting, unless its value is wrong.
    pub(super) fn setting(
        &mut self,
        key: &Key,
        value: Result<Value, String>,
        origin: Origin,
    ) -> Option<(&'static str, Setting)> {
        match value {
            Ok(value) => Some((key.path, Setting { value, origin })),
            Err(what) => {
                self.add(origin, format_args!("`{}`: {what}", key.path));
                None
            }
        }
    }

    /// The master key, unless anything is wrong. Problems of the key alone keep their own code.
    ///
    /// # Errors
    /// `config_invalid` with everything that was added, the file's problems by line, and then what is wrong with the key.
    pub(crate) fn finish<K>(mut self, key: Result<K, Failure>) -> Result<K, Failure> {
        if self.0.is_empty() {
            return key;
        }
        // The file is read first, so the rest stays in the order of the sources.
        self.0.sort_by_key(|(origin, _)| origin.line().unwrap_or(usize::MAX));
        let mut lines: Vec<String> = self.0.iter().map(|(origin, what)| format!("{origin}: {what}")).collect();
        lines.extend(key.err().map(|failure| failure.message().to_owned()));
        let count = if lines.len() == 1 { "a problem".to_owned() } else { format!("{} problems", lines.len()) };
        Err(Failure::new(Exit::Usage, "config_invalid", format!("the configuration has {count}"))
            .details(lines)
            .hint("`claviger config-file show --help` lists the keys"))
    }
}
