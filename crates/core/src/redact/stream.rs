//! Masks values in text that arrives in chunks.

use std::fmt;

use zeroize::Zeroizing;

use super::{Redactor, redactor::Progress};

/// Redacts bytes that arrive in chunks: the output is that of [`Redactor::redact_bytes`] on all of
/// them together, however they are cut. Only bytes that may belong to a value still under way are
/// held back, at most 1,023; call [`StreamRedactor::finish`] at the end to get them.
pub struct StreamRedactor {
    redactor: Redactor,
    held: Zeroizing<Vec<u8>>,
    progress: Progress,
}

impl StreamRedactor {
    pub(super) fn new(redactor: Redactor) -> StreamRedactor {
        StreamRedactor { redactor, held: Zeroizing::default(), progress: Progress::default() }
    }

    /// Takes the next chunk and appends what is settled to `out`.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.held.is_empty() {
            return self.take(chunk, out);
        }
        let mut text = Zeroizing::new(Vec::with_capacity(self.held.len() + chunk.len()));
        text.extend_from_slice(&self.held);
        text.extend_from_slice(chunk);
        self.take(&text, out);
    }

    /// Appends what was held back. The next chunk begins a new text.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.held);
        self.write_until(&text, text.len(), out);
        self.progress = Progress::default();
    }

    fn take(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let settled = self.redactor.settled(text);
        self.write_until(text, settled, out);
        self.held = Zeroizing::new(text[settled..].to_vec());
    }

    fn write_until(&mut self, text: &[u8], settled: usize, out: &mut Vec<u8>) {
        let mut from = 0;
        while let Some(found) = self.redactor.find(text, from).filter(|found| found.start < settled) {
            from = found.start + 1;
            self.progress.mask(&self.redactor, text, found, out);
        }
        self.progress.copy_until(text, settled, out);
        self.progress.end -= settled;
    }
}

impl fmt::Debug for StreamRedactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamRedactor({:?}, {} bytes held)", self.redactor, self.held.len())
    }
}
