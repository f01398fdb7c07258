//! Reads `config.toml`, keeping the line of each setting.

use std::{
    ffi::OsStr,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeArray, DeString, DeTable, DeValue},
};

use super::{KEYS, Key, Origin, Setting, Value, key::Form, problems::Problems, reason};

/// Reads a file. What is wrong with it is added to the problems.
pub(super) fn read(path: &Path, problems: &mut Problems) -> Vec<(&'static str, Setting)> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            problems.add(Origin::Flag("--config"), format_args!("`{}`: {}", path.display(), reason(&error)));
            return Vec::new();
        }
    };
    let mut reader = Reader { path, text: &text, problems, settings: Vec::new() };
    reader.document();
    reader.settings
}

struct Reader<'r> {
    path: &'r Path,
    text: &'r str,
    problems: &'r mut Problems,
    settings: Vec<(&'static str, Setting)>,
}

impl Reader<'_> {
    fn document(&mut self) {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let origin = self.origin(error.span().unwrap_or_default());
            self.problems.add(origin, error.message());
        }
        for (name, value) in table.get_ref() {
            match value.get_ref() {
                DeValue::Table(section) if is_section(name.get_ref()) => self.section(name.get_ref(), section),
                _ => self.unknown(name, name.get_ref()),
            }
        }
    }

    fn section(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path = format!("{section}.{}", name.get_ref());
            match KEYS.iter().find(|key| key.path == path) {
                Some(key) => self.key(key, value),
                None => self.unknown(name, &path),
            }
        }
    }

    fn key(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) {
        let origin = self.origin(value.span());
        let read = match (key.form(), value.get_ref()) {
            (Form::Text, DeValue::String(text)) => key.read(OsStr::new(text.as_ref())),
            (Form::List, DeValue::Array(items)) => texts(items).and_then(|texts| key.read_list(&texts)),
            (Form::Number, DeValue::Integer(number)) => key.read(OsStr::new(&number.to_string())),
            (Form::Switch, DeValue::Boolean(on)) => key.read(OsStr::new(if *on { "true" } else { "false" })),
            (form, other) => Err(format!("is {}, not {}", kind(other), wanted(form))),
        };
        let read = read.map(|value| self.beside_file(value));
        self.settings.extend(self.problems.setting(key, read, origin));
    }

    fn unknown(&mut self, name: &Spanned<DeString<'_>>, path: &str) {
        let origin = self.origin(name.span());
        self.problems.add(origin, format_args!("unknown key `{path}`"));
    }

    /// A relative path in a file means the same wherever the server is started.
    fn beside_file(&self, value: Value) -> Value {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        match value {
            Value::Path(path) => Value::Path(directory.join(path)),
            other => other,
        }
    }

    fn origin(&self, span: Range<usize>) -> Origin {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        Origin::File { path: PathBuf::from(self.path), line: before.matches('\n').count() + 1 }
    }
}

fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.parts().0 == name)
}

fn texts(items: &DeArray<'_>) -> Result<Vec<String>, String> {
    let text = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_owned);
    items.iter().map(text).collect::<Option<_>>().ok_or_else(|| "has a member that is not a text".to_owned())
}

fn wanted(form: Form) -> &'static str {
    match form {
        Form::Text => "a text",
        Form::List => "a list of texts",
        Form::Number => "a number",
        Form::Switch => "true or false",
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
