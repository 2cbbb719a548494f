//! What goes out over HTTP: traces to a collector, and log lines to a webhook.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::{net::TcpListener, task::JoinSet};

use super::{output, probe};

const WEBHOOK_TOKEN: &str = "webhook-secret";

/// What a server was sent.
#[derive(Clone, Default)]
struct Server {
    spans: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    keys: Arc<Mutex<Vec<String>>>,
    posts: Arc<Mutex<String>>,
}

async fn traces(State(server): State<Server>, headers: HeaderMap, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    server.spans.lock().expect("no test panicked").push(request);
    let key = headers["api-key"].to_str().expect("a text").to_owned();
    server.keys.lock().expect("no test panicked").push(key);
}

async fn webhook(State(server): State<Server>, body: String) {
    server
        .posts
        .lock()
        .expect("no test panicked")
        .push_str(&body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_last_lines_and_spans_go_out_before_the_end() {
    let server = Server::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/v1/traces", post(traces))
        .route("/api/webhooks/1/webhook-secret", post(webhook))
        .with_state(server.clone());
    let mut task = JoinSet::new();
    task.spawn(async move { axum::serve(listener, router).await.unwrap() });

    let mut command = probe("fail");
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &base)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=collector-secret")
        .env("OTEL_TRACES_SAMPLER", "always_on")
        .env(
            "LOG_WEBHOOK_URL",
            format!("{base}/api/webhooks/1/{WEBHOOK_TOKEN}"),
        )
        .env("LOG_WEBHOOK_LEVEL", "error");
    let (status, _, stderr) = output(command);
    assert_eq!(status, Some(1), "{stderr}");

    let posts = server.posts.lock().unwrap();
    assert_eq!(
        posts.matches("probe failed: [secret] was refused").count(),
        1,
        "{posts}"
    );
    assert!(!posts.contains("the probe runs"), "{posts}");
    assert!(
        !posts.contains("secret-token") && !posts.contains("\u{1b}"),
        "{posts}"
    );
    assert_eq!(*server.keys.lock().unwrap(), ["collector-secret"]);
    let requests = server.spans.lock().unwrap();
    let span = &requests[0].resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.name, "run");
    assert!(!format!("{requests:?}").contains("secret"));
    for secret in ["collector-secret", WEBHOOK_TOKEN] {
        assert!(!stderr.contains(secret), "{stderr}");
    }
}

// In a process of its own, with the one subscriber that a service has: what `tracing` remembers of a
// line's place in the code is shared by all tests of a process.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn only_what_matters_is_posted_and_never_what_comes_of_posting() {
    let server = Server::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/api/webhooks/1/webhook-secret", post(webhook))
        .with_state(server.clone());
    let mut task = JoinSet::new();
    task.spawn(async move { axum::serve(listener, router).await.unwrap() });

    let url = format!("http://{address}/api/webhooks/1/{WEBHOOK_TOKEN}");
    let mut command = probe("log");
    command.env("LOG_WEBHOOK_URL", url).env("LOG", "info");
    let (status, _, stderr) = output(command);
    assert_eq!(status, Some(0), "{stderr}");
    let posts = server.posts.lock().unwrap();
    assert!(posts.contains("WARN gateway_ws: worth a look"), "{posts}");
    for line in ["too quiet", "posting failed", "its connection", "so did"] {
        assert!(stderr.contains(line), "{line} is not in the log:\n{stderr}");
        assert!(!posts.contains(line), "{line} was posted:\n{posts}");
    }
}

#[test]
fn a_collector_that_does_not_answer_does_not_hold_up_the_end() {
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = probe("finish");
    command
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://{}", deaf.local_addr().unwrap()),
        )
        .env("OTEL_TRACES_SAMPLER", "always_on")
        .env("SHUTDOWN_GRACE", "100ms");
    let (status, _, stderr) = output(command);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(
        stderr.contains("not all traces and log lines could be sent"),
        "{stderr}"
    );
}
