//! Traces: what happened to one event, for OpenTelemetry, across processes.
//!
//! Of the span types there are only those of the OTLP messages themselves: a span is filled in
//! here and sent as it is. An event that is not sampled costs one branch, or a random number.

mod collector;
mod exporter;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value},
    trace::v1::{self as otlp, span::SpanKind},
};
use tokio::sync::mpsc;

use crate::metrics::Counter;

pub(crate) use exporter::Exporter;
pub(crate) use settings::{KEYS, Settings};

/// The bit of the context that says that the trace is recorded.
const SAMPLED: u32 = 1;

/// How many moments a span may have: a message may be published again and again.
const MOMENTS: usize = 16;

/// Begins traces, of as many events as the operator wants; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Arc<Sampler>>);

/// Which traces are recorded, and where they go.
#[derive(Debug)]
struct Sampler {
    /// A trace is recorded if 63 bits of its id are less than this: so decide all who have the
    /// same ratio.
    bound: u64,
    finished: mpsc::Sender<otlp::Span>,
    /// Those that found no room.
    dropped: Counter,
}

/// One recorded step of a trace. It ends when its last clone is dropped.
#[derive(Clone)]
pub struct Span(Arc<Recording>);

/// A span that goes on.
struct Recording {
    span: Mutex<otlp::Span>,
    sampler: Arc<Sampler>,
}

impl Traces {
    fn new(ratio: f64, finished: mpsc::Sender<otlp::Span>, dropped: Counter) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a ratio of 0 to 1 becomes a number of 63 bits"
        )]
        let bound = (ratio * (1_u64 << 63) as f64) as u64;
        Self(Some(Arc::new(Sampler {
            bound,
            finished,
            dropped,
        })))
    }

    /// Begins a trace with what is published of an event, if this event is one of those that are
    /// recorded. The name is only asked for then.
    #[inline]
    #[must_use]
    pub fn begin(&self, since: SystemTime, name: impl FnOnce() -> String) -> Option<Span> {
        let sampler = self.0.as_ref()?;
        let low = fastrand::u64(..);
        if low >> 1 >= sampler.bound {
            return None;
        }
        // All zeros would be no id.
        let trace_id = u128::from(fastrand::u64(1..)) << 64 | u128::from(low);
        Some(Span::new(
            sampler,
            SpanKind::Producer,
            since,
            name(),
            |span| {
                span.trace_id = trace_id.to_be_bytes().to_vec();
            },
        ))
    }

    /// Begins a step of the trace that a caller's header `traceparent` names, if that is recorded. Without one, or
    /// with one that is none, it is a step of a new trace.
    #[must_use]
    pub fn follow(
        &self,
        traceparent: Option<&str>,
        since: SystemTime,
        name: impl FnOnce() -> String,
    ) -> Option<Span> {
        let Some((trace_id, parent, flags)) = traceparent.and_then(context) else {
            return self.begin(since, name);
        };
        let sampler = self.0.as_ref().filter(|_| flags & SAMPLED != 0)?;
        Some(Span::new(
            sampler,
            SpanKind::Client,
            since,
            name(),
            |span| {
                span.trace_id = trace_id.to_be_bytes().to_vec();
                span.parent_span_id = parent.to_be_bytes().to_vec();
            },
        ))
    }
}

/// The ids and flags of a header `traceparent`.
///
/// See [Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header).
fn context(traceparent: &str) -> Option<(u128, u64, u32)> {
    let mut parts = traceparent.trim().splitn(5, '-');
    let mut part = |length| {
        let part = parts.next()?;
        let is_hex = part.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_hex && part.len() == length).then_some(part)
    };
    let version = part(2)?;
    let trace_id = u128::from_str_radix(part(32)?, 16).ok()?;
    let parent = u64::from_str_radix(part(16)?, 16).ok()?;
    let flags = u32::from_str_radix(part(2)?, 16).ok()?;
    // The version that is forbidden, and ids that are none.
    (version != "ff" && trace_id != 0 && parent != 0).then_some((trace_id, parent, flags))
}

impl Span {
    fn new(
        sampler: &Arc<Sampler>,
        kind: SpanKind,
        since: SystemTime,
        name: String,
        place: impl FnOnce(&mut otlp::Span),
    ) -> Self {
        let mut span = otlp::Span {
            span_id: fastrand::u64(1..).to_be_bytes().to_vec(),
            flags: SAMPLED,
            name,
            kind: kind.into(),
            start_time_unix_nano: nanoseconds(since),
            ..otlp::Span::default()
        };
        place(&mut span);
        Self(Arc::new(Recording {
            span: Mutex::new(span),
            sampler: Arc::clone(sampler),
        }))
    }

    /// The context in the form of a header: `traceparent` of W3C Trace Context.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let span = self.0.lock();
        let (trace, id) = (hex(&span.trace_id), hex(&span.span_id));
        format!("00-{trace}-{id}-{:02x}", span.flags)
    }

    /// Says a number of what happened.
    pub fn number(&self, key: &str, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.0
            .lock()
            .attributes
            .push(attribute(key, any_value::Value::IntValue(value)));
    }

    /// Says a text of what happened. Never a payload and never a secret.
    pub fn text(&self, key: &str, value: &str) {
        self.0.lock().attributes.push(text(key, value));
    }

    /// A moment within the span has come.
    pub fn moment(&self, name: &str) {
        let moment = otlp::span::Event {
            time_unix_nano: nanoseconds(SystemTime::now()),
            name: name.to_owned(),
            ..otlp::span::Event::default()
        };
        let mut span = self.0.lock();
        if span.events.len() < MOMENTS {
            span.events.push(moment);
        } else {
            span.dropped_events_count += 1;
        }
    }
}

/// Shows which span it is.
impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Span").field(&self.traceparent()).finish()
    }
}

impl Recording {
    fn lock(&self) -> MutexGuard<'_, otlp::Span> {
        self.span.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let mut span = std::mem::take(&mut *self.lock());
        span.end_time_unix_nano = nanoseconds(SystemTime::now());
        if self.sampler.finished.try_send(span).is_err() {
            self.sampler.dropped.inc();
        }
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
