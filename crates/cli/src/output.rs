//! What goes to standard output: data, and nothing else.

mod table;
mod time;

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Write},
};

use claviger_core::Redactor;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

pub(crate) use self::{
    table::{Table, fields, shortened, table},
    time::{ago, maybe_ago},
};
use crate::{
    args::{Format, OutputArgs},
    failure::{Exit, Failure},
    terminal::say,
};

/// Prints data in the form that was asked for.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    redactor: Redactor,
}

impl Output {
    pub(crate) fn new(arguments: OutputArgs) -> Output {
        Output { format: arguments.output, redactor: Redactor::default() }
    }

    /// Masks these values too.
    pub(crate) fn redacting(self, redactor: Redactor) -> Output {
        Output { redactor, ..self }
    }

    /// Whether people read it.
    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Prints a list. When it is empty, people are told so on standard error.
    pub(crate) fn list<T: Serialize>(
        &self,
        items: &[T],
        rows: impl FnOnce(&[T]) -> Table,
        empty: &str,
    ) -> Result<(), Failure> {
        if self.is_table() && items.is_empty() {
            say(empty);
            return Ok(());
        }
        self.item(&items, |items| rows(items))
    }

    /// Prints one thing.
    pub(crate) fn item<T: Serialize>(&self, item: &T, rows: impl FnOnce(&T) -> Table) -> Result<(), Failure> {
        let text = match self.format {
            Format::Table => rows(item).to_string(),
            Format::Json => self.redactor.redact_json(&json(item, serde_json::to_string_pretty)?).into_owned(),
            Format::Yaml => yaml(item)?,
        };
        self.text(&text)
    }

    /// Prints one thing of a sequence without end: a line for people, a line of JSON, a document of YAML.
    pub(crate) fn next<T: Serialize>(&self, item: &T, line: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        let text = match self.format {
            Format::Table => line(item),
            Format::Json => json(item, serde_json::to_string)?,
            Format::Yaml => format!("---\n{}", yaml(item)?.trim_end()),
        };
        self.text(&text)
    }

    /// Prints a text as it is, but for values.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        print(&self.redactor.redact(text))
    }
}

/// Prints a text and a line break.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::plain(Exit::Other, format!("standard output cannot be written: {error}")),
    })
}

fn json<T: Serialize>(item: &T, write: impl FnOnce(&T) -> serde_json::Result<String>) -> Result<String, Failure> {
    write(item).map_err(|_| Failure::plain(Exit::Other, "the answer cannot be written as JSON"))
}

/// By way of JSON, because parts of an answer may be JSON texts.
fn yaml<T: Serialize>(item: &T) -> Result<String, Failure> {
    let unwritable = || Failure::plain(Exit::Other, "the answer cannot be written as YAML");
    let text = json(item, serde_json::to_string)?;
    let raw = RawValue::from_string(text).map_err(|_| unwritable())?;
    serde_saphyr::to_string(&value(&raw)).map_err(|_| unwritable())
}

/// JSON can say what no value can hold, such as `1e999` or half of a surrogate pair. Such a part stays a text of JSON.
fn value(raw: &RawValue) -> Value {
    let text = raw.get();
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    if let Ok(members) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(text) {
        return members.into_iter().map(|(name, member)| (name, value(&member))).collect();
    }
    match serde_json::from_str::<Vec<Box<RawValue>>>(text) {
        Ok(items) => items.iter().map(|item| value(item)).collect(),
        Err(_) => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_json_says_and_no_value_holds_stays_text() {
        let text = r#"{"a": [1, 1e999, {"b": "\ud800"}], "c": "fine", "d": {"\ud800": 1}}"#;
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        let expected = json!({"a": [1, "1e999", {"b": "\"\\ud800\""}], "c": "fine", "d": "{\"\\ud800\": 1}"});
        assert_eq!(value(&raw), expected);
    }
}
