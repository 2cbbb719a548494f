//! Traces against a collector of our own.

use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse as _, Response},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    },
    common::v1::{KeyValue, any_value::Value},
};
use prost::Message as _;
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Exporter, Settings, Traces, collector::Protocol, otlp};
use crate::metrics::{Counter, Metrics};

#[test]
fn as_many_traces_begin_as_are_wanted() {
    let share = |ratio| {
        let (tx, rx) = mpsc::channel(20_000);
        let traces = Traces::new(ratio, tx, Counter::default());
        for _ in 0..10_000 {
            drop(traces.begin(SystemTime::now(), || "x".to_owned()));
        }
        rx.len()
    };
    assert_eq!(share(0.0), 0);
    assert_eq!(share(1.0), 10_000);
    // Sixteen standard deviations.
    assert!((700..=1_300).contains(&share(0.1)), "{}", share(0.1));
    assert!(
        Traces::default()
            .begin(SystemTime::now(), || "x".to_owned())
            .is_none()
    );
}

#[test]
fn the_ratio_decides_by_the_id_of_the_trace() {
    let (tx, mut rx) = mpsc::channel(20_000);
    let traces = Traces::new(0.25, tx, Counter::default());
    for _ in 0..1_000 {
        drop(traces.begin(SystemTime::now(), || "x".to_owned()));
    }
    while let Ok(span) = rx.try_recv() {
        let low = u64::from_be_bytes(span.trace_id[8..].try_into().unwrap());
        assert!(low >> 1 < 1 << 61, "the top quarter begins with bits 00");
    }
}

#[test]
fn a_step_joins_the_callers_trace_if_that_is_recorded() {
    let (tx, mut rx) = mpsc::channel(4);
    let traces = Traces::new(0.0, tx, Counter::default());
    let follow = |text: &str| {
        let name = || "GET x".to_owned();
        traces.follow(Some(text), SystemTime::now(), name).is_some()
    };
    assert!(follow(
        "00-000000000000000000000000000000ab-00000000000000cd-01"
    ));
    let span = rx.try_recv().unwrap();
    assert_eq!(span.trace_id, 0xab_u128.to_be_bytes());
    assert_eq!(span.parent_span_id, 0xcd_u64.to_be_bytes());
    for text in [
        "00-000000000000000000000000000000ab-00000000000000cd-00",
        "ff-000000000000000000000000000000ab-00000000000000cd-01",
        "00-00000000000000000000000000000000-00000000000000cd-01",
        "00-000000000000000000000000000000ab-0000000000000000-01",
        "00-ab-cd-01",
        "00-0000000000000000000000000000+0ab-00000000000000cd-01",
        "",
    ] {
        assert!(!follow(text), "{text}");
    }
}

#[test]
fn a_span_ends_with_its_last_clone() {
    let (tx, mut rx) = mpsc::channel(1);
    let traces = Traces::new(1.0, tx, Counter::default());
    let span = traces
        .begin(SystemTime::now(), || "publish X".to_owned())
        .unwrap();
    let context = span.traceparent();
    let clone = span.clone();
    drop(span);
    clone.number("shard", 3);
    clone.moment("confirmed");
    assert!(rx.try_recv().is_err());
    drop(clone);
    let ended = rx.try_recv().unwrap();
    assert_eq!(context, traceparent(&ended));
    assert_eq!(context.len(), 55);
    assert!(
        context.starts_with("00-") && context.ends_with("-01"),
        "{context}"
    );
    assert_eq!(ended.events[0].name, "confirmed");
    assert!(ended.end_time_unix_nano >= ended.start_time_unix_nano);
}

#[test]
fn what_finds_no_room_is_dropped_and_counted() {
    let (tx, rx) = mpsc::channel(2);
    let dropped = Counter::default();
    let traces = Traces::new(1.0, tx, dropped.clone());
    for _ in 0..5 {
        drop(traces.begin(SystemTime::now(), || "x".to_owned()));
    }
    assert_eq!((rx.len(), dropped.get()), (2, 3));
}

