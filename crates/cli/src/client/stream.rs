//! Reads a stream of server-sent events (WHATWG HTML, section 9.2).

use std::time::Duration;

use reqwest::Response;
use tokio::time::timeout;

/// Longer than the server is ever silent: it sends a comment every 15 s.
const SILENCE: Duration = Duration::from_secs(45);

/// One frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The cursor after it.
    pub(crate) id: Option<String>,
    /// What it is.
    pub(crate) event: String,
    /// Its content.
    pub(crate) data: String,
}

/// The frames of a response.
pub(crate) struct Frames {
    response: Response,
    parser: Parser,
}

#[derive(Default)]
struct Parser {
    bytes: Vec<u8>,
    frame: Frame,
}

impl Frames {
    pub(crate) fn new(response: Response) -> Frames {
        Frames { response, parser: Parser::default() }
    }

    /// The next frame; `None` when the connection ended or went silent.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.parser.next() {
                return Some(frame);
            }
            let chunk = timeout(SILENCE, self.response.chunk()).await.ok()?.ok()??;
            self.parser.bytes.extend_from_slice(&chunk);
        }
    }
}

impl Parser {
    /// The next frame that is complete.
    fn next(&mut self) -> Option<Frame> {
        let mut read = 0;
        let mut complete = None;
        while let Some(length) = self.bytes[read..].iter().position(|byte| *byte == b'\n') {
            let line = &self.bytes[read..read + length];
            read += length + 1;
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
            if !line.is_empty() {
                self.frame.take_line(&line);
            } else if let Some(frame) = self.frame.finished() {
                complete = Some(frame);
                break;
            }
        }
        self.bytes.drain(..read);
        complete
    }
}

impl Frame {
    fn take_line(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            // Comments have no name, other fields are not for us.
            _ => {}
        }
    }

    /// The frame at its end, if there is anything in it.
    fn finished(&mut self) -> Option<Frame> {
        let mut frame = std::mem::take(self);
        frame.data.pop();
        (frame != Frame::default()).then_some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        ": hello\n\nid: a1\nevent: ready\ndata: {}\n\nevent:event\r\nid:a2\r\ndata: {\"a\":\ndata: «1»}\r\n\r\nid: a3";

    #[test]
    fn frames_are_the_same_however_they_arrive() {
        for size in 1..=STREAM.len() {
            let mut parser = Parser::default();
            let mut frames = Vec::new();
            for chunk in STREAM.as_bytes().chunks(size) {
                parser.bytes.extend_from_slice(chunk);
                frames.extend(std::iter::from_fn(|| parser.next()));
            }
            let expected = [("a1", "ready", "{}"), ("a2", "event", "{\"a\":\n«1»}")].map(|(id, event, data)| Frame {
                id: Some(id.to_owned()),
                event: event.to_owned(),
                data: data.to_owned(),
            });
            assert_eq!(frames, expected, "in chunks of {size}");
        }
    }
}
