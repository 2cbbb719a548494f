//! Misbehaviour on request.

use std::time::Duration;

use serde_json::json;
use sim::{Dispatch, Kind, Side, Sim, Times, intents};
use tokio::time::{Instant, timeout};

use crate::client::{Client, PATIENCE, Received, kinds, quick, start, wait_for_kinds};

fn note(sim: &Sim) {
    let event = Dispatch {
        name: "NOTE".into(),
        data: "{}".into(),
        ..Dispatch::default()
    };
    sim.dispatch(&event).unwrap();
}

#[tokio::test]
async fn connections_end_before_hello_as_often_as_wanted() {
    let sim = start(quick()).await;
    sim.change_faults(|faults| faults.close_before_hello = Times::Next(2));
    for _ in 0..2 {
        let mut client = Client::open(&sim.gateway_url(), "v=10").await;
        assert_eq!(client.receive().await, Received::Closed(None));
    }
    Client::connect(&sim.gateway_url()).await;
    sim.change_faults(|faults| {
        faults.close_before_hello = Times::Always;
        faults.close_before_hello_code = Some(4000);
    });
    let mut client = Client::open(&sim.gateway_url(), "v=10").await;
    assert_eq!(client.receive().await, Received::Closed(Some(4000)));
}

#[tokio::test]
async fn op_7_comes_before_hello_and_at_any_time() {
    let sim = start(quick()).await;
    sim.change_faults(|faults| faults.reconnect_before_hello = Times::Next(1));
    let mut client = Client::open(&sim.gateway_url(), "v=10").await;
    assert_eq!(client.payload().await["op"], 7);
    let mut client = Client::ready(&sim, [0, 1]).await;
    sim.reconnect(Some(0)).unwrap();
    client.op(7).await;
    assert!(sim.reconnect(Some(5)).is_err());
}

#[tokio::test]
async fn op_9_ends_sessions_unless_they_are_resumable() {
    let sim = start(quick()).await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    sim.invalid(None, true).unwrap();
    assert_eq!(client.op(9).await["d"], true);
    assert!(sim.state().sessions[0].ended.is_none());
    sim.invalid(None, false).unwrap();
    assert_eq!(client.op(9).await["d"], false);
    assert_eq!(
        sim.state().sessions[0].ended.as_deref(),
        Some("invalidated")
    );
}

#[tokio::test]
async fn identify_and_resume_are_refused_on_request() {
    let sim = start(quick()).await;
    sim.change_faults(|faults| faults.refuse_identify_code = Some(4004));
    let mut client = Client::connect(&sim.gateway_url()).await;
    client.identify([0, 1], 0).await;
    assert_eq!(client.closed().await, Some(4004));
    sim.change_faults(|faults| {
        faults.refuse_identify_code = None;
        faults.invalid_identify = Times::Next(1);
        faults.refuse_resume = Times::Next(1);
    });
    let mut client = Client::connect(&sim.gateway_url()).await;
    client.identify([0, 1], 0).await;
    client.op(9).await;
    client.identify([0, 1], 0).await;
    client.event("READY").await;
    sim.drop_connections(None).unwrap();
    let mut resumed = client.resume(&client.resume_url).await;
    assert_eq!(resumed.op(9).await["d"], false);
    sim.change_faults(|faults| faults.refuse_resume_code = Some(4009));
    let mut resumed = client.resume(&client.resume_url).await;
    assert_eq!(resumed.closed().await, Some(4009));
}

#[tokio::test]
async fn events_are_lost_and_doubled_on_request() {
    let sim = start(quick()).await;
    let mut client = Client::connect(&sim.gateway_url()).await;
    client.identify([0, 1], 0).await;
    client.event("READY").await;
    sim.change_faults(|faults| (faults.lose_every, faults.duplicate_every) = (4, 3));
    (0..4).for_each(|_| note(&sim));
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(client.event("NOTE").await["s"].as_u64().unwrap());
    }
    assert_eq!(seen, [2, 3, 3, 5]);
}

#[tokio::test]
async fn everything_is_late_or_frozen_on_request() {
    let sim = start(quick()).await;
    sim.change_faults(|faults| (faults.hello_delay_ms, faults.delay_ms) = (30, 30));
    let begun = Instant::now();
    let mut client = Client::connect(&sim.gateway_url()).await;
    assert!(begun.elapsed() >= Duration::from_millis(60));
    sim.change_faults(|faults| (faults.delay_ms, faults.freeze) = (0, true));
    client.identify([0, 1], 0).await;
    sim.wait_for("a session", PATIENCE, |state| state.identifies == 1)
        .await
        .unwrap();
    assert!(
        timeout(Duration::from_millis(50), client.payload())
            .await
            .is_err()
    );
    sim.change_faults(|faults| faults.freeze = false);
    client.event("READY").await;
    sim.change_faults(|faults| faults.freeze = true);
    sim.drop_connections(None).unwrap();
    assert_eq!(client.closed().await, None);
}

