//! Heartbeats, asked for, withheld and missing.

use serde_json::json;
use sim::{Config, Kind};

use crate::client::{Client, kinds, quick, start, wait_for_kinds};

#[tokio::test]
async fn heartbeats_are_acknowledged_before_and_after_identify() {
    let sim = start(quick()).await;
    let mut client = Client::connect(&sim.gateway_url()).await;
    client.send(&json!({"op": 1, "d": null})).await;
    assert_eq!(client.op(11).await["d"], json!(null));
    assert_eq!(kinds(&sim), []);
    client.send(&json!({"op": 1, "d": 7})).await;
    client.op(11).await;
    wait_for_kinds(&sim, &[Kind::HeartbeatEarly, Kind::HeartbeatSequence]).await;
    assert_eq!(sim.state().connection_log[0].heartbeats, 2);
}

#[tokio::test]
async fn a_heartbeat_on_demand_is_not_early() {
    let sim = start(quick()).await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    client.send(&json!({"op": 1, "d": 1})).await;
    client.op(11).await;
    sim.heartbeat(Some(0)).unwrap();
    client.op(1).await;
    client.send(&json!({"op": 1, "d": client.seq})).await;
    client.op(11).await;
    assert_eq!(kinds(&sim), []);
}

#[tokio::test]
async fn acknowledgements_are_withheld_on_request() {
    let sim = start(quick()).await;
    sim.change_faults(|faults| faults.withhold_acks = true);
    let mut client = Client::connect(&sim.gateway_url()).await;
    client.send(&json!({"op": 1, "d": null})).await;
    client.identify([0, 1], 0).await;
    assert_eq!(client.payload().await["t"], "READY");
}

#[tokio::test]
async fn a_silent_client_is_closed_and_keeps_its_session() {
    let config = Config {
        heartbeat_interval_ms: 30,
        heartbeat_grace_ms: Some(30),
        ..quick()
    };
    let sim = start(config).await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    assert_eq!(client.closed().await, Some(4000));
    wait_for_kinds(&sim, &[Kind::HeartbeatLate]).await;
    assert!(sim.state().sessions[0].ended.is_none());
}
