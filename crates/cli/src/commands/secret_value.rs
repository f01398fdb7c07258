//! Where the value of `secret set` comes from, and how it travels.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, IsTerminal, Read},
    os::unix::ffi::OsStringExt,
    path::PathBuf,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use claviger_api::{Encoding, SecretText};
use claviger_core::{Mask, Redactor, RedactorBuilder, SecretName, SecretValue, SpaceName};
use zeroize::Zeroizing;

use crate::{
    config::reason,
    failure::{Exit, Failure},
    terminal::{plain, say},
    traces,
};

#[derive(Args, Debug)]
pub(crate) struct ValueArgs {
    /// The value; better leave it out
    #[arg(hide_default_value = true, conflicts_with = "file")]
    value: Option<OsString>,
    /// Read the value from a file; `-` for standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Keep a line break at the end of the value
    #[arg(long)]
    raw: bool,
}

impl ValueArgs {
    /// Overwrites the value where the system shows it to others. To be called as early as possible.
    pub(crate) fn hide(&self) {
        if let Some(value) = &self.value {
            traces::overwrite_argument(value);
        }
    }
}

/// Reads the value: an argument, a file, standard input, or what is typed.
///
/// # Errors
/// `value_too_large`, and what the system says.
pub(crate) fn read(arguments: ValueArgs, named: (&SecretName, Option<&SpaceName>)) -> Result<SecretValue, Failure> {
    let value = find(arguments, named)?;
    if value.expose().len() > SecretValue::MAX_BYTES {
        let message = format!("the value is over the limit of {} bytes", SecretValue::MAX_BYTES);
        return Err(Failure::new(Exit::Usage, "value_too_large", message));
    }
    Ok(value)
}

fn find(arguments: ValueArgs, (name, space): (&SecretName, Option<&SpaceName>)) -> Result<SecretValue, Failure> {
    if let Some(value) = arguments.value {
        say("warning: a value among the arguments can be seen by other users and stays in the shell's history");
        let place = space.map(|space| format!(" --space \"{space}\"")).unwrap_or_default();
        say(plain(&format!(
            "hint: printf %s \"$NEW\" | claviger secret set {name}{place}, or leave the value out to be asked"
        )));
        return Ok(SecretValue::new(value.into_vec()));
    }
    let mut bytes = match arguments.file {
        Some(path) if path.as_os_str() != "-" => {
            let file = File::open(&path).and_then(read_all);
            file.map_err(|error| unreadable(&path.display().to_string(), &error))?
        }
        None if io::stdin().is_terminal() => return ask(name),
        _ => read_all(io::stdin().lock()).map_err(|error| unreadable("standard input", &error))?,
    };
    if !arguments.raw {
        strip_line_break(&mut bytes);
    }
    Ok(SecretValue::take_from(&mut bytes))
}

/// As text if it is text, else in base64.
pub(crate) fn encoded(value: &SecretValue) -> (SecretText, Encoding) {
    let bytes = value.expose();
    let (text, encoding) = match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), Encoding::Utf8),
        Err(_) => (STANDARD.encode(bytes), Encoding::Base64),
    };
    (SecretText::new(Zeroizing::new(text)), encoding)
}

/// Masks the value in whatever this command prints.
pub(crate) fn redactor(name: &SecretName, value: &SecretValue) -> Redactor {
    let mut builder = RedactorBuilder::new();
    builder.track(Mask::new(name, 0), value);
    builder.build()
}

/// Reads one byte more than a value and its line break may have, which tells what is too large. The buffer never grows: that
/// would leave copies behind.
fn read_all(source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let limit = SecretValue::MAX_BYTES + 3;
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    source.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn strip_line_break(bytes: &mut Vec<u8>) {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
}

fn ask(name: &SecretName) -> Result<SecretValue, Failure> {
    let prompt = |text: String| {
        let typed = rpassword::prompt_password(text).map_err(|error| unreadable("the terminal", &error))?;
        Ok::<_, Failure>(SecretValue::new(typed.into_bytes()))
    };
    let value = prompt(format!("value of {name} (not shown): "))?;
    let again = prompt("the same again: ".to_owned())?;
    if !claviger_crypto::constant_time_eq(value.expose(), again.expose()) {
        return Err(Failure::plain(Exit::Usage, "the two values are different, nothing was set"));
    }
    Ok(value)
}

fn unreadable(what: &str, error: &io::Error) -> Failure {
    Failure::plain(Exit::Usage, format!("{what} cannot be read: {}", reason(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_is_left_out() {
        for (given, kept) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("\n", ""), ("a\r", "a\r")] {
            let mut bytes = given.as_bytes().to_vec();
            strip_line_break(&mut bytes);
            assert_eq!(bytes, kept.as_bytes());
        }
    }

    #[test]
    fn bytes_that_are_no_text_travel_in_base64() {
        let (text, encoding) = encoded(&SecretValue::new(vec![0xff, 0x00, 0x10]));
        assert_eq!((text.reveal(), encoding), ("/wAQ", Encoding::Base64));
        let (text, encoding) = encoded(&SecretValue::new("grün".into()));
        assert_eq!((text.reveal(), encoding), ("grün", Encoding::Utf8));
    }
}
