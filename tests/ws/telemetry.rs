//! Traces of events, from Discord to the message that a worker gets.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as Attribute,
    trace::v1::Span,
};
use prost::Message as _;
use tokio::{net::TcpListener, task::JoinSet};

use super::stage::Stage;

/// A collector that keeps the requests that it gets, as they came.
#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Vec<Bytes>>>);

async fn take(State(collector): State<Collector>, body: Bytes) {
    let mut requests = collector.0.lock().unwrap_or_else(PoisonError::into_inner);
    requests.push(body);
}

impl Collector {
    /// Starts it; it ends with the tasks.
    pub(crate) async fn start(tasks: &mut JoinSet<()>) -> Result<(Self, String)> {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(collector.clone());
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the collector ended");
            }
        });
        Ok((collector, endpoint))
    }

    /// All that it got.
    pub(crate) fn spans(&self) -> Result<Vec<Span>> {
        let requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spans = Vec::new();
        for body in requests.iter() {
            let secret = b"sim.token";
            let is_secret = body.windows(secret.len()).any(|part| part == secret);
            ensure!(!is_secret, "the token is in a span");
            let request = ExportTraceServiceRequest::decode(body.clone())?;
            let scopes = request.resource_spans.into_iter();
            let scopes = scopes.flat_map(|resource| resource.scope_spans);
            spans.extend(scopes.flat_map(|scope| scope.spans));
        }
        Ok(spans)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_an_event_travels_in_its_message() -> Result<()> {
    let mut stage = Stage::small().await?;
    let mut tasks = JoinSet::new();
    let (collector, endpoint) = Collector::start(&mut tasks).await?;
    stage.set("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
    stage.set("OTEL_TRACES_SAMPLER", "always_on");
    let service = stage.start_ready().await?;
    stage.emit(50).await?;
    let messages = stage.everything_written(&service).await?;
    // What is left is exported at the end.
    let ended = service.terminate()?;
    ensure!(ended.status.success(), "{}", ended.log);

    let spans: BTreeMap<String, Span> = collector
        .spans()?
        .into_iter()
        .map(|span| (traceparent(&span), span))
        .collect();
    for message in &messages {
        let headers = &message["headers"];
        let context = headers["traceparent"].as_str().context("no traceparent")?;
        let span = spans.get(context).context("a context without a span")?;
        let event = headers["event"].as_str().context("no event")?;
        ensure!(span.name == format!("publish {event}"), "{span:?}");
        ensure!(text(span, "discord.event") == Some(event), "{span:?}");
        let sequence = headers["sequence"].as_i64();
        ensure!(number(span, "discord.sequence") == sequence, "{span:?}");
        let key = text(span, "messaging.rabbitmq.destination.routing_key");
        ensure!(key == message["routing_key"].as_str(), "{span:?}");
        let moments: Vec<&str> = span.events.iter().map(|event| &*event.name).collect();
        ensure!(moments == ["published", "confirmed"], "{moments:?}");
    }
    ensure!(spans.len() == messages.len(), "{} spans", spans.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_not_sampled_has_no_trace() -> Result<()> {
    let mut stage = Stage::small().await?;
    let mut tasks = JoinSet::new();
    let (collector, endpoint) = Collector::start(&mut tasks).await?;
    stage.set("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
    stage.set("OTEL_TRACES_SAMPLER_ARG", "0");
    let service = stage.start_ready().await?;
    stage.emit(20).await?;
    let messages = stage.everything_written(&service).await?;
    service.terminate()?;
    let traced = |message: &&serde_json::Value| message["headers"]["traceparent"].is_string();
    ensure!(messages.iter().find(traced).is_none(), "{messages:#?}");
    ensure!(collector.spans()?.is_empty());
    Ok(())
}

fn traceparent(span: &Span) -> String {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id))
}

pub(crate) fn text<'s>(span: &'s Span, key: &str) -> Option<&'s str> {
    match attribute(span, key)? {
        Attribute::StringValue(text) => Some(text),
        _ => None,
    }
}

fn number(span: &Span, key: &str) -> Option<i64> {
    match attribute(span, key)? {
        Attribute::IntValue(number) => Some(*number),
        _ => None,
    }
}

fn attribute<'s>(span: &'s Span, key: &str) -> Option<&'s Attribute> {
    let attribute = span.attributes.iter().find(|other| other.key == key)?;
    attribute.value.as_ref()?.value.as_ref()
}
