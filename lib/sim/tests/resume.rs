//! Sessions that outlive their connections, and those that don't.

use std::time::Duration;

use serde_json::{Value, json};
use sim::{Config, Dispatch, Kind, Sim};
use tokio::time::sleep;

use crate::client::{Client, PATIENCE, Received, kinds, quick, start, wait_for_kinds};

fn note(sim: &Sim, number: u64) {
    let event = Dispatch {
        name: "NOTE".to_owned(),
        data: json!({"number": number}).to_string(),
        ..Dispatch::default()
    };
    assert_eq!(sim.dispatch(&event).unwrap(), 1);
}

async fn detached(sim: &Sim) {
    sim.wait_for("a session without a connection", PATIENCE, |state| {
        state.sessions.iter().all(|session| !session.connected)
    })
    .await
    .unwrap();
}

/// A client that has everything up to its guilds.
async fn settled(sim: &Sim) -> Client {
    let mut client = Client::ready(sim, [0, 1]).await;
    for _ in 0..4 {
        client.event("GUILD_CREATE").await;
    }
    client
}

#[tokio::test]
async fn a_resume_replays_exactly_what_was_missed() {
    let sim = start(quick()).await;
    let client = settled(&sim).await;
    let mut old = client;
    note(&sim, 1);
    note(&sim, 2);
    assert_eq!(old.event("NOTE").await["d"]["number"], 1);
    sim.drop_connections(None).unwrap();
    detached(&sim).await;
    note(&sim, 3);
    let mut new = old.resume(&old.resume_url).await;
    for (seq, number) in [(7, 2), (8, 3)] {
        let event = new.payload().await;
        assert_eq!(
            (&event["s"], &event["d"]["number"]),
            (&json!(seq), &json!(number))
        );
    }
    let resumed = new.payload().await;
    assert_eq!(
        (&resumed["t"], &resumed["s"]),
        (&json!("RESUMED"), &json!(9))
    );
    note(&sim, 4);
    assert_eq!(new.payload().await["d"]["number"], 4);
    let state = sim.state();
    let session = &state.sessions[0];
    assert_eq!(
        (session.resumes, session.connections, session.replayed),
        (1, 2, 2)
    );
    assert_eq!((state.identifies, state.resumes), (1, 1));
    assert_eq!(kinds(&sim), []);
}

