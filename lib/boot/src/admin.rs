//! The address for operators: `/healthz`, `/readyz` and `/metrics`.

#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{context::Context, error::Error, metrics, redact::Redactor};

/// A listener on the admin address.
pub(crate) struct Admin {
    listener: TcpListener,
    /// With the port that the system chose if 0 was asked for.
    address: SocketAddr,
}

impl Admin {
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let refused = |source| Error::Admin { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is dropped.
    pub(crate) async fn serve(self, context: Context, redactor: Redactor) -> io::Result<()> {
        let router = Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(Shown { context, redactor });
        axum::serve(self.listener, router).await
    }
}

/// What the routes show, and what they must not.
#[derive(Clone)]
struct Shown {
    context: Context,
    redactor: Redactor,
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(shown): State<Shown>) -> Response {
    let mut report = shown.context.health.report();
    for reason in report.checks.values_mut() {
        *reason = shown.redactor.clean(reason).into_owned();
    }
    if shown.context.shutdown.is_cancelled() {
        report.ready = false;
        report
            .checks
            .insert("shutdown".into(), "stopping".to_owned());
    }
    let status = match report.ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = json!({ "ready": report.ready, "checks": report.checks });
    (status, Json(body)).into_response()
}

async fn metrics(State(shown): State<Shown>) -> Response {
    match shown.context.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
