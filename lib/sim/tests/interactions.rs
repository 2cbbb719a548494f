//! The sending half of interactions, against endpoints of all kinds.

use std::net::SocketAddr;

use axum::{Json, Router, http::StatusCode, routing::post};
use serde_json::{Value, json};
use sim::{Interact, InteractionKind, Kind, Signature, Sim};
use tokio::{net::TcpListener, task::JoinSet};

use crate::client::{AGENT, http, kinds, quick, start};

/// Endpoints that answer always the same.
async fn endpoints() -> (SocketAddr, JoinSet<()>) {
    let says = |answer: Value| post(async move || Json(answer));
    let never = async || {
        std::future::pending::<()>().await;
        StatusCode::OK
    };
    let router = Router::new()
        .route("/pong", says(json!({"type": 1})))
        .route(
            "/message",
            says(json!({"type": 4, "data": {"content": "hello"}})),
        )
        .route("/deferred", says(json!({"type": 5})))
        .route("/update", says(json!({"type": 6})))
        .route("/accepted", post(async || StatusCode::ACCEPTED))
        .route("/refused", post(async || StatusCode::UNAUTHORIZED))
        .route("/broken", post(async || StatusCode::BAD_GATEWAY))
        .route("/never", post(never));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, task)
}

async fn send(
    sim: &Sim,
    address: SocketAddr,
    path: &str,
    kind: InteractionKind,
) -> sim::Interacted {
    let order = Interact {
        url: format!("http://{address}{path}"),
        kind,
        ..Interact::default()
    };
    sim.interact(&order).await.unwrap().remove(0)
}

#[tokio::test]
async fn what_discord_would_not_take_is_noted() {
    let sim = start(quick()).await;
    let (address, _task) = endpoints().await;
    for (path, kind, violation) in [
        ("/pong", InteractionKind::Ping, None),
        ("/message", InteractionKind::Command, None),
        ("/update", InteractionKind::Component, None),
        ("/broken", InteractionKind::Command, None),
        (
            "/message",
            InteractionKind::Ping,
            Some(Kind::InteractionAnswer),
        ),
        (
            "/update",
            InteractionKind::Command,
            Some(Kind::InteractionAnswer),
        ),
        (
            "/message",
            InteractionKind::Autocomplete,
            Some(Kind::InteractionAnswer),
        ),
        (
            "/accepted",
            InteractionKind::Command,
            Some(Kind::InteractionAnswer),
        ),
        (
            "/never",
            InteractionKind::Command,
            Some(Kind::InteractionUnanswered),
        ),
    ] {
        send(&sim, address, path, kind).await;
        let found: Vec<_> = sim.violations().into_iter().map(|it| it.kind).collect();
        assert_eq!(found, Vec::from_iter(violation), "{path} {kind:?}");
        sim.clear_violations();
    }
    let totals = sim.interactions();
    assert_eq!((totals.sent, totals.answered), (9, 3));
    assert_eq!((totals.refused, totals.unanswered), (1, 1));
}

#[tokio::test]
async fn an_endpoint_that_looks_at_no_signature_is_found_out() {
    let sim = start(quick()).await;
    let (address, _task) = endpoints().await;
    let careless = sim
        .probe(&format!("http://{address}/message"))
        .await
        .unwrap();
    assert_eq!(careless.len(), Signature::BAD.len());
    let noted = kinds(&sim);
    assert_eq!(noted, [Kind::InteractionSignature; 10]);
    sim.clear_violations();
    let careful = sim
        .probe(&format!("http://{address}/refused"))
        .await
        .unwrap();
    assert!(careful.iter().all(|(_, status)| *status == Some(401)));
    assert_eq!(kinds(&sim), []);
}

#[tokio::test]
async fn what_follows_an_answer_is_seen_and_a_second_answer_is_not_taken() {
    let sim = start(quick()).await;
    let (address, _task) = endpoints().await;
    let mut sent = send(&sim, address, "/deferred", InteractionKind::Command).await;
    let headers = format!("user-agent: {AGENT}\r\ncontent-type: application/json\r\n");
    let (api, id) = (sim.api_url(), sim.settings().application_id);
    let original = format!("{api}/webhooks/{id}/{}/messages/@original", sent.token);
    let (status, _) = http("PATCH", &original, &headers, r#"{"content":"late"}"#).await;
    assert_eq!(status, 200);
    let followup = format!("{api}/webhooks/{id}/{}", sent.token);
    let (status, _) = http("POST", &followup, &headers, r#"{"content":"more"}"#).await;
    assert_eq!(status, 200);
    sim.look(&mut sent);
    assert_eq!((sent.edits, sent.followups), (1, 1));
    assert_eq!(sent.original.unwrap()["content"], "late");
    let callback = format!("{api}/interactions/{}/{}/callback", sent.id, sent.token);
    let (status, body) = http("POST", &callback, &headers, r#"{"type":6}"#).await;
    assert_eq!((status, &body["code"]), (400, &json!(40060)));
    // What is on its way for longer than Discord waits has no answer any more.
    let mut late = send(&sim, address, "/never", InteractionKind::Command).await;
    let callback = format!("{api}/interactions/{}/{}/callback", late.id, late.token);
    let (status, body) = http("POST", &callback, &headers, r#"{"type":5}"#).await;
    assert_eq!((status, &body["code"]), (404, &json!(10062)));
    sim.look(&mut late);
    assert_eq!(late.callback, None);
}

#[tokio::test]
async fn the_control_routes_do_the_same() {
    let sim = start(quick()).await;
    let (address, _task) = endpoints().await;
    let base = sim.control_url();
    let order = json!({"url": format!("http://{address}/message"), "name": "greet", "count": 3});
    let (status, sent) = http(
        "POST",
        &format!("{base}/interactions"),
        "",
        &order.to_string(),
    )
    .await;
    assert_eq!(status, 200);
    let sent = sent.as_array().unwrap();
    assert_eq!(sent.len(), 3);
    assert!(
        sent.iter()
            .all(|it| it["answer"]["data"]["content"] == "hello")
    );
    let (status, all) = http("GET", &format!("{base}/interactions"), "", "").await;
    assert_eq!((status, &all["totals"]["answered"]), (200, &json!(3)));
    assert_eq!(all["public_key"], sim.public_key());
    let probe = json!({"url": format!("http://{address}/refused")});
    let (status, found) = http("POST", &format!("{base}/probe"), "", &probe.to_string()).await;
    assert_eq!((status, found.as_array().unwrap().len()), (200, 10));
}
