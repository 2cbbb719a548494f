//! Sessions that outlive their connection, and those that do not.

use serde_json::json;
use sim_voice::{Kind, State, Target};

use crate::client::{Client, GUILD, PATIENCE, USER, kinds, start};

const AES: &str = "aead_aes256_gcm_rtpsize";
const CHANNEL: u64 = crate::client::CHANNEL;

fn detached(state: &State) -> bool {
    state.clients.iter().all(|client| !client.connected)
}

#[tokio::test]
async fn what_was_missed_comes_after_the_resume() {
    let server = start(|_| {}).await;
    let mut client = Client::join(&server, USER, AES).await;
    // Ready, Session Description, Clients Connect.
    let last = client.op(11).await["seq"].as_i64();
    assert_eq!(last, Some(2));
    server.drop_connections(Target::default()).unwrap();
    assert_eq!(client.closed().await, None);
    server
        .wait_for("the end", PATIENCE, detached)
        .await
        .unwrap();
    server.seat(CHANNEL, 60);
    server.seat(CHANNEL, 61);
    let mut second = Client::connect(&server, "?v=8").await;
    second.resume(last).await;
    assert!(second.op(9).await["d"].is_null());
    for (seq, user) in [(3, "60"), (4, "61")] {
        let missed = second.op(11).await;
        assert_eq!(
            (&missed["seq"], &missed["d"]["user_ids"]),
            (&json!(seq), &json!([user]))
        );
    }
    let state = server.state();
    assert_eq!((state.resumes, state.clients[0].resumes), (1, 1));
    assert_eq!(state.clients[0].ssrc, client.ssrc());
    assert_eq!(kinds(&server), []);
}

#[tokio::test]
async fn a_crash_can_be_resumed_from_too() {
    let server = start(|_| {}).await;
    let mut client = Client::join(&server, USER, AES).await;
    server.close(Target::default(), 4015).unwrap();
    assert_eq!(client.closed().await, Some(4015));
    let mut second = Client::connect(&server, "?v=8").await;
    second.resume(Some(1)).await;
    second.op(9).await;
    assert!(server.state().clients[0].connected);
}

#[tokio::test]
async fn a_lost_buffer_ends_the_session() {
    let server = start(|settings| settings.replay_messages = 2).await;
    let mut client = Client::join(&server, USER, AES).await;
    server.drop_connections(Target::default()).unwrap();
    client.closed().await;
    server
        .wait_for("the end", PATIENCE, detached)
        .await
        .unwrap();
    for user in 60..63 {
        server.seat(CHANNEL, user);
    }
    let mut second = Client::connect(&server, "?v=8").await;
    second.resume(Some(2)).await;
    assert_eq!(second.closed().await, Some(4006));
    assert_eq!(kinds(&server), [Kind::Resume]);
}

#[tokio::test]
async fn nobody_waits_for_ever_for_a_client() {
    let server = start(|settings| settings.session_timeout_ms = 200).await;
    let mut client = Client::join(&server, USER, AES).await;
    server.drop_connections(Target::default()).unwrap();
    client.closed().await;
    let ended = |state: &State| state.clients[0].ended == Some(4009);
    let state = server.wait_for("the end", PATIENCE, ended).await.unwrap();
    assert!(state.calls.is_empty());
    let mut second = Client::connect(&server, "?v=8").await;
    second.resume(Some(2)).await;
    assert_eq!(second.closed().await, Some(4006));
    assert_eq!(kinds(&server), [], "a client cannot know");
}

#[tokio::test]
async fn resumes_can_be_refused() {
    let server = start(|_| {}).await;
    let mut client = Client::join(&server, USER, AES).await;
    server.change_faults(|faults| faults.refuse_resume_code = Some(4009));
    let mut second = Client::connect(&server, "?v=8").await;
    second.resume(Some(2)).await;
    assert_eq!(second.closed().await, Some(4009));
    client.send(3, json!({"t": 1, "seq_ack": 2})).await;
    client.op(6).await;
    server.revoke(GUILD, USER);
    assert_eq!(client.closed().await, Some(4014));
}
