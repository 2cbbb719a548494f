//! The admin server over a real socket.

use std::io;

use reqwest::{Response, StatusCode};
use tokio::task::JoinSet;

use super::Admin;
use crate::{context::Context, redact::Redactor};

struct Server {
    context: Context,
    url: String,
    _task: JoinSet<io::Result<()>>,
}

impl Server {
    async fn start() -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let context = Context::new();
        let admin = Admin::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", admin.address());
        let mut task = JoinSet::new();
        let redactor = Redactor::new(&["hunter22".into()]);
        task.spawn(admin.serve(context.clone(), redactor));
        Self {
            context,
            url,
            _task: task,
        }
    }

    async fn get(&self, path: &str) -> Response {
        reqwest::get(format!("{}{path}", self.url)).await.unwrap()
    }

    async fn ready(&self) -> (StatusCode, serde_json::Value) {
        let response = self.get("/readyz").await;
        let status = response.status();
        (status, response.json().await.unwrap())
    }
}

#[tokio::test]
async fn healthy_while_it_runs() {
    let server = Server::start().await;
    let response = server.get("/healthz").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(server.get("/other").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn ready_when_the_checks_are_up() {
    let server = Server::start().await;
    let broker = server.context.health.check("broker");
    broker.down("login with hunter22 refused");
    let (status, body) = server.ready().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let expected = r#"{"checks":{"broker":"login with [secret] refused"},"ready":false}"#;
    assert_eq!(body.to_string(), expected);
    broker.up();
    let (status, body) = server.ready().await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        body.to_string(),
        r#"{"checks":{"broker":"up"},"ready":true}"#
    );
    server.context.shutdown.cancel();
    let (status, body) = server.ready().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["checks"]["shutdown"], "stopping");
}

#[tokio::test]
async fn metrics_are_openmetrics() {
    let server = Server::start().await;
    server.context.metrics.counter("events", "Events").inc();
    let response = server.get("/metrics").await;
    let content_type = &response.headers()["content-type"];
    assert_eq!(
        content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = response.text().await.unwrap();
    assert!(text.contains("gateway_events_total 1\n"), "{text}");
    assert!(text.contains("process_resident_memory_bytes "), "{text}");
    assert!(text.contains("process_cpu_seconds_total "), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn an_address_in_use_is_an_error() {
    let server = Server::start().await;
    let address = server.url.trim_start_matches("http://").parse().unwrap();
    let error = Admin::bind(address).await.err().unwrap();
    assert!(error.to_string().contains(&address.to_string()));
}
