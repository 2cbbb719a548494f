//! The generator: counting, marking, routing, back-pressure.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;
use sim::{Config, Dispatch, EmitRequest, EmittedQuery, Mix, Sim, intents};
use tokio::time::{Duration, Instant};

use crate::client::{Client, PATIENCE, kinds, quick, start};

fn request(count: u64) -> EmitRequest {
    EmitRequest {
        count: Some(count),
        ..EmitRequest::default()
    }
}

/// Reads all events of the session until it has the last one.
async fn read_all(sim: &Sim, client: &mut Client) -> Vec<Value> {
    let state = sim.state();
    let last = state
        .sessions
        .iter()
        .find(|session| session.id == client.session)
        .unwrap()
        .seq;
    let mut events = Vec::new();
    while client.seq < last {
        events.push(client.payload().await);
    }
    events
}

#[tokio::test]
async fn what_was_emitted_can_be_compared_with_what_came() {
    let sim = start(quick()).await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    let (progress, mut received) = tokio::join!(sim.emit(request(2000)), async {
        let mut received = Vec::new();
        while received.len() < 2004 {
            received.push(client.payload().await);
        }
        received
    });
    received.retain(|event| event["t"] != "GUILD_CREATE");
    let progress = progress.unwrap();
    assert_eq!(
        (progress.events, progress.deliveries, progress.running),
        (2000, 2000, false)
    );
    let emitted = sim.emitted(&EmittedQuery {
        from: Some(2),
        ..EmittedQuery::default()
    });
    let expected: BTreeMap<u64, &str> = emitted
        .iter()
        .inspect(|(session, ..)| assert_eq!(*session, client.session))
        .filter(|(_, _, name)| *name != "GUILD_CREATE")
        .map(|(_, seq, name)| (seq, name))
        .collect();
    let came: BTreeMap<u64, &str> = received
        .iter()
        .map(|e| (e["s"].as_u64().unwrap(), e["t"].as_str().unwrap()))
        .collect();
    assert_eq!(came, expected);
    let marks: BTreeSet<u64> = received
        .iter()
        .map(|event| event["d"]["sim"]["n"].as_u64().unwrap())
        .collect();
    assert_eq!(marks, (1..=2000).collect());
    assert!(received[0]["d"]["sim"]["sent_at_us"].as_u64().unwrap() > 1_700_000_000_000_000);
    assert_eq!(sim.state().sessions[0].generated, 2000);
}

#[tokio::test]
async fn events_come_in_discords_member_order_and_unmarked_on_request() {
    let sim = start(quick()).await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    let mix = "MESSAGE_DELETE=1".parse().unwrap();
    let unmarked = EmitRequest {
        mark: Some(false),
        mix: Some(mix),
        ..request(1)
    };
    sim.emit(unmarked).await.unwrap();
    let event = client.event("MESSAGE_DELETE").await;
    assert!(event["d"].get("sim").is_none());
    assert_eq!(event["d"].as_object().unwrap().len(), 3);
}

#[tokio::test]
async fn sessions_get_only_what_their_intents_ask_for() {
    let sim = start(quick()).await;
    let mut client = Client::connect(&sim.gateway_url()).await;
    let guild_messages = 1 << 9;
    client.identify([0, 1], guild_messages).await;
    client.event("READY").await;
    let progress = sim.emit(request(300)).await.unwrap();
    assert!(progress.skipped > 0);
    let events = read_all(&sim, &mut client).await;
    assert_eq!(events.len(), 300);
    let names: HashSet<&str> = events
        .iter()
        .map(|event| event["t"].as_str().unwrap())
        .collect();
    let always = ["INTERACTION_CREATE", "ENTITLEMENT_CREATE"];
    for name in names {
        assert!(
            name.starts_with("MESSAGE_") || always.contains(&name),
            "{name}"
        );
        assert!(!name.contains("REACTION"), "{name}");
    }
    let message = events
        .iter()
        .find(|event| event["t"] == "MESSAGE_CREATE")
        .unwrap();
    assert_eq!(message["d"]["content"], "");
}

#[tokio::test]
async fn events_go_to_the_shard_of_their_guild_in_every_set_of_shards() {
    let sim = start(Config {
        guilds: 12,
        ..quick()
    })
    .await;
    let mut clients = Vec::new();
    for shard in [[0, 1], [0, 2], [1, 2]] {
        clients.push(Client::ready(&sim, shard).await);
    }
    let state = sim.wait_for("guilds", PATIENCE, |s| {
        s.sessions.iter().all(|s| s.guilds_complete)
    });
    state.await.unwrap();
    let progress = sim.emit(request(600)).await.unwrap();
    assert_eq!(progress.deliveries, 1200);
    let mut marks = Vec::new();
    for (client, [id, count]) in clients.iter_mut().zip([[0, 1], [0, 2], [1, 2_u64]]) {
        let mut own = BTreeSet::new();
        for event in read_all(&sim, client).await {
            if let Some(number) = event["d"]["sim"]["n"].as_u64() {
                own.insert(number);
                let guild = event["d"]["guild_id"]
                    .as_str()
                    .map_or(0, |id| id.parse().unwrap());
                assert_eq!((guild >> 22_u64) % count, id);
            }
        }
        marks.push(own);
    }
    assert_eq!(marks[0].len(), 600);
    assert_eq!(&marks[1] | &marks[2], marks[0]);
    assert!(marks[1].is_disjoint(&marks[2]));
}

