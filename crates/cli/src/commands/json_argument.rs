//! JSON among the arguments: the text itself, `@FILE`, or `-` for standard input.

use std::{fs::File, io::Read};

use serde_json::value::RawValue;

use crate::{
    config::reason,
    failure::{Exit, Failure},
};

/// What the argument holds, and how much of it there may be.
pub(crate) struct Form {
    /// What it is called in an error.
    pub(crate) what: &'static str,
    /// Most bytes.
    pub(crate) limit: u64,
    /// The public code for more.
    pub(crate) too_large: &'static str,
    /// How it is written for the shell.
    pub(crate) example: &'static str,
}

impl Form {
    /// Reads it.
    ///
    /// # Errors
    /// `invalid_json`, the code for what is too large, and what the system says.
    pub(crate) fn read(&self, argument: &str) -> Result<Box<RawValue>, Failure> {
        let text = match argument {
            "-" => self.read_all("standard input", std::io::stdin().lock())?,
            _ => match argument.strip_prefix('@') {
                Some(path) => {
                    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
                    self.read_all(path, file)?
                }
                None => argument.to_owned(),
            },
        };
        RawValue::from_string(text).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            let message = format!("the {} is not JSON, as {place} shows", self.what);
            Failure::new(Exit::Usage, "invalid_json", message).hint(format!("quote it for the shell: {}", self.example))
        })
    }

    /// One byte more tells what is too large.
    fn read_all(&self, name: &str, source: impl Read) -> Result<String, Failure> {
        let mut text = String::new();
        source.take(self.limit + 1).read_to_string(&mut text).map_err(|error| unreadable(name, &error))?;
        if text.len() as u64 > self.limit {
            let message = format!("the {} is over the limit of {} bytes", self.what, self.limit);
            return Err(Failure::new(Exit::Usage, self.too_large, message));
        }
        Ok(text)
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Failure {
    Failure::plain(Exit::Usage, format!("`{name}` cannot be read: {}", reason(error)))
}
