//! The log, on standard error. Every line passes the redactor of the values in use.

use std::{
    io::{self, Write},
    panic,
    sync::{Arc, OnceLock},
};

use claviger_engine::LiveValues;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use super::LogFormat;
use crate::terminal::styles_stderr;

/// Checks a filter.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(filter: &str) -> Result<(), &'static str> {
    let wrong = "is neither a level, such as `info`, nor a filter, such as `warn,claviger_engine=debug`";
    EnvFilter::try_new(filter).map(drop).map_err(|_| wrong)
}

/// The running log.
pub(super) struct Log {
    live: Arc<OnceLock<LiveValues>>,
}

impl Log {
    /// Starts it for the whole process, with a filter that was checked.
    pub(super) fn start(filter: &str, format: LogFormat) -> Log {
        // The NATS client tells of every attempt to connect; the store says what matters of it.
        let filter = EnvFilter::new(format!("async_nats=off,{filter}"));
        let live = Arc::new(OnceLock::new());
        let writer = RedactingWriter { live: live.clone() };
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(styles_stderr());
        match format {
            LogFormat::Text => log.init(),
            LogFormat::Json => log.json().init(),
        }
        // The message of a panic goes where everything else goes, redacted.
        panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
        Log { live }
    }

    /// Masks these values from now on.
    pub(super) fn redact_with(&self, live: LiveValues) {
        let _ = self.live.set(live);
    }
}

/// Writes to standard error. The subscriber hands over whole lines.
#[derive(Clone)]
struct RedactingWriter {
    live: Arc<OnceLock<LiveValues>>,
}

impl Write for RedactingWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let shown = match self.live.get() {
            Some(live) => live.redact(&text),
            None => text,
        };
        io::stderr().lock().write_all(shown.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'w> MakeWriter<'w> for RedactingWriter {
    type Writer = RedactingWriter;

    fn make_writer(&'w self) -> RedactingWriter {
        self.clone()
    }
}