#[tokio::test]
async fn events_without_a_guild_go_to_shard_0() {
    let sim = start(quick()).await;
    Client::ready(&sim, [0, 2]).await;
    let _other = Client::ready(&sim, [1, 2]).await;
    let mix: Mix = "ENTITLEMENT_CREATE=1".parse().unwrap();
    sim.emit(EmitRequest {
        mix: Some(mix),
        ..request(5)
    })
    .await
    .unwrap();
    let state = sim.state();
    let generated = |id| {
        state
            .sessions
            .iter()
            .find(|s| s.shard == [id, 2])
            .unwrap()
            .generated
    };
    assert_eq!((generated(0), generated(1)), (5, 0));
}

#[tokio::test]
async fn a_client_that_does_not_read_makes_the_generator_wait() {
    let config = Config {
        queue_events: 100,
        mark: false,
        ..quick()
    };
    let sim = start(config).await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    sim.start_emission(request(30_000)).unwrap();
    let mut before = 0;
    let mut still_since = Instant::now();
    while still_since.elapsed() < Duration::from_millis(300) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let events = sim.progress().events;
        if events != before {
            (before, still_since) = (events, Instant::now());
        }
    }
    assert!(before < 30_000, "the generator did not wait");
    assert!(sim.start_emission(request(1)).is_err());
    let session = sim.state().sessions[0].clone();
    assert!(session.seq - session.sent <= 100 + 1);
    for _ in 0..30_004 {
        client.payload().await;
    }
    let state = sim.wait_for("the end of the run", PATIENCE, |state| !state.run.running);
    assert_eq!(state.await.unwrap().run.events, 30_000);
    assert!(sim.progress().stalled_ms > 0);
    assert_eq!(kinds(&sim), []);
}

#[tokio::test]
async fn a_rate_is_kept_and_a_run_can_be_stopped() {
    let sim = start(quick()).await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    let begun = Instant::now();
    let paced = EmitRequest {
        rate: Some(1000.0),
        ..request(300)
    };
    let progress = sim.emit(paced).await.unwrap();
    assert_eq!(progress.events, 300);
    assert!(
        begun.elapsed() >= Duration::from_millis(295),
        "{:?}",
        begun.elapsed()
    );
    sim.start_emission(EmitRequest {
        rate: Some(1000.0),
        ..EmitRequest::default()
    })
    .unwrap();
    sim.wait_for("events", PATIENCE, |state| state.run.events > 10)
        .await
        .unwrap();
    let stopped = sim.stop_emission().await;
    assert!(!stopped.running);
    assert_eq!(sim.progress(), stopped);
    assert_eq!(sim.state().generated, 300 + stopped.events);
    read_all(&sim, &mut client).await;
}

#[tokio::test]
async fn events_emitted_while_nobody_listens_are_replayed() {
    let sim = start(quick()).await;
    let mut client = Client::ready(&sim, [0, 1]).await;
    read_all(&sim, &mut client).await;
    sim.wait_for("guilds", PATIENCE, |state| {
        state.sessions[0].guilds_complete
    })
    .await
    .unwrap();
    read_all(&sim, &mut client).await;
    sim.drop_connections(None).unwrap();
    sim.wait_for("the drop", PATIENCE, |state| !state.sessions[0].connected)
        .await
        .unwrap();
    sim.emit(request(3000)).await.unwrap();
    let mut resumed = client.resume(&client.resume_url).await;
    for seq in client.seq + 1..=client.seq + 3000 {
        assert_eq!(resumed.payload().await["s"], seq);
    }
    assert_eq!(resumed.payload().await["t"], "RESUMED");
}

#[tokio::test]
async fn dispatches_follow_the_same_rules() {
    let sim = start(quick()).await;
    let _zero = Client::ready(&sim, [0, 2]).await;
    let mut one = Client::connect(&sim.gateway_url()).await;
    one.identify([1, 2], intents::ALL & !(1 << 9)).await;
    one.event("READY").await;
    let guild = sim
        .guild_ids()
        .into_iter()
        .find(|id| Sim::shard_of(*id, 2) == 1)
        .unwrap();
    let message = Dispatch {
        name: "MESSAGE_CREATE".into(),
        data: format!(r#"{{"guild_id":"{guild}"}}"#),
        ..Dispatch::default()
    };
    assert_eq!(sim.dispatch(&message).unwrap(), 0);
    assert_eq!(
        sim.dispatch(&Dispatch {
            force: true,
            ..message.clone()
        })
        .unwrap(),
        1
    );
    assert_eq!(
        sim.dispatch(&Dispatch {
            shard: Some(0),
            ..message.clone()
        })
        .unwrap(),
        1
    );
    let marked = Dispatch {
        force: true,
        mark: true,
        ..message
    };
    sim.dispatch(&marked).unwrap();
    one.event("MESSAGE_CREATE").await;
    assert!(one.event("MESSAGE_CREATE").await["d"]["sim"]["n"].is_u64());
}
