//! Log lines with the priorities of the journal of systemd, as `sd-daemon(3)` describes them: a line that
//! begins with `<4>` has the priority of a warning.

use std::{borrow::Cow, env, fmt, fs::File, io, os::fd::AsFd as _, os::unix::fs::MetadataExt as _};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// The variable in which systemd names the stream of the journal: device and inode, separated by a colon
/// (`systemd.exec(5)`).
const STREAM: &str = "JOURNAL_STREAM";

/// Returns whether standard error is the stream of the journal. The variable alone does not tell: a child
/// process inherits the variable and may write to a file or a pipe.
pub fn stderr_is_journal() -> bool {
    let text = env::var_os(STREAM).and_then(|text| text.into_string().ok());
    let stream = text.and_then(|text| parse_stream(&text));
    stream.is_some() && stream == stream_of_stderr().ok()
}

fn parse_stream(text: &str) -> Option<(u64, u64)> {
    let (device, inode) = text.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

fn stream_of_stderr() -> io::Result<(u64, u64)> {
    let metadata = File::from(io::stderr().as_fd().try_clone_to_owned()?).metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// A format of log lines that puts the priority before each line of an event.
#[derive(Clone, Copy, Debug, Default)]
pub struct JournalFormat<F>(pub F);

impl<S, N, F> FormatEvent<S, N> for JournalFormat<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.0.format_event(context, Writer::new(&mut text), event)?;
        let prefix = prefix(*event.metadata().level());
        // The journal stores every line as an entry of its own.
        text.lines().try_for_each(|line| writeln!(writer, "{prefix}{line}"))
    }
}

/// Returns a text with the priority of an error before each line, if standard error is the stream of the
/// journal.
pub fn with_error_priority(text: &str) -> Cow<'_, str> {
    if stderr_is_journal() { Cow::Owned(prefixed(Level::ERROR, text)) } else { Cow::Borrowed(text) }
}

fn prefixed(level: Level, text: &str) -> String {
    let prefix = prefix(level);
    text.lines().map(|line| format!("{prefix}{line}")).collect::<Vec<_>>().join("\n")
}

/// Returns the prefix of a level: the number of the priority (`syslog(3)`).
fn prefix(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::{self, MakeWriter};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn every_line_of_an_event_has_the_priority_of_its_level() {
        let lines = Lines::default();
        let format = JournalFormat(fmt::format().without_time().with_target(false));
        let subscriber = fmt::Subscriber::builder()
            .with_max_level(Level::TRACE)
            .with_writer(lines.clone())
            .with_ansi(false)
            .event_format(format)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!("a\n<0>b");
            tracing::warn!(session = "s", "c");
            tracing::info!("d");
            tracing::debug!("e");
            tracing::trace!("f");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let expected =
            "<3>ERROR a\n<3><0>b\n<4> WARN c session=\"s\"\n<6> INFO d\n<7>DEBUG e\n<7>TRACE f\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn stream_is_device_and_inode() {
        assert_eq!(parse_stream("8:123"), Some((8, 123)));
        for text in ["", "8", "8:", ":1", "8:x", "8:1:2", "-1:2"] {
            assert_eq!(parse_stream(text), None, "{text}");
        }
    }

    #[test]
    fn every_line_of_an_error_has_its_priority() {
        assert_eq!(prefixed(Level::ERROR, "berth: a\nb"), "<3>berth: a\n<3>b");
    }
}
