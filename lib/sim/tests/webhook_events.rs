//! Webhook events, as an application's server sees them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, http::StatusCode, http::header::CONTENT_TYPE, routing::post};
use serde_json::json;
use sim::{Kind, Signature, Sim, WebhookEvent};
use tokio::{net::TcpListener, task::JoinSet};

/// A server that answers so many requests with 503, and those after them with 204.
async fn server(refused: usize) -> (JoinSet<()>, String) {
    let asked = Arc::new(AtomicUsize::new(0));
    let answer = move || async move {
        let status = match asked.fetch_add(1, Ordering::Relaxed) {
            number if number < refused => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::NO_CONTENT,
        };
        (status, [(CONTENT_TYPE, "application/json")])
    };
    let router = Router::new().route("/events", post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (tasks, url)
}

fn kinds(sim: &Sim) -> Vec<Kind> {
    let violations = sim.violations().into_iter();
    violations.map(|violation| violation.kind).collect()
}

#[tokio::test]
async fn an_event_is_sent_again_until_it_is_taken() {
    let (_server, url) = server(2).await;
    let sim = Sim::start(sim::Config::default()).await.unwrap();
    let mut event = WebhookEvent::new(&url, "APPLICATION_AUTHORIZED", json!({}));
    event.retry_ms = 1;
    let delivery = sim.send_event(&event).await.unwrap();
    let statuses = delivery.attempts.iter().map(|attempt| attempt.status);
    let expected = [Some(503), Some(503), Some(204)];
    assert_eq!(statuses.collect::<Vec<_>>(), expected);
    assert!(delivery.taken);
    assert_eq!(kinds(&sim), []);
}

#[tokio::test]
async fn an_event_that_nobody_takes_is_given_up() {
    let (_server, url) = server(usize::MAX).await;
    let sim = Sim::start(sim::Config::default()).await.unwrap();
    let mut event = WebhookEvent::new(&url, "ENTITLEMENT_CREATE", json!({}));
    (event.retry_ms, event.give_up_ms) = (1, 10);
    let delivery = sim.send_event(&event).await.unwrap();
    assert!(!delivery.taken && delivery.attempts.len() < 6);
    event.url = url.replace("/events", "/elsewhere");
    assert!(!sim.send_event(&event).await.unwrap().taken);
    assert!(kinds(&sim).iter().all(|kind| *kind == Kind::EventAnswer));
}

#[tokio::test]
async fn who_takes_any_signature_is_found_out() {
    let (_server, url) = server(0).await;
    let sim = Sim::start(sim::Config::default()).await.unwrap();
    let attempts = sim.probe_events(&url).await.unwrap();
    assert_eq!(attempts.len(), 1 + Signature::BAD.len());
    assert!(
        attempts
            .iter()
            .all(|(_, attempt)| attempt.status == Some(204))
    );
    assert_eq!(kinds(&sim), [Kind::EventSignature; Signature::BAD.len()]);
}
