//! What callers see of a shard that connects, answers, and goes away.

use super::*;
use serde_json::json;
use wire::gateway::v1::{RequestGuildMembersRequest, RequestSoundboardSoundsRequest};

const LIMIT: Duration = Duration::from_secs(10);

fn line() -> Arc<Line> {
    let line = Arc::new(Line::new(0, true));
    line.connected();
    let ready = json!({"guilds": [{"id": "1"}, {"id": "2", "unavailable": true}]});
    line.hear("READY", &ready.to_string(), || None);
    line
}

fn members(guild_id: u64) -> Question {
    let request = RequestGuildMembersRequest {
        guild_id,
        ..RequestGuildMembersRequest::default()
    };
    Question::members(&request, u64::MAX).unwrap()
}

fn sounds(guild_ids: &[u64]) -> Question {
    let guild_ids = guild_ids.to_vec();
    Question::sounds(&RequestSoundboardSoundsRequest { guild_ids }).unwrap()
}

fn voice(guild_id: u64) -> Payload {
    let json = json!({"op": 4, "d": {"guild_id": guild_id.to_string(), "channel_id": null}});
    super::super::payload::raw(json.to_string(), 0).unwrap()
}

fn until() -> Instant {
    Instant::now() + LIMIT
}

/// The nonce of a payload that asks for members.
fn nonce(payload: &str) -> String {
    let payload: serde_json::Value = serde_json::from_str(payload).unwrap();
    payload["d"]["nonce"].as_str().unwrap().to_owned()
}

fn chunk(line: &Line, nonce: &str, index: u32, count: u32) {
    let json = json!({
        "guild_id": "1", "nonce": nonce, "chunk_index": index, "chunk_count": count, "members": [],
    });
    let data = Bytes::from(format!("{index}"));
    line.hear("GUILD_MEMBERS_CHUNK", &json.to_string(), || Some(data));
}

#[tokio::test(start_paused = true)]
async fn a_payload_is_sent_when_the_connection_takes_it() {
    let line = line();
    let (sent, payload) = tokio::join!(line.send(voice(1), 0, until()), line.next());
    assert_eq!(sent, Ok(()));
    assert_eq!(payload, voice(1).json);
}

#[tokio::test(start_paused = true)]
async fn what_is_late_is_never_sent() {
    let line = line();
    let failure = line.send(voice(1), 0, until()).await.unwrap_err();
    assert_eq!(failure.code(), Code::DeadlineExceeded);
    assert!(time::timeout(LIMIT, line.next()).await.is_err());
    let mut tickets = line.ask(&members(1), 0).unwrap();
    let failure = tickets[0].next(until()).await.unwrap_err();
    assert_eq!(failure.code(), Code::DeadlineExceeded);
    drop(tickets);
    assert!(time::timeout(LIMIT, line.next()).await.is_err());
    assert!(line.ask(&members(1), 0).is_ok(), "it cost no pause");
}

#[tokio::test(start_paused = true)]
async fn a_guild_that_the_bot_is_not_in_is_refused() {
    let line = line();
    for (name, guild, known) in [
        ("GUILD_CREATE", json!({"id": "3"}), true),
        (
            "GUILD_DELETE",
            json!({"id": "3", "unavailable": true}),
            true,
        ),
        ("GUILD_DELETE", json!({"id": "3"}), false),
    ] {
        line.hear(name, &guild.to_string(), || None);
        let asked = line.ask(&sounds(&[3]), 0);
        assert_eq!(asked.is_ok(), known, "{name} {guild}");
        if let Err(failure) = asked {
            assert_eq!(failure.code(), Code::NotFound);
        }
    }
    let failure = line.send(voice(3), 0, until()).await.unwrap_err();
    assert_eq!(failure.code(), Code::NotFound);
    let untold = Arc::new(Line::new(0, false));
    untold.connected();
    untold.hear("READY", r#"{"guilds":[]}"#, || None);
    assert!(untold.ask(&sounds(&[3]), 0).is_ok(), "nobody tells");
}

#[tokio::test(start_paused = true)]
async fn a_resumed_session_goes_on_answering() {
    let line = line();
    let mut tickets = line.ask(&members(1), 0).unwrap();
    let nonce = nonce(&line.next().await);
    chunk(&line, &nonce, 0, 2);
    line.disconnected();
    assert!(line.ask(&sounds(&[1]), 0).is_err(), "it is not connected");
    line.connected();
    chunk(&line, &nonce, 0, 2);
    chunk(&line, &nonce, 1, 2);
    let (_, first_is_last) = tickets[0].next(until()).await.unwrap();
    let (_, second_is_last) = tickets[0].next(until()).await.unwrap();
    assert_eq!((first_is_last, second_is_last), (false, true));
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_refuses_what_was_not_sent() {
    let line = line();
    let mut tickets = line.ask(&members(1), 0).unwrap();
    let disconnecting = async {
        time::sleep(Duration::from_secs(1)).await;
        line.disconnected();
    };
    let began = Instant::now();
    let (sent, asked, ()) = tokio::join!(
        line.send(voice(1), 0, until()),
        tickets[0].next(until()),
        disconnecting
    );
    assert_eq!(sent.unwrap_err().code(), Code::Unavailable);
    assert_eq!(asked.unwrap_err().code(), Code::Unavailable);
    assert_eq!(began.elapsed(), Duration::from_secs(1), "at once");
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_ends_what_was_asked() {
    let line = line();
    let mut tickets = line.ask(&members(1), 0).unwrap();
    drop(line.next().await);
    line.session_lost();
    let failure = tickets[0].next(until()).await.unwrap_err();
    assert_eq!(failure.code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn one_payload_asks_for_all_that_nobody_has_asked_for() {
    let line = line();
    let first = line.ask(&sounds(&[1]), 0).unwrap();
    assert!(line.next().await.contains(r#"["1"]"#));
    let mut both = line.ask(&sounds(&[1, 2]), 0).unwrap();
    assert!(line.next().await.contains(r#"["2"]"#));
    drop(first);
    for guild_id in ["2", "1"] {
        let json = json!({"guild_id": guild_id}).to_string();
        line.hear("SOUNDBOARD_SOUNDS", &json, || Some(Bytes::from("data")));
    }
    for ticket in &mut both {
        assert!(ticket.next(until()).await.is_ok());
    }
    let third = line.ask(&sounds(&[1]), 0).unwrap();
    assert_eq!(third.len(), 1);
    assert!(
        line.next().await.contains(r#"["1"]"#),
        "it is asked for anew"
    );
}

#[tokio::test(start_paused = true)]
async fn voice_overtakes_questions() {
    let line = line();
    let _tickets = line.ask(&sounds(&[1]), 9).unwrap();
    let (sent, first) = tokio::join!(line.send(voice(1), 0, until()), async {
        time::sleep(Duration::from_millis(1)).await;
        line.next().await
    });
    assert_eq!(sent, Ok(()));
    assert_eq!(first, voice(1).json);
    assert!(line.next().await.contains("guild_ids"));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_says_when_to_try_again() {
    let line = line();
    let sending = (0..super::super::outbox::WAITING + 1).map(|_| line.send(voice(1), 0, until()));
    let results = futures_util::future::join_all(sending).await;
    let full: Vec<_> = results
        .into_iter()
        .filter_map(Result::err)
        .filter(|failure| failure.code() == Code::ResourceExhausted)
        .collect();
    assert_eq!(full.len(), 1);
    assert!(full[0].retry_after.is_some());
}
