//! The worker's own log. It has no way to the journal but the stream that it inherited, so a line begins with its priority
//! there: `<4>WARN …`, which journald takes off and keeps.

use std::fmt;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Begins to log on standard error, for standard output is the ingress socket.
pub(crate) fn start(with_priorities: bool) {
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    // A second initialisation is no error.
    let _set_already = if with_priorities {
        let line = tracing_subscriber::fmt::format().with_target(false).with_level(false).without_time();
        builder.with_ansi(false).event_format(WithPriority(line)).try_init()
    } else {
        builder.try_init()
    };
}

/// A format with the priority before each line.
struct WithPriority<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithPriority<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<u8>>>);

    impl Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_begins_with_its_priority() {
        let heard = Heard::default();
        let (writer, line) = (heard.clone(), tracing_subscriber::fmt::format().with_target(false).without_time());
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .event_format(WithPriority(line.with_level(false)))
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(code = 3, "one");
            tracing::warn!("two");
            tracing::info!("three");
        });
        assert_eq!(String::from_utf8(heard.0.lock().unwrap().clone()).unwrap(), "<3>one code=3\n<4>two\n<6>three\n");
    }
}