#[tokio::test]
async fn guilds_that_were_not_announced_yet_follow_a_resume() {
    let sim = start(Config {
        guild_create_interval_ms: 20,
        guilds: 6,
        ..quick()
    })
    .await;
    let mut old = Client::ready(&sim, [0, 1]).await;
    old.event("GUILD_CREATE").await;
    sim.drop_connections(None).unwrap();
    detached(&sim).await;
    let mut new = old.resume(&old.resume_url).await;
    let mut guilds = 1;
    while guilds < 6 {
        guilds += usize::from(new.payload().await["t"] == "GUILD_CREATE");
    }
    sim.wait_for("all guilds", PATIENCE, |state| {
        state.sessions[0].guilds_complete
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_wrong_sequence_closes_and_ends_the_session() {
    let sim = start(quick()).await;
    let mut old = settled(&sim).await;
    sim.drop_connections(None).unwrap();
    detached(&sim).await;
    old.seq = 99;
    let mut new = old.resume(&old.resume_url).await;
    assert_eq!(new.closed().await, Some(4007));
    wait_for_kinds(&sim, &[Kind::ResumeSession]).await;
    let mut new = old.resume(&old.resume_url).await;
    assert_eq!(new.op(9).await["d"], false);
}

#[tokio::test]
async fn an_unknown_session_gets_op_9() {
    let sim = start(quick()).await;
    let mut old = settled(&sim).await;
    old.session = "nobody".to_owned();
    let mut new = old.resume(&old.resume_url).await;
    assert_eq!(new.op(9).await["d"], false);
    wait_for_kinds(&sim, &[Kind::ResumeSession]).await;
}

#[tokio::test]
async fn closes_with_1000_and_1001_end_the_session_and_others_do_not() {
    for (code, survives) in [(1000, false), (1001, false), (4000, true), (3001, true)] {
        let sim = start(quick()).await;
        let client = settled(&sim).await;
        let (session, seq, url) = (
            client.session.clone(),
            client.seq,
            client.resume_url.clone(),
        );
        client.close(code).await;
        detached(&sim).await;
        let state = sim.state();
        assert_eq!(state.sessions[0].ended.is_none(), survives, "{code}");
        let mut new = Client::connect(&url).await;
        let d = json!({"token": "sim.token", "session_id": session, "seq": seq});
        new.send(&json!({"op": 6, "d": d})).await;
        let answer = new.payload().await;
        let expected = if survives {
            json!("RESUMED")
        } else {
            Value::Null
        };
        assert_eq!(answer["t"], expected, "{code}");
    }
}

#[tokio::test]
async fn some_of_the_servers_close_codes_end_the_session() {
    for (code, survives) in [
        (4000, true),
        (4001, true),
        (4002, true),
        (4003, false),
        (4004, false),
        (4005, true),
        (4007, false),
        (4008, true),
        (4009, false),
        (4010, false),
        (4011, false),
        (4012, false),
        (4013, false),
        (4014, false),
        (1001, true),
    ] {
        let sim = start(quick()).await;
        let mut client = settled(&sim).await;
        sim.close(Some(0), code).unwrap();
        assert_eq!(client.closed().await, Some(code));
        drop(client);
        detached(&sim).await;
        assert_eq!(sim.state().sessions[0].ended.is_none(), survives, "{code}");
    }
}

#[tokio::test]
async fn a_session_times_out() {
    let sim = start(Config {
        session_timeout_ms: 30,
        ..quick()
    })
    .await;
    let old = settled(&sim).await;
    sim.drop_connections(None).unwrap();
    sim.wait_for("the end of the session", PATIENCE, |state| {
        state.sessions[0].ended.as_deref() == Some("timeout")
    })
    .await
    .unwrap();
    let mut new = old.resume(&old.resume_url).await;
    assert_eq!(new.op(9).await["d"], false);
    assert_eq!(kinds(&sim), []);
}

#[tokio::test]
async fn a_resume_beyond_the_buffer_gets_op_9() {
    let sim = start(Config {
        replay_events: 10,
        ..quick()
    })
    .await;
    let old = settled(&sim).await;
    sim.drop_connections(None).unwrap();
    detached(&sim).await;
    for number in 0..11 {
        note(&sim, number);
    }
    let mut new = old.resume(&old.resume_url).await;
    assert_eq!(new.op(9).await["d"], false);
    assert_eq!(
        sim.state().sessions[0].ended.as_deref(),
        Some("replay overflow")
    );
}

#[tokio::test]
async fn the_wrong_url_and_other_parameters_are_noted() {
    let sim = start(quick()).await;
    let old = settled(&sim).await;
    sim.drop_connections(None).unwrap();
    detached(&sim).await;
    let mut new = Client::connect_with(
        &sim.gateway_url(),
        "v=10&encoding=json&compress=zlib-stream",
    )
    .await;
    let d = json!({"token": "sim.token", "session_id": old.session, "seq": old.seq});
    new.send(&json!({"op": 6, "d": d})).await;
    new.event("RESUMED").await;
    wait_for_kinds(&sim, &[Kind::ResumeParameters, Kind::ResumePlace]).await;
}

#[tokio::test]
async fn two_living_connections_cannot_share_a_session() {
    let sim = start(quick()).await;
    let mut old = settled(&sim).await;
    let mut new = old.resume(&old.resume_url).await;
    new.event("RESUMED").await;
    assert_eq!(old.receive().await, Received::Closed(None));
    wait_for_kinds(&sim, &[Kind::ResumeTwice]).await;
    note(&sim, 1);
    new.event("NOTE").await;
}

#[tokio::test]
async fn a_client_that_just_left_may_come_back_at_once() {
    let sim = start(quick()).await;
    let mut client = settled(&sim).await;
    for _ in 0..20 {
        let (session, seq) = (client.session.clone(), client.seq);
        drop(client);
        client = Client::connect(&sim.resume_url()).await;
        (client.session, client.seq) = (session, seq);
        let d = json!({"token": "sim.token", "session_id": client.session, "seq": client.seq});
        client.send(&json!({"op": 6, "d": d})).await;
        client.event("RESUMED").await;
    }
    drop(client);
    detached(&sim).await;
    assert_eq!(kinds(&sim), []);
}

#[tokio::test]
async fn the_longest_time_without_a_connection_is_measured() {
    let sim = start(quick()).await;
    let mut client = settled(&sim).await;
    assert_eq!(sim.state().longest_gap_ms, 0);
    for pause_ms in [60, 1] {
        sim.drop_connections(None).unwrap();
        detached(&sim).await;
        sleep(Duration::from_millis(pause_ms)).await;
        client = client.resume(&client.resume_url).await;
        client.event("RESUMED").await;
    }
    let long = |state: &sim::State| state.longest_gap_ms >= 60;
    let state = sim.wait_for("both gaps", PATIENCE, long).await.unwrap();
    assert_eq!(state.sessions[0].longest_gap_ms, state.longest_gap_ms);
}
