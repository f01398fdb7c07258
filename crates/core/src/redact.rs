//! Masks secret values in everything that is shown.
//!
//! A [`Redactor`] knows some values and replaces every occurrence in a text by the [`Mask`] of the
//! secret. A value is found as it is and in the forms that ordinary software turns it into:
//!
//! - without surrounding white space, and each line of at least 8 bytes of a multi-line value;
//! - base64 and base64url at all three alignments, padded or not. The characters that the value
//!   determines fully are masked; a character shared with a neighbor of the value stays;
//! - hexadecimal digits and percent-encoding, in both cases;
//! - JSON, HTML, XML and shell escapes, and all of the above again inside a JSON string or a URL;
//! - UTF-16, both byte orders.
//!
//! Where occurrences overlap, their union is masked, with the mask of the one that starts first, and
//! of the longest that starts there: nothing of any of them remains. Occurrences of one secret that
//! touch share one mask. A form over 1,024 bytes is tracked in pieces of that length, so a long value
//! is masked even where the text has only a part of it.
//!
//! Not found: any other transformation (compression, encryption, two encodings at once other than the
//! above, a value in fragments under 1,024 bytes), and values shorter than [`MIN_MASKABLE_BYTES`].
//!
//! Everything a redactor keeps of a value is wiped when its last clone is dropped, and so are the
//! buffers that forms are made in and what a stream held back. Not wiped: what the compiler spilled to
//! the stack, and the scratch copy that reads a value that is not UTF-8 as text. Text that was redacted
//! belongs to the caller.
//!
//! Making the forms takes about 50 µs for a short value and some milliseconds for a multi-line one of
//! 2 KiB: build a redactor once for many texts.

mod builder;
mod forms;
mod index;
mod json;
mod mask;
mod redactor;
mod stream;

pub use builder::RedactorBuilder;
pub use mask::{Mask, contains_mask};
pub use redactor::Redactor;
pub use stream::StreamRedactor;

/// The shortest value that is masked, in bytes. Masking shorter ones would hide ordinary text.
pub const MIN_MASKABLE_BYTES: usize = 6;
