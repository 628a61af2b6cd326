//! The fields of a log line as text, `name=value`, the way [`DefaultVisitor`] writes them.
//!
//! Most fields are numbers and short printable texts. This module writes them directly: formatting
//! them with `Debug` took a third of the time of a log line. The default writes all other fields.

use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::{RecordFields, VisitOutput},
    fmt::{
        FormatFields,
        format::{DefaultVisitor, Writer},
    },
};

/// Formats fields without colours.
#[derive(Debug)]
pub(crate) struct PlainFields;

impl<'writer> FormatFields<'writer> for PlainFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = FieldVisitor { writer, has_fields: false, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct FieldVisitor<'writer> {
    writer: Writer<'writer>,
    has_fields: bool,
    result: fmt::Result,
}

impl FieldVisitor<'_> {
    fn write_plain(&mut self, field: &Field, quote: &str, value: &str) {
        let name = field.name();
        if name == "message" {
            return self
                .write_default(|visitor| visitor.record_debug(field, &format_args!("{value}")));
        }
        let name = name.strip_prefix("r#").unwrap_or(name);
        let Self { writer, has_fields, result } = self;
        if result.is_ok() {
            *result = (|| {
                if std::mem::replace(has_fields, true) {
                    writer.write_char(' ')?;
                }
                [name, "=", quote, value, quote].iter().try_for_each(|part| writer.write_str(part))
            })();
        }
    }

    fn write_default(&mut self, write: impl FnOnce(&mut DefaultVisitor<'_>)) {
        if self.result.is_ok() {
            let empty = !std::mem::replace(&mut self.has_fields, true);
            let mut visitor = DefaultVisitor::new(self.writer.by_ref(), empty);
            write(&mut visitor);
            self.result = visitor.finish();
        }
    }
}

impl Visit for FieldVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if is_plain(value) {
            self.write_plain(field, "\"", value);
        } else {
            self.write_default(|visitor| visitor.record_str(field, value));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write_plain(field, "", itoa::Buffer::new().format(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write_plain(field, "", itoa::Buffer::new().format(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write_plain(field, "", if value { "true" } else { "false" });
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.write_default(|visitor| visitor.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write_default(|visitor| visitor.record_debug(field, value));
    }
}

/// Returns true if the text needs no escapes between quotes.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{fmt, fmt::format::DefaultFields, layer::SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct LineBuffer(Arc<Mutex<Vec<u8>>>);

    impl Write for LineBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("lines").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the log lines of [`log`] with a field formatter.
    fn logged<F>(fields: F) -> String
    where
        F: for<'a> FormatFields<'a> + Send + Sync + 'static,
    {
        let lines = LineBuffer::default();
        let writer = lines.clone();
        let layer = fmt::layer().without_time().with_ansi(false).fmt_fields(fields);
        let layer = layer.with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let text = lines.0.lock().expect("lines").clone();
        String::from_utf8(text).expect("text")
    }

    fn log() {
        let error = io::Error::other(io::Error::other("inner \u{1b}[31m"));
        let error: &(dyn std::error::Error + 'static) = &error;
        let _span = tracing::info_span!("request", id = "req_1", n = 7).entered();
        tracing::info!(a = "plain", b = 1_u64, c = -1_i64, d = true, e = 0.5, "message");
        tracing::info!(
            a = "quo\"te",
            b = "back\\slash",
            c = "new\nline",
            d = "\u{1b}[31m",
            e = "ä"
        );
        tracing::info!(none = None::<&str>, some = Some("x"), status = Some(200_u16));
        tracing::info!(error, shown = %"as it is", debug = ?[1, 2], message = "given\u{1b}[1m");
        tracing::info!("words {}", 1);
        tracing::info!(r#type = "raw", message = 5_u64);
    }

    #[test]
    fn lines_are_equal_to_the_default_format() {
        let lines = logged(PlainFields);
        assert_eq!(lines, logged(DefaultFields::new()));
        assert_eq!(lines.lines().count(), 6, "no value breaks a line: {lines}");
    }
}
