//! Takes finished spans to the collector, in lots.

use std::{mem, time::Duration};

use backoff::Backoff;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::InstrumentationScope,
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use tokio::{
    sync::mpsc,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use super::{
    Settings, Traces,
    collector::{Collector, Refused},
    hex, text,
};
use crate::metrics::{Counter, Metrics};

/// How many finished spans may wait; what comes then is dropped and counted.
const WAITING: usize = 2048;

/// How many spans go in one request.
const BATCH: usize = 512;

/// How long a span waits for others.
const LINGER: Duration = Duration::from_secs(5);

/// How often a request is tried, while the queue behind it fills.
const TRIES: u32 = 5;

/// Sends spans.
pub(crate) struct Exporter {
    collector: Collector,
    resource: Resource,
    scope: InstrumentationScope,
    finished: mpsc::Receiver<Span>,
    exported: Counter,
    failed: Counter,
    /// Whether the last request failed: the log says it once.
    failing: bool,
}

impl Exporter {
    /// The exporter, and what makes traces for it.
    pub(crate) fn new(
        settings: Settings,
        name: &str,
        version: &str,
        metrics: &Metrics,
    ) -> Result<(Self, Traces), reqwest::Error> {
        let collector = Collector::new(settings.protocol, settings.endpoint, settings.headers)?;
        let (tx, finished) = mpsc::channel(WAITING);
        let help = "Spans of traces: exported, failed (the collector took them not) or dropped \
                    (too many waited)";
        let counters = metrics.counters::<[(&str, &str); 1]>("trace_spans", help);
        let counter = |outcome| counters.get_or_create_owned(&[("outcome", outcome)]);
        let traces = Traces::new(settings.ratio, tx, counter("dropped"));
        let service_name = settings.service_name.as_deref().unwrap_or(name);
        let mut attributes = vec![
            text("service.name", service_name),
            text("service.version", version),
            text(
                "service.instance.id",
                &hex(&fastrand::u128(..).to_be_bytes()),
            ),
        ];
        for (name, value) in &settings.attributes {
            // OTEL_SERVICE_NAME and the rest that we know better win.
            if !attributes.iter().any(|other| other.key == *name) {
                attributes.push(text(name, value));
            }
        }
        let exporter = Self {
            collector,
            resource: Resource {
                attributes,
                ..Resource::default()
            },
            scope: InstrumentationScope {
                name: name.to_owned(),
                version: version.to_owned(),
                ..InstrumentationScope::default()
            },
            finished,
            exported: counter("exported"),
            failed: counter("failed"),
            failing: false,
        };
        Ok((exporter, traces))
    }

    /// Sends what is finished until `closing`, and then what is left.
    pub(crate) async fn run(mut self, closing: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut due = None;
        loop {
            let room = BATCH - batch.len();
            let is_over = tokio::select! {
                biased;
                () = closing.cancelled() => true,
                () = time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => false,
                count = self.finished.recv_many(&mut batch, room), if room > 0 => {
                    due = due.or_else(|| Some(Instant::now() + LINGER));
                    if count > 0 && batch.len() < BATCH {
                        continue;
                    }
                    count == 0
                }
            };
            due = None;
            self.send(mem::take(&mut batch), &closing).await;
            if is_over {
                break;
            }
        }
        self.finished.close();
        while self.finished.recv_many(&mut batch, BATCH).await > 0 {
            self.send(mem::take(&mut batch), &closing).await;
        }
    }

    /// Sends spans, more than once if need be, but only once when all ends.
    async fn send(&mut self, spans: Vec<Span>, closing: &CancellationToken) {
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        if count == 0 {
            return;
        }
        let request = self.request(spans);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        for attempt in 1..=TRIES {
            let (reason, wait) = match self.collector.send(&request).await {
                Ok(rejected) => {
                    self.exported.inc_by(count.saturating_sub(rejected));
                    self.failed.inc_by(rejected.min(count));
                    self.failing = false;
                    return;
                }
                Err(Refused::Later(reason, wait)) if attempt < TRIES => {
                    (reason, wait.unwrap_or_else(|| backoff.next()))
                }
                Err(Refused::Later(reason, _) | Refused::Never(reason)) => {
                    self.complain(&reason);
                    break;
                }
            };
            self.complain(&reason);
            if closing
                .run_until_cancelled(time::sleep(wait))
                .await
                .is_none()
            {
                break;
            }
        }
        self.failed.inc_by(count);
    }

    fn request(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(self.scope.clone()),
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        }
    }

    fn complain(&mut self, reason: &str) {
        if !mem::replace(&mut self.failing, true) {
            tracing::warn!(
                reason,
                "the collector (OTEL_EXPORTER_OTLP_ENDPOINT) takes no traces; they are dropped \
                 until it does (logged once)"
            );
        }
    }
}
