//! The journal: every line of the log with its priority, its text, and its fields as fields of their own.
//!
//! The text has the fields as well, for that is all that `journalctl` shows of a line unless it is asked for more; that
//! is why this is not one of the layers that others wrote. A field `app` can be asked for: `journalctl PICLOUD_APP=kitchen`.

use super::cut;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// Longest text of a line; a datagram holds several times as much.
const TEXT_BYTES_MAX: usize = 32 * 1024;
/// Longest value of a field, and most fields.
const FIELD_BYTES_MAX: usize = 2 * 1024;
const FIELDS_MAX: usize = 24;
/// What the journal's fields begin with that are ours.
const PREFIX: &str = "PICLOUD_";

/// The way to the journal.
#[derive(Debug)]
pub struct Journal {
    socket: UnixDatagram,
    program: &'static str,
}

impl Journal {
    /// The journal, where `stream` (`JOURNAL_STREAM`) says that standard error goes there and nobody put it elsewhere.
    pub fn open(stream: Option<&OsStr>, program: &'static str) -> Option<Self> {
        let stat = nix::sys::stat::fstat(io::stderr().as_fd()).ok()?;
        let is_ours = stream?.to_str()? == format!("{}:{}", stat.st_dev, stat.st_ino);
        if !is_ours {
            return None;
        }
        Self::at(Path::new(SOCKET), program).ok()
    }

    /// Has all lines go there that `filter` lets through.
    pub fn start(self, filter: EnvFilter) {
        // A second call (only tests could make one) keeps the first subscriber.
        let _already = tracing_subscriber::registry().with(filter).with(self).try_init();
    }

    fn at(path: &Path, program: &'static str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self { socket, program })
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = Line::default();
        event.record(&mut line);
        let mut entry = Vec::with_capacity(256);
        put(&mut entry, "PRIORITY", priority(*metadata.level()));
        put(&mut entry, "SYSLOG_IDENTIFIER", self.program);
        put(&mut entry, "TARGET", metadata.target());
        if let (Some(file), Some(number)) = (metadata.file(), metadata.line()) {
            put(&mut entry, "CODE_FILE", file);
            put(&mut entry, "CODE_LINE", &number.to_string());
        }
        let mut text = line.message;
        for (name, value) in &line.fields {
            let _never_fails = write!(text, " {name}={value}");
            put(&mut entry, &field_name(name), cut(value, FIELD_BYTES_MAX));
        }
        put(&mut entry, "MESSAGE", cut(text.trim_start(), TEXT_BYTES_MAX));
        if self.socket.send(&entry).is_err() {
            // The journal is being started anew, perhaps; what it gets from this stream it keeps.
            let _closed = writeln!(io::stderr().lock(), "<{}>{text}", priority(*metadata.level()));
        }
    }
}

/// As syslog counts; what a program says of its ordinary life is not worth a notice.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

/// One field of an entry. What has several lines goes with its length before it.
fn put(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend((value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend(value.as_bytes());
    entry.push(b'\n');
}

/// `duration_ms` is `PICLOUD_DURATION_MS`, `node.id` is `PICLOUD_NODE_ID`.
fn field_name(name: &str) -> String {
    let letters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    PREFIX.chars().chain(letters).take(64).collect()
}

/// What an event says.
#[derive(Default)]
struct Line {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else if self.fields.len() < FIELDS_MAX {
            self.fields.push((field.name(), format!("{value:?}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_priority_its_text_with_the_fields_and_each_field_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let journald = UnixDatagram::bind(folder.path().join("socket")).unwrap();
        let journal = Journal::at(&folder.path().join("socket"), "picloud-node").unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(journal), || {
            tracing::warn!(app = "kitchen", node.id = 7, error = %"no\nroom", "a write failed");
        });
        let mut room = [0; 4_096];
        let bytes = journald.recv(&mut room).unwrap();
        let entry = String::from_utf8_lossy(&room[..bytes]).replace('\0', "");
        let has = |line: &str| assert!(entry.contains(line), "{line:?} is not in {entry}");
        has("PRIORITY=4\nSYSLOG_IDENTIFIER=picloud-node\nTARGET=picloud_cluster::service::journal::tests\n");
        has("\nCODE_FILE=cluster/src/service/journal.rs\nCODE_LINE=");
        has("\nPICLOUD_APP=kitchen\nPICLOUD_NODE_ID=7\nPICLOUD_ERROR\n\u{7}no\nroom\n");
        let text = "a write failed app=kitchen node.id=7 error=no\nroom";
        let length = char::from(u8::try_from(text.len()).unwrap());
        has(&format!("\nMESSAGE\n{length}{text}\n"));
    }

    #[test]
    fn a_long_value_is_cut_and_an_odd_name_is_made_one_of_the_journal() {
        assert_eq!(cut("äää", 3), "ä");
        assert_eq!(field_name("http.status-code"), "PICLOUD_HTTP_STATUS_CODE");
        assert_eq!(field_name(&"x".repeat(200)).len(), 64);
    }

    #[test]
    fn standard_error_that_goes_elsewhere_is_no_journal() {
        assert!(Journal::open(None, "picloud-node").is_none());
        assert!(Journal::open(Some(OsStr::new("8:12345678901")), "picloud-node").is_none());
    }
}
