//! The readable form of a log line: time, level, message, then `key=value`. Spans are those of libraries, and left out.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// Writes lines that read one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Story;

/// The parts of an event.
#[derive(Debug, Default)]
struct StoryParts {
    message: String,
    fields: String,
}

impl Visit for StoryParts {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" || value.contains([' ', '"', '\n']) || value.is_empty() {
            self.record_debug(field, &value);
        } else {
            self.record_debug(field, &format_args!("{value}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a `String` cannot fail.
        let written = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
        debug_assert!(written.is_ok());
    }
}

impl<S, N> FormatEvent<S, N> for Story
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut parts = StoryParts::default();
        event.record(&mut parts);
        let (dim, plain) = if writer.has_ansi_escapes() { (DIM, PLAIN) } else { ("", "") };
        let level = event.metadata().level();
        write!(writer, "{dim}{}{plain} ", time_of_day()?)?;
        write!(writer, "{}{level:5}{plain} ", if plain.is_empty() { "" } else { colour(*level) })?;
        writeln!(writer, "{}{dim}{}{plain}", one_line(&parts.message), one_line(&parts.fields))
    }
}

/// Control characters could forge lines or colours: they are written out.
fn one_line(text: &str) -> String {
    let spelled = |c: char| if c.is_control() { c.escape_default().collect() } else { String::from(c) };
    text.chars().map(spelled).collect()
}

/// `10:14:02.161`, in UTC.
fn time_of_day() -> Result<String, fmt::Error> {
    let mut whole = String::new();
    SystemTime.format_time(&mut Writer::new(&mut whole))?;
    Ok(whole.split('T').nth(1).unwrap_or_default().chars().take(12).collect())
}

const fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG | Level::TRACE => DIM,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// What is written, for the test to read.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn check(log: impl FnOnce(), expected: &str) {
        let page = Page::default();
        let writer = page.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(Story);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let (time, rest) = text.split_once(' ').unwrap();
        assert_eq!(time.len(), 12, "{text}");
        assert_eq!(rest, expected);
    }

    #[test]
    fn a_line_is_a_sentence_and_then_its_values() {
        check(
            || tracing::info!(file_id = %"f1", size_bytes = 13, "reserved 13 bytes"),
            "INFO  reserved 13 bytes file_id=f1 size_bytes=13\n",
        );
        check(|| tracing::warn!(part = "ledger", "is away"), "WARN  is away part=ledger\n");
        check(|| tracing::warn!(reason = "not there", "is away"), "WARN  is away reason=\"not there\"\n");
    }

    #[test]
    fn nothing_can_forge_a_line() {
        check(|| tracing::info!(name = %"a\nb\u{1b}[31m", "x\ry"), "INFO  x\\ry name=a\\nb\\u{1b}[31m\n");
    }

    #[test]
    fn the_numbers_that_a_library_gives_its_actors_are_not_told() {
        check(
            || {
                let span = tracing::info_span!("Actor", id = "0.48");
                span.in_scope(|| tracing::info!("entry durable"));
            },
            "INFO  entry durable\n",
        );
    }
}
