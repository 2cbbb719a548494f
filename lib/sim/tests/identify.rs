//! All the reasons to refuse an Identify.

use serde_json::{Value, json};
use sim::{Config, Kind, intents};

use crate::client::{Client, Received, identify, kinds, quick, start, wait_for_kinds};

/// Sends a payload on a new connection; the close code.
async fn refused(config: Config, payload: &Value) -> Option<u16> {
    let sim = start(config).await;
    let mut client = Client::connect(&sim.gateway_url()).await;
    client.send(payload).await;
    client.closed().await
}

fn with(key: &str, value: Value) -> Value {
    let mut payload = identify([0, 1], intents::ALL);
    payload["d"][key] = value;
    payload
}

#[tokio::test]
async fn wrong_fields_have_their_close_codes() {
    for (key, value, code) in [
        ("token", json!("wrong"), 4004),
        ("shard", json!([1, 1]), 4010),
        ("shard", json!([0, 0]), 4010),
        ("shard", json!("0"), 4010),
        ("intents", json!(1 << 17), 4013),
        ("intents", json!(-1), 4013),
        ("intents", Value::Null, 4013),
        ("token", Value::Null, 4001),
    ] {
        let payload = with(key, value.clone());
        assert_eq!(
            refused(quick(), &payload).await,
            Some(code),
            "{key} {value}"
        );
    }
}

#[tokio::test]
async fn limits_of_the_application_have_their_close_codes() {
    let payload = identify([0, 1], intents::ALL);
    let config = Config {
        allowed_intents: intents::ALL & !intents::PRIVILEGED,
        ..quick()
    };
    assert_eq!(refused(config, &payload).await, Some(4014));
    let config = Config {
        max_guilds_per_shard: 3,
        ..quick()
    };
    assert_eq!(refused(config, &payload).await, Some(4011));
    let config = Config {
        shard_multiple: 2,
        ..quick()
    };
    assert_eq!(refused(config, &payload).await, Some(4010));
}

#[tokio::test]
async fn payloads_at_the_wrong_moment_have_their_close_codes() {
    let presence = json!({"op": 3, "d": {"status": "online", "since": null, "afk": false}});
    assert_eq!(refused(quick(), &presence).await, Some(4003));
    let sim = start(quick()).await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    client.identify([0, 1], intents::ALL).await;
    assert_eq!(client.closed().await, Some(4005));
}

#[tokio::test]
async fn unusable_payloads_have_their_close_codes() {
    for (payload, code) in [
        (json!({"op": 99, "d": null}), 4001),
        (json!({"op": "two"}), 4002),
        (json!({"op": 1, "d": " ".repeat(4096)}), 4002),
    ] {
        assert_eq!(refused(quick(), &payload).await, Some(code), "{payload}");
    }
}

#[tokio::test]
async fn the_121st_payload_within_a_minute_closes() {
    let sim = start(quick()).await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    let leave = json!({"op": 4, "d": {"guild_id": "1", "channel_id": null}});
    for _ in 0..119 {
        client.send(&leave).await;
    }
    client.send(&json!({"op": 1, "d": null})).await;
    assert_eq!(client.closed().await, Some(4008));
    wait_for_kinds(&sim, &[Kind::SendRate]).await;
}

#[tokio::test]
async fn identifies_within_one_window_get_op_9() {
    let config = Config {
        identify_window_ms: 60_000,
        max_concurrency: 2,
        ..quick()
    };
    let sim = start(config).await;
    Client::ready(&sim, [0, 4]).await;
    Client::ready(&sim, [1, 4]).await;
    let mut client = Client::connect(&sim.gateway_url()).await;
    client.identify([2, 4], intents::ALL).await;
    let invalid = client.payload().await;
    assert_eq!((&invalid["op"], &invalid["d"]), (&json!(9), &json!(false)));
    wait_for_kinds(&sim, &[Kind::IdentifyConcurrency]).await;
    assert_eq!(sim.state().identifies, 2);
}

#[tokio::test]
async fn an_exhausted_budget_ends_all_sessions_and_the_token() {
    let sim = start(Config {
        remaining: 1,
        ..quick()
    })
    .await;
    let mut first = Client::ready(&sim, [0, 2]).await;
    assert_eq!(sim.state().session_start_limit.remaining, 0);
    let mut second = Client::connect(&sim.gateway_url()).await;
    second.identify([1, 2], intents::ALL).await;
    assert_eq!(second.closed().await, Some(4004));
    assert_eq!(first.closed().await, Some(4004));
    let patch = json!({"token": "new.token", "remaining": 10});
    sim.change_settings(patch.as_object().unwrap()).unwrap();
    let mut third = Client::connect(&sim.gateway_url()).await;
    third.send(&with("token", json!("new.token"))).await;
    third.event("READY").await;
}

#[tokio::test]
async fn what_discord_tolerates_is_noted() {
    let sim = start(quick()).await;
    let mut client = Client::connect(&sim.resume_url()).await;
    let mut payload = identify([0, 1], intents::ALL);
    payload["d"].as_object_mut().unwrap().remove("properties");
    payload["d"]["large_threshold"] = json!(1000);
    client.send(&payload).await;
    client.event("READY").await;
    wait_for_kinds(
        &sim,
        &[
            Kind::IdentifyPlace,
            Kind::IdentifyFields,
            Kind::IdentifyFields,
        ],
    )
    .await;
}

#[tokio::test]
async fn a_prefixed_token_and_no_shard_are_fine() {
    let sim = start(quick()).await;
    let mut client = Client::connect(&sim.gateway_url()).await;
    let mut payload = with("token", json!("Bot sim.token"));
    payload["d"].as_object_mut().unwrap().remove("shard");
    client.send(&payload).await;
    assert!(matches!(client.receive().await, Received::Payload(_)));
    assert_eq!(sim.state().sessions[0].shard, [0, 1]);
    assert_eq!(kinds(&sim), []);
}

#[tokio::test]
async fn what_is_taken_away_while_clients_are_connected_ends_their_sessions() {
    let sim = start(quick()).await;
    let change = |patch: Value| sim.change_settings(patch.as_object().unwrap()).unwrap();
    let mut with = Client::ready(&sim, [0, 2]).await;
    let mut without = Client::connect(&sim.gateway_url()).await;
    without.identify([1, 2], 1).await;
    without.event("READY").await;
    change(json!({"allowed_intents": intents::ALL & !(1 << 8)}));
    assert_eq!(with.closed().await, Some(4014));
    assert!(sim.state().sessions.iter().any(|session| session.connected));
    change(json!({"token": "another.token"}));
    assert_eq!(without.closed().await, Some(4004));
    assert_eq!(kinds(&sim), []);
    let mut late = without.resume(&without.resume_url).await;
    assert_eq!(late.closed().await, Some(4004));
    wait_for_kinds(&sim, &[Kind::Token]).await;
}

#[tokio::test]
async fn identifies_are_counted_for_each_shard_of_each_set() {
    let sim = start(quick()).await;
    for shard in [[0, 1], [0, 2], [1, 2], [0, 2]] {
        Client::ready(&sim, shard).await;
    }
    let state = sim.state();
    let counts: Vec<_> = state
        .identifies_by_shard
        .iter()
        .map(|it| (it.shard, it.identifies))
        .collect();
    assert_eq!(counts, [([0, 1], 1), ([0, 2], 2), ([1, 2], 1)]);
    assert_eq!(state.identifies, 4);
}
