//! The canonical encoding of associated data.

/// Writes a sequence of fields so that equal bytes mean equal fields: texts and byte strings are
/// preceded by their length as 8 big-endian bytes, numbers have a fixed width, and a field that may
/// be missing is preceded by a byte that says whether it is there. Which fields follow is decided by
/// the kind, a text, which is written first.
pub(crate) struct Fields(Vec<u8>);

impl Fields {
    /// Starts with the format version and the kind of thing described.
    pub(crate) fn new(format: u8, kind: &str) -> Fields {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(format);
        Fields(bytes).text(kind)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Fields {
        self.0.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Fields {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn optional_text(mut self, text: Option<&str>) -> Fields {
        self.0.push(u8::from(text.is_some()));
        match text {
            Some(text) => self.text(text),
            None => self,
        }
    }

    pub(crate) fn number(mut self, number: u64) -> Fields {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}
