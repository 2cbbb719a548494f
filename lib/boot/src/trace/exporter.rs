//! Takes finished spans to the collector: OTLP over HTTP, protobuf.
//!
//! See [OTLP/HTTP](https://opentelemetry.io/docs/specs/otlp/#otlphttp).

use std::{mem, time::Duration};

use backoff::Backoff;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::InstrumentationScope,
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message as _;
use reqwest::{Client, Response, StatusCode, Url, header::CONTENT_TYPE};
use tokio::{
    sync::mpsc,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use super::{Settings, Traces, hex, text};
use crate::{
    error::chain,
    metrics::{Counter, Metrics},
    post::{self, retry_after},
};

/// How many finished spans may wait; what comes then is dropped and counted.
const WAITING: usize = 2048;

/// How many spans go in one request.
const BATCH: usize = 512;

/// How long a span waits for others.
const LINGER: Duration = Duration::from_secs(5);

/// How often a request is tried, while the queue behind it fills.
const TRIES: u32 = 5;

/// The longest answer that is read.
const ANSWER: usize = 64 * 1024;

/// Sends spans.
pub(crate) struct Exporter {
    client: Client,
    url: Url,
    resource: Resource,
    scope: InstrumentationScope,
    finished: mpsc::Receiver<Span>,
    exported: Counter,
    failed: Counter,
    /// Whether the last request failed: the log says it once.
    failing: bool,
}

/// Why spans were not taken.
enum Refused {
    /// They may be sent again, after a while that the collector may name.
    Later(String, Option<Duration>),
    /// They would never be taken.
    Never(String),
}

impl Exporter {
    /// The exporter, and what makes traces for it.
    pub(crate) fn new(
        settings: Settings,
        name: &str,
        version: &str,
        metrics: &Metrics,
    ) -> Result<(Self, Traces), reqwest::Error> {
        let client = post::client(settings.headers)?;
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
            client,
            url: settings.endpoint,
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
        let body = self.request(spans).encode_to_vec();
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        for attempt in 1..=TRIES {
            let (reason, wait) = match self.post(body.clone()).await {
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

    /// Sends one request; says how many spans the collector rejected.
    async fn post(&self, body: Vec<u8>) -> Result<u64, Refused> {
        let request = self.client.post(self.url.clone());
        let request = request.header(CONTENT_TYPE, "application/x-protobuf");
        let sent = request.body(body).send().await;
        // The URL may hold a password.
        let sent = sent.map_err(reqwest::Error::without_url);
        let response = sent.map_err(|error| Refused::Later(chain(&error), None))?;
        let status = response.status();
        match status {
            _ if status.is_success() => Ok(rejected(response).await),
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                let wait = retry_after(response.headers());
                Err(Refused::Later(format!("it answers {status}"), wait))
            }
            _ => Err(Refused::Never(format!("it answers {status}"))),
        }
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

/// How many spans a collector that said yes has rejected all the same.
async fn rejected(response: Response) -> u64 {
    let Some(body) = post::body(response, ANSWER).await else {
        return 0;
    };
    let answer = ExportTraceServiceResponse::decode(&*body);
    let partial = answer.ok().and_then(|answer| answer.partial_success);
    partial.map_or(0, |partial| {
        u64::try_from(partial.rejected_spans).unwrap_or(0)
    })
}
