//! Server-sent events: what `/watch` and `/logs` answer, as it comes.

use super::Streamed;
use crate::failure::Failure;
use std::collections::VecDeque;

/// Largest event; a longer one is no event of an appliance.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Where to go on after it.
    pub(crate) id: Option<String>,
    /// What it is.
    pub(crate) name: String,
    /// What it says.
    pub(crate) data: String,
}

/// Events as they come.
pub(crate) struct Events {
    stream: Streamed,
    reader: Reader,
    ready: VecDeque<Event>,
}

impl Events {
    /// The events of an answer.
    pub(crate) fn of(stream: Streamed) -> Self {
        Self { stream, reader: Reader::default(), ready: VecDeque::new() }
    }

    /// The next event; `None` where the appliance ended the answer.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(chunk) = self.stream.chunk().await? else { return Ok(None) };
            self.reader.read(&chunk, &mut self.ready)?;
        }
    }
}

/// Takes bytes apart into lines, and lines into events.
#[derive(Default)]
struct Reader {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
}

impl Reader {
    fn read(&mut self, mut bytes: &[u8], ready: &mut VecDeque<Event>) -> Result<(), Failure> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            self.take(line.trim_end_matches('\r'), ready);
        }
        self.line.extend_from_slice(bytes);
        if self.line.len() + self.event.data.len() > EVENT_BYTES_MAX {
            return Err(Failure::other(
                format!("the appliance sent an event of more than {EVENT_BYTES_MAX} bytes"),
                None,
            ));
        }
        Ok(())
    }

    fn take(&mut self, line: &str, ready: &mut VecDeque<Event>) {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            // Without data it says nothing but where to go on.
            if std::mem::take(&mut self.has_data) || event.id.is_some() {
                ready.push_back(event);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments keep the connection alive; `retry` is for browsers.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_their_bytes_are_cut() {
        let text = ": hello\n\nid: 7\nevent: change\ndata: {\"a\":1}\n\ndata:x\r\ndata: y\r\n\r\nevent: none\n\nid: 9\n: here\n\ndata\n\n";
        let event = |id: Option<&str>, name: &str, data: &str| Event {
            id: id.map(str::to_owned),
            name: name.to_owned(),
            data: data.to_owned(),
        };
        let expected = [
            event(Some("7"), "change", "{\"a\":1}"),
            event(None, "", "x\ny"),
            event(Some("9"), "", ""),
            event(None, "", ""),
        ];
        for size in 1..text.len() {
            let (mut reader, mut ready) = (Reader::default(), VecDeque::new());
            for chunk in text.as_bytes().chunks(size) {
                reader.read(chunk, &mut ready).unwrap();
            }
            assert_eq!(Vec::from(ready), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let (mut reader, mut ready) = (Reader::default(), VecDeque::new());
        let piece = vec![b'x'; EVENT_BYTES_MAX / 2];
        assert!(reader.read(&piece, &mut ready).is_ok() && reader.read(&piece, &mut ready).is_ok());
        assert!(reader.read(b"x", &mut ready).is_err());
    }
}
