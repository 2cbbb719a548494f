//! Waiting, deadlines, and the end.

use std::time::Duration;

use serde_json::json;
use sim::{Limit, RestConfig, Times};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time,
};

use super::{PATIENCE, Stage, read, taken};

/// Messages of a channel: one in so many milliseconds.
fn one_in(window_ms: u64) -> RestConfig {
    let limit = Limit {
        methods: vec!["POST".to_owned()],
        path: "channels/*/messages".to_owned(),
        limit: 1,
        window_ms,
        ..Limit::default()
    };
    RestConfig {
        limits: vec![limit],
        ..RestConfig::default()
    }
}

#[tokio::test]
async fn callers_wait_for_their_turn_and_see_nothing_of_it() {
    let stage = Stage::with(one_in(100), &[], None).await;
    let mut sent = JoinSet::new();
    for number in 0..8 {
        let message = stage.message(&number.to_string());
        sent.spawn(async move { taken(message).await.0 });
    }
    assert_eq!(sent.join_all().await, [200; 8]);
    assert_eq!(stage.sim.state().rest.limited.values().sum::<u64>(), 0);
    stage.rules_kept();
}

#[tokio::test]
async fn who_cannot_be_served_in_time_hears_it_at_once() {
    let stage = Stage::with(one_in(60_000), &[], None).await;
    assert_eq!(taken(stage.message("first")).await.0, 200);
    let (status, headers, body) =
        taken(stage.message("second").header("x-gateway-timeout", "20s")).await;
    assert_eq!((status, &body["global"]), (429, &json!(false)), "{body}");
    let seconds = body["retry_after"].as_f64().unwrap();
    assert!((20.0..=61.0).contains(&seconds), "{body}");
    let header: f64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(header, seconds.ceil());
    assert_eq!(headers["x-ratelimit-scope"], "user");
    assert_eq!(headers["x-gateway-error"], "DEADLINE_EXCEEDED");
    assert_eq!(stage.sim.requests().len(), 1, "Discord was not asked");
    let odd = ["soon", "0s", "11m", ""];
    for odd in odd {
        let (status, _, body) = taken(stage.message("x").header("x-gateway-timeout", odd)).await;
        assert_eq!(status, 400, "{odd}");
        assert!(
            body["message"]
                .as_str()
                .unwrap()
                .contains("x-gateway-timeout"),
            "{body}"
        );
    }
    let (status, ..) = taken(stage.message("x").header("x-gateway-priority", "10")).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn too_many_that_wait_are_refused() {
    let stage = Stage::with(one_in(60_000), &[("API_WAITING", "1")], None).await;
    assert_eq!(taken(stage.message("first")).await.0, 200);
    let waits = stage
        .message("second")
        .header("x-gateway-timeout", "10m")
        .send();
    let mut waiting = JoinSet::new();
    waiting.spawn(waits);
    let line = format!(
        "gateway_api_waiting{{application=\"{}\"}}",
        stage.application_id
    );
    stage.shows(&format!("{line} 1")).await;
    let third = taken(stage.message("third").header("x-gateway-timeout", "10m"));
    let third = time::timeout(PATIENCE, third).await;
    let (status, headers, _) = third.expect("it does not wait");
    assert_eq!(status, 429);
    assert_eq!(headers["x-ratelimit-scope"], "shared");
    assert_eq!(headers["x-gateway-error"], "RESOURCE_EXHAUSTED");
}

#[tokio::test]
async fn who_hangs_up_leaves_the_line() {
    let stage = Stage::with(one_in(60_000), &[], None).await;
    assert_eq!(taken(stage.message("first")).await.0, 200);
    let line = format!(
        "gateway_api_waiting{{application=\"{}\"}}",
        stage.application_id
    );
    let mut waiting = JoinSet::new();
    let patient = stage.message("second").header("x-gateway-timeout", "10m");
    waiting.spawn(async move { patient.send().await.map(drop) });
    stage.shows(&format!("{line} 1")).await;
    waiting.abort_all();
    stage.shows(&format!("{line} 0")).await;
    assert_eq!(stage.sim.requests().len(), 1);
}

#[tokio::test]
async fn the_end_answers_everybody() {
    let stage = Stage::with(one_in(60_000), &[], None).await;
    assert_eq!(taken(stage.message("first")).await.0, 200);
    let mut waiting = JoinSet::new();
    let line = stage.message("second").header("x-gateway-timeout", "10m");
    waiting.spawn(async move { taken(line).await });
    let waits = format!(
        "gateway_api_waiting{{application=\"{}\"}} 1",
        stage.application_id
    );
    stage.shows(&waits).await;
    // One is at Discord, which takes its time.
    stage.sim.change_faults(|faults| faults.rest_delay_ms = 300);
    let slow = stage.get("/api/v10/users/@me");
    let mut sent = JoinSet::new();
    sent.spawn(async move { taken(slow).await.0 });
    stage
        .shows(&format!(
            "gateway_api_in_flight{{application=\"{}\"}} 1",
            stage.application_id
        ))
        .await;
    stage.context.shutdown.cancel();
    let (status, headers, body) = waiting.join_next().await.unwrap().unwrap();
    assert_eq!((status, &body["code"]), (503, &json!(0)), "{body}");
    assert_eq!(headers["x-gateway-error"], "UNAVAILABLE");
    assert_eq!(
        sent.join_next().await.unwrap().unwrap(),
        200,
        "what was sent is answered"
    );
    stage.context.tasks.join(PATIENCE).await.unwrap();
    assert!(
        stage.get("/api/v10/users/@me").send().await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn discord_away_is_told_by_the_status() {
    let stage = Stage::new(&[]).await;
    stage
        .sim
        .change_faults(|faults| faults.rest_reset = Times::Always);
    let (status, headers, _) =
        taken(stage.message("lost").header("x-gateway-timeout", "500ms")).await;
    assert_eq!(status, 504, "it may have been carried out");
    assert_eq!(headers["x-gateway-error"], "UNKNOWN");
    stage.sim.change_faults(|faults| {
        faults.rest_reset = Times::Never;
        faults.rest_status = Some(503);
    });
    let (status, headers, body) = taken(stage.message("refused")).await;
    assert_eq!((status, body["code"].is_number()), (503, true), "{body}");
    assert!(!headers.contains_key("x-gateway-error"), "Discord said it");
}

#[tokio::test]
async fn further_connections_wait_for_one_to_end() {
    let stage = Stage::new(&[("HTTP_CONNECTIONS", "1")]).await;
    let request = "GET /api/v10/users/@me HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut first = TcpStream::connect(stage.address).await.unwrap();
    first.write_all(request.as_bytes()).await.unwrap();
    assert!(first.read_u8().await.is_ok(), "it is answered, and kept");
    let second = stage.get("/api/v10/users/@me").send();
    let mut second = std::pin::pin!(second);
    let early = time::timeout(Duration::from_millis(200), second.as_mut()).await;
    assert!(early.is_err(), "there is one connection already");
    drop(first);
    let second = time::timeout(PATIENCE, second).await.unwrap().unwrap();
    assert_eq!(read(second).await.0, 200);
}