/// A collector: what it was sent, and what it answers to that, the last one first.
#[derive(Clone, Default)]
struct Collector {
    requests: Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>,
    answers: Arc<Mutex<Vec<StatusCode>>>,
    rejects: i64,
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> Response {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    collector.requests.lock().unwrap().push((headers, request));
    if let Some(status) = collector.answers.lock().unwrap().pop() {
        return (status, [(RETRY_AFTER, "0")]).into_response();
    }
    let answer = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: collector.rejects,
            ..ExportTracePartialSuccess::default()
        }),
    };
    answer.encode_to_vec().into_response()
}

/// Exports so many spans to the collector, and gives back the metrics.
async fn export(collector: &Collector, spans: usize) -> String {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/v1/traces", post(take))
        .with_state(collector.clone());
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });

    let settings = Settings {
        endpoint: endpoint.parse().unwrap(),
        protocol: Protocol::HttpProtobuf,
        headers: HeaderMap::from_iter([("api-key".parse().unwrap(), "geheim".parse().unwrap())]),
        ratio: 1.0,
        service_name: Some("music".to_owned()),
        attributes: vec![
            ("service.name".to_owned(), "not this".to_owned()),
            ("team".to_owned(), "blue".to_owned()),
        ],
    };
    let metrics = Metrics::new();
    let (exporter, traces) = Exporter::new(settings, "gateway-test", "1.2.3", &metrics).unwrap();
    let closing = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(exporter.run(closing.clone()));
    for n in 0..spans {
        let span = traces
            .begin(SystemTime::now(), || format!("span {n}"))
            .unwrap();
        span.text("event", "MESSAGE_CREATE");
        drop(span);
    }
    // A full batch goes by itself; what is less only goes at once when all ends.
    let done = || {
        metrics
            .text()
            .unwrap()
            .contains("outcome=\"exported\"} 512")
    };
    while spans == 512 && !done() {
        tokio::task::yield_now().await;
    }
    closing.cancel();
    while running.join_next().await.is_some() {}
    metrics.text().unwrap()
}

#[tokio::test]
async fn spans_reach_the_collector_with_all_that_they_say() {
    let collector = Collector::default();
    let metrics = export(&collector, 3).await;
    assert!(
        metrics.contains("gateway_trace_spans_total{outcome=\"exported\"} 3"),
        "{metrics}"
    );
    let requests = collector.requests.lock().unwrap();
    let [(headers, request)] = &**requests else {
        panic!("one request was sent")
    };
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["api-key"], "geheim");
    let sent = &request.resource_spans[0];
    let resource = &sent.resource.as_ref().unwrap().attributes;
    assert_eq!(value(resource, "service.name"), Some("music"));
    assert_eq!(value(resource, "service.version"), Some("1.2.3"));
    assert_eq!(value(resource, "team"), Some("blue"));
    let spans = &sent.scope_spans[0].spans;
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["span 0", "span 1", "span 2"]);
    assert_eq!(value(&spans[0].attributes, "event"), Some("MESSAGE_CREATE"));
}

#[tokio::test]
async fn a_collector_that_is_busy_is_asked_again() {
    let collector = Collector::default();
    let busy = [
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    collector.answers.lock().unwrap().extend(busy);
    export(&collector, 512).await;
    let requests = collector.requests.lock().unwrap();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].1, requests[2].1);
}

#[tokio::test]
async fn what_the_collector_does_not_take_is_counted() {
    let collector = Collector::default();
    collector
        .answers
        .lock()
        .unwrap()
        .push(StatusCode::BAD_REQUEST);
    let metrics = export(&collector, 3).await;
    assert!(
        metrics.contains("gateway_trace_spans_total{outcome=\"failed\"} 3"),
        "{metrics}"
    );
    let collector = Collector {
        rejects: 2,
        ..Collector::default()
    };
    let metrics = export(&collector, 3).await;
    assert!(
        metrics.contains("gateway_trace_spans_total{outcome=\"failed\"} 2"),
        "{metrics}"
    );
    assert!(
        metrics.contains("gateway_trace_spans_total{outcome=\"exported\"} 1"),
        "{metrics}"
    );
}

fn traceparent(span: &otlp::Span) -> String {
    let (trace, id) = (super::hex(&span.trace_id), super::hex(&span.span_id));
    format!("00-{trace}-{id}-01")
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}
