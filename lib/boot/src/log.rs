//! Logs on stderr, as text or JSON, and in a Discord channel, without secrets. Stdout belongs to
//! the stdio broker.

use std::{
    io::{self, IsTerminal as _, Write},
    panic,
};

use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::filter_fn,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    registry,
    util::SubscriberInitExt as _,
};

use crate::{
    config::{Invalid, Parse},
    redact::Redactor,
    webhook::Lines,
};

/// Which log lines are written, in the syntax of `EnvFilter`.
#[derive(Debug)]
pub(crate) struct Filter(EnvFilter);

impl Parse for Filter {
    fn expected() -> String {
        "a log filter, for example info or warn,gateway_ws=debug".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let filter = EnvFilter::builder().parse(text);
        filter.map(Self).map_err(Invalid::because)
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Text,
}

impl Parse for Format {
    fn expected() -> String {
        "text or json".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(Invalid::new()),
        }
    }
}

/// Makes this the log of the process. A log that a test has set before stays.
pub(crate) fn start(
    filter: Filter,
    format: Format,
    redactor: &Redactor,
    colour: bool,
    lines: Option<Lines>,
) {
    let writer = Clean {
        redactor: redactor.clone(),
        writer: io::stderr,
    };
    let stderr = fmt::layer().with_writer(writer);
    let stderr = match format {
        Format::Json => stderr.json().flatten_event(true).boxed(),
        Format::Text => stderr
            .with_ansi(colour && io::stderr().is_terminal())
            .boxed(),
    };
    let webhook = lines.map(|lines| {
        let wanted = lines.clone();
        let writer = Clean {
            redactor: redactor.clone(),
            writer: lines,
        };
        let layer = fmt::layer().with_ansi(false).with_writer(writer);
        layer.with_filter(filter_fn(move |metadata| wanted.wants(metadata)))
    });
    let log = registry().with(filter.0).with(stderr).with(webhook);
    if log.try_init().is_ok() {
        log_panics();
    }
}

/// Sends panics the way of all other messages, with their place.
fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string);
        let payload = info.payload_as_str().unwrap_or("no message");
        tracing::error!(location, payload, "the code panicked: this is a bug");
    }));
}

/// A writer that replaces secrets. A log line arrives here in one piece.
struct Clean<W> {
    redactor: Redactor,
    writer: W,
}

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for Clean<W> {
    type Writer = Clean<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        Clean {
            redactor: self.redactor.clone(),
            writer: self.writer.make_writer(),
        }
    }
}

impl<W: Write> Write for Clean<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let clean = self.redactor.clean(&text);
        self.writer.write_all(clean.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
