//! HELLO, READY, guilds and the transports.

use serde_json::json;
use sim::{Config, Kind, Transport, intents};

use crate::client::{Client, identify, kinds, quick, start, wait_for_kinds};

#[tokio::test]
async fn a_client_gets_hello_ready_and_its_guilds() {
    let sim = start(Config {
        heartbeat_interval_ms: 12_345,
        ..quick()
    })
    .await;
    let mut client = Client::connect(&sim.gateway_url()).await;
    assert_eq!(client.hello["d"]["heartbeat_interval"], 12_345);
    assert!(client.hello["s"].is_null() && client.hello["t"].is_null());
    client.identify([0, 1], intents::ALL).await;
    let ready = client.payload().await;
    assert_eq!(
        (&ready["op"], &ready["s"], &ready["t"]),
        (&json!(0), &json!(1), &json!("READY"))
    );
    let d = &ready["d"];
    assert_eq!(d["v"], 10);
    assert_eq!(d["shard"], json!([0, 1]));
    assert_eq!(d["resume_gateway_url"], sim.resume_url());
    assert_ne!(sim.resume_url(), sim.gateway_url());
    assert_eq!(d["application"]["id"], "1100000000000000001");
    let announced: Vec<String> = d["guilds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|guild| {
            assert_eq!(guild["unavailable"], true);
            guild["id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(announced.len(), 4);
    for (index, id) in announced.iter().enumerate() {
        let guild = client.payload().await;
        assert_eq!(guild["t"], "GUILD_CREATE");
        assert_eq!(guild["s"], index + 2);
        assert_eq!(guild["d"]["id"], *id);
        assert_eq!(guild["d"]["members"].as_array().unwrap().len(), 9);
    }
    assert_eq!(kinds(&sim), []);
    sim.stop().await;
}

#[tokio::test]
async fn guilds_may_be_down() {
    let sim = start(Config {
        unavailable_guilds: 1,
        guilds: 2,
        ..quick()
    })
    .await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    let down = client.payload().await;
    assert_eq!(
        (&down["t"], &down["d"]["unavailable"]),
        (&json!("GUILD_DELETE"), &json!(true))
    );
    assert_eq!(client.payload().await["t"], "GUILD_CREATE");
}

#[tokio::test]
async fn each_shard_gets_its_own_guilds() {
    let sim = start(Config {
        guilds: 9,
        ..quick()
    })
    .await;
    let mut seen = 0;
    for id in 0..3 {
        let mut client = Client::ready(&sim, [id, 3]).await;
        for _ in 0..3 {
            let guild = client.event("GUILD_CREATE").await;
            let guild: u64 = guild["d"]["id"].as_str().unwrap().parse().unwrap();
            assert_eq!((guild >> 22) % 3, u64::from(id));
            seen += 1;
        }
    }
    assert_eq!(seen, 9);
}

#[tokio::test]
async fn without_the_guilds_intent_no_guild_comes() {
    let sim = start(quick()).await;
    let mut client = Client::connect(&sim.gateway_url()).await;
    client.identify([0, 1], intents::ALL & !1).await;
    client.event("READY").await;
    client.send(&json!({"op": 1, "d": 1})).await;
    assert_eq!(client.payload().await["op"], 11);
}

#[tokio::test]
async fn compressed_transports_carry_the_same() {
    for (compress, transport) in [
        ("zlib-stream", Transport::Zlib),
        ("zstd-stream", Transport::Zstd),
    ] {
        let sim = start(quick()).await;
        let query = format!("v=10&encoding=json&compress={compress}");
        let mut client = Client::connect_with(&sim.gateway_url(), &query).await;
        client.identify([0, 1], intents::ALL).await;
        client.event("READY").await;
        for _ in 0..4 {
            client.event("GUILD_CREATE").await;
        }
        sim.raw(
            None,
            format!(
                r#"{{"op":0,"s":6,"t":"BIG","d":"{}"}}"#,
                "x".repeat(3 << 20)
            ),
        )
        .unwrap();
        let big = client.event("BIG").await;
        assert_eq!(big["d"].as_str().unwrap().len(), 3 << 20);
        assert!(client.messages.iter().all(|messages| *messages == 1));
        assert_eq!(sim.state().sessions[0].transport, transport);
    }
}

#[tokio::test]
async fn zlib_payloads_are_split_on_request() {
    let sim = start(quick()).await;
    sim.change_faults(|faults| faults.split_zlib = 3);
    let query = "v=10&encoding=json&compress=zlib-stream";
    let mut client = Client::connect_with(&sim.gateway_url(), query).await;
    client.identify([0, 1], intents::ALL).await;
    client.event("READY").await;
    client.event("GUILD_CREATE").await;
    assert!(
        client.messages.iter().all(|messages| *messages == 3),
        "{:?}",
        client.messages
    );
}

#[tokio::test]
async fn payloads_are_compressed_one_by_one_if_identify_asks() {
    let sim = start(quick()).await;
    let mut client = Client::connect(&sim.gateway_url()).await;
    let mut payload = identify([0, 1], intents::ALL);
    payload["d"]["compress"] = json!(true);
    client.send(&payload).await;
    client.event("READY").await;
    client.event("GUILD_CREATE").await;
}

#[tokio::test]
async fn odd_urls_are_refused() {
    let sim = start(quick()).await;
    for (query, code) in [("v=7&encoding=json", 4012), ("v=10&encoding=etf", 4002)] {
        let mut client = Client::open(&sim.gateway_url(), query).await;
        assert_eq!(client.closed().await, Some(code));
    }
    Client::connect_with(&sim.gateway_url(), "v=10&encoding=json&compress=gzip").await;
    wait_for_kinds(&sim, &[Kind::ConnectionQuery]).await;
}

#[tokio::test]
async fn connections_are_logged_and_their_rate_is_watched() {
    let sim = start(Config {
        max_connections_per_second: 2,
        ..quick()
    })
    .await;
    for _ in 0..3 {
        Client::connect(&sim.gateway_url()).await;
    }
    wait_for_kinds(&sim, &[Kind::ConnectionRate]).await;
    let state = sim.state();
    assert_eq!(state.connections, 3);
    assert_eq!(state.connection_log.len(), 3);
    assert_eq!(state.connection_log[0].query, "v=10&encoding=json");
}
