//! Collects what is wrong, so that all of it is said at once.

use std::fmt::Display;

use super::{Key, Origin, Setting, Value};
use crate::failure::{Exit, Failure};

/// What is wrong with the configuration, in the order in which it was found.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    pub(super) fn add(&mut self, origin: &Origin, what: impl Display) {
        self.0.push(format!("{origin}: {what}"));
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
                self.add(&origin, format_args!("`{}`: {what}", key.path));
                None
            }
        }
    }

    /// # Errors
    /// `config_invalid` when anything was added.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let count = match self.0.len() {
            0 => return Ok(()),
            1 => "a problem".to_owned(),
            many => format!("{many} problems"),
        };
        Err(Failure::new(Exit::Usage, "config_invalid", format!("the configuration has {count}"))
            .details(self.0)
            .hint("`claviger config-file show --help` lists the keys"))
    }
}
