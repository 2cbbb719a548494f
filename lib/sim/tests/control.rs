//! The control interface over HTTP.

use serde_json::{Value, json};
use sim::State;

use crate::client::{Client, PATIENCE, http, quick, start};

async fn post(base: &str, path: &str, body: Value) -> (u16, Value) {
    http("POST", &format!("{base}/{path}"), "", &body.to_string()).await
}

async fn get(base: &str, path: &str) -> Value {
    let (status, body) = http("GET", &format!("{base}/{path}"), "", "").await;
    assert_eq!(status, 200, "{path}");
    body
}

#[tokio::test]
async fn a_person_can_ask_for_the_guilds_and_their_channels() {
    let sim = start(quick()).await;
    let answer = get(&sim.control_url(), "guilds").await;
    let id = sim.guild_ids()[0];
    assert_eq!(answer["guilds"][0]["id"], id.to_string());
    let channels: Vec<_> = sim
        .channel_ids(id)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(answer["guilds"][0]["channel_ids"], json!(channels));
    sim.stop().await;
}

#[tokio::test]
async fn a_run_is_started_watched_and_stopped() {
    let sim = start(quick()).await;
    let control = sim.control_url();
    let mut client = Client::ready(&sim, [0, 1]).await;
    let (status, progress) = post(&control, "emit", json!({"count": 50, "rate": null})).await;
    assert_eq!((status, &progress["request"]["count"]), (200, &json!(50)));
    sim.wait_for("the run", PATIENCE, |state| !state.run.running)
        .await
        .unwrap();
    assert_eq!(get(&control, "run").await["events"], 50);
    let state: State = serde_json::from_value(get(&control, "state").await).unwrap();
    assert_eq!(state.sessions[0].generated, 50);
    assert_eq!(state.urls, sim.urls());
    let emitted = get(&control, "emitted?from=2").await;
    assert_eq!(emitted["sessions"][0]["from"], 2);
    assert!(emitted["sessions"][0]["events"].as_array().unwrap().len() >= 50);
    post(&control, "emit", json!({"rate": 100})).await;
    assert_eq!(post(&control, "emit", json!({})).await.0, 409);
    assert_eq!(post(&control, "stop", json!({})).await.1["running"], false);
    let last = sim.state().sessions[0].seq;
    while client.seq < last {
        client.payload().await;
    }
}

#[tokio::test]
async fn orders_reach_their_shard() {
    let sim = start(quick()).await;
    let control = sim.control_url();
    let mut client = Client::ready(&sim, [0, 1]).await;
    let event = r#"{"name":"NEW_THING","data":{"z":1.0,"a":2}}"#;
    let url = format!("{control}/dispatch");
    assert_eq!(
        http("POST", &url, "", event).await,
        (200, json!({"sessions": 1}))
    );
    client.event("NEW_THING").await;
    let raw = json!({"shard": 0, "text": "{\"op\":55}"});
    assert_eq!(
        post(&control, "raw", raw).await,
        (200, json!({"connections": 1}))
    );
    client.op(55).await;
    post(&control, "heartbeat", json!({"shard": 0})).await;
    client.op(1).await;
    post(&control, "reconnect", json!({})).await;
    client.op(7).await;
    post(&control, "invalid", json!({"resumable": true})).await;
    assert_eq!(client.op(9).await["d"], true);
    assert_eq!(
        post(&control, "close", json!({"shard": 0, "code": 4000}))
            .await
            .0,
        200
    );
    assert_eq!(client.closed().await, Some(4000));
    drop(client);
    sim.wait_for("no connection", PATIENCE, |state| {
        !state.sessions[0].connected
    })
    .await
    .unwrap();
    let mut client = Client::ready(&sim, [0, 1]).await;
    assert_eq!(post(&control, "drop", json!({"shard": 0})).await.0, 200);
    assert_eq!(client.closed().await, None);
}

#[tokio::test]
async fn dispatched_text_arrives_byte_for_byte() {
    let sim = start(quick()).await;
    let mut client = Client::connect(&sim.gateway_url()).await;
    client.identify([0, 1], 0).await;
    client.event("READY").await;
    let data = r#"{"z": 1e400, "a":[ ], "z": 1.500}"#;
    let body = format!(r#"{{"name":"X","data":{data}}}"#);
    let url = format!("{}/dispatch", sim.control_url());
    assert_eq!(http("POST", &url, "", &body).await.0, 200);
    let text = client.text().await;
    assert_eq!(text, format!(r#"{{"t":"X","s":2,"op":0,"d":{data}}}"#));
}

#[tokio::test]
async fn faults_and_settings_stay_until_changed() {
    let sim = start(quick()).await;
    let control = sim.control_url();
    let patch = json!({"withhold_acks": true, "close_before_hello": 2});
    let (status, faults) = post(&control, "faults", patch).await;
    assert_eq!((status, &faults["close_before_hello"]), (200, &json!(2)));
    assert_eq!(get(&control, "faults").await["withhold_acks"], true);
    let (status, _) = http("DELETE", &format!("{control}/faults"), "", "").await;
    assert_eq!(status, 200);
    assert_eq!(sim.faults(), sim::Faults::default());
    let (status, settings) = post(&control, "settings", json!({"shards": 7})).await;
    assert_eq!((status, &settings["shards"]), (200, &json!(7)));
    assert_eq!(sim.settings().shards, 7);
    assert_eq!(get(&control, "settings").await["shards"], 7);
}

#[tokio::test]
async fn bad_requests_change_nothing_and_say_why() {
    let sim = start(quick()).await;
    let control = sim.control_url();
    for (path, body, status) in [
        ("faults", json!({"no_such": 1}), 400),
        ("settings", json!({"address": "127.0.0.1:1"}), 400),
        ("emit", json!({"mix": {"NO_SUCH": 1}}), 400),
        ("emit", json!({"rate": -1}), 400),
        ("dispatch", json!({"name": ""}), 400),
        ("close", json!({"code": 4000}), 404),
        ("nothing", json!({}), 404),
    ] {
        let (got, answer) = post(&control, path, body).await;
        assert_eq!(got, status, "{path}");
        assert!(answer["error"].is_string(), "{path}");
    }
    assert_eq!(get(&control, "violations").await["violations"], json!([]));
    let deleted = http("DELETE", &format!("{control}/violations"), "", "").await;
    assert_eq!(deleted.0, 204);
}