#[tokio::test]
async fn connections_are_refused_on_request() {
    let sim = start(quick()).await;
    sim.change_faults(|faults| faults.refuse_connections = Times::Next(1));
    let address = sim.gateway_url().replace("ws://", "");
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    timeout(PATIENCE, stream.readable()).await.unwrap().unwrap();
    Client::connect(&sim.gateway_url()).await;
}

#[tokio::test]
async fn anything_may_be_sent_raw() {
    let sim = start(quick()).await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    sim.raw(Some(0), r#"{"op":77,"d":[]}"#).unwrap();
    client.op(77).await;
    let unknown = Dispatch {
        name: "QUITE_NEW".into(),
        data: r#"{ "z": 1.50, "a": [] }"#.into(),
        ..Dispatch::default()
    };
    sim.dispatch(&unknown).unwrap();
    assert_eq!(
        client.event("QUITE_NEW").await["d"],
        json!({"z": 1.5, "a": []})
    );
    let bad = Dispatch {
        name: "A\"B".into(),
        data: "{}".into(),
        ..Dispatch::default()
    };
    assert!(sim.dispatch(&bad).is_err());
    let bad = Dispatch {
        name: "A".into(),
        data: "{".into(),
        ..Dispatch::default()
    };
    assert!(sim.dispatch(&bad).is_err());
    assert!(sim.close(None, 1005).is_err());
}

#[tokio::test]
async fn the_log_says_who_closed_with_what() {
    let sim = start(quick()).await;
    Client::ready(&sim, [0, 1]).await.close(4123).await;
    let mut client = Client::connect(&sim.gateway_url()).await;
    client.send_text("nonsense".to_owned()).await;
    assert_eq!(client.closed().await, Some(4002));
    drop(client);
    let state = sim
        .wait_for("two ends", PATIENCE, |state| {
            state
                .connection_log
                .iter()
                .filter(|connection| connection.end.is_some())
                .count()
                == 2
        })
        .await
        .unwrap();
    let ends: Vec<_> = state
        .connection_log
        .iter()
        .filter_map(|connection| connection.end)
        .collect();
    assert_eq!((ends[0].by, ends[0].code), (Side::Client, Some(4123)));
    assert_eq!((ends[1].by, ends[1].code), (Side::Server, Some(4002)));
    wait_for_kinds(&sim, &[Kind::PayloadMalformed]).await;
}

#[tokio::test]
async fn stopping_ends_connections_and_frees_the_ports() {
    let sim = start(quick()).await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    let address = sim.gateway_url().replace("ws://", "");
    timeout(PATIENCE, sim.stop()).await.unwrap();
    assert_eq!(client.closed().await, None);
    assert!(tokio::net::TcpStream::connect(&address).await.is_err());
}

#[tokio::test]
async fn dropping_the_handle_ends_everything_too() {
    let sim = start(quick()).await;
    let mut client = Client::connect(&sim.gateway_url()).await;
    client.identify([0, 1], intents::ALL).await;
    client.event("READY").await;
    drop(sim);
    assert_eq!(client.closed().await, None);
}

#[tokio::test]
async fn a_black_hole_takes_everything_on_some_connections_and_leaves_the_session() {
    let sim = start(quick()).await;
    let mut dead = Client::ready(&sim, [0, 2]).await;
    let mut alive = Client::ready(&sim, [1, 2]).await;
    sim.black_hole(Some(0)).unwrap();
    sim.wait_for("a session that nobody has", PATIENCE, |state| {
        state.sessions.iter().filter(|it| it.connected).count() == 1
    })
    .await
    .unwrap();
    let event = Dispatch {
        name: "NOTE".into(),
        data: "{}".into(),
        shard: Some(1),
        ..Dispatch::default()
    };
    sim.dispatch(&event).unwrap();
    alive.event("NOTE").await;
    let shard = Some(0);
    sim.dispatch(&Dispatch { shard, ..event }).unwrap();
    dead.send(&json!({"op": 1, "d": null})).await;
    let silence = async { while dead.payload().await["t"] != "NOTE" {} };
    assert!(timeout(Duration::from_millis(50), silence).await.is_err());
    let mut resumed = dead.resume(&dead.resume_url).await;
    resumed.event("NOTE").await;
    resumed.event("RESUMED").await;
    assert_eq!(kinds(&sim), []);
}

#[tokio::test]
async fn connections_are_accepted_and_left_alone_on_request() {
    let sim = start(quick()).await;
    sim.change_faults(|faults| faults.black_hole_connections = Times::Next(1));
    let url = sim.gateway_url();
    let open = Client::open(&url, "v=10");
    assert!(timeout(Duration::from_millis(50), open).await.is_err());
    Client::connect(&sim.gateway_url()).await;
}
