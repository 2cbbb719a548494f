//! What Discord takes, and what it would close the connection for.

use super::*;
use wire::discord::v1::{Activity, ActivityType};

fn schema() -> Schema {
    Schema::new(wire::descriptors())
}

fn data(payload: &Payload) -> Value {
    let payload: Value = serde_json::from_str(&payload.json).unwrap();
    payload["d"].clone()
}

#[test]
fn only_payloads_that_discord_would_take_from_a_worker_pass() {
    let good = r#"{"op":4,"d":{"guild_id":"1","channel_id":null}}"#;
    let payload = raw(good.to_owned(), 0).unwrap();
    assert_eq!(payload.json, good);
    assert_eq!((payload.class, payload.guild_ids), (Class::Voice, vec![1]));
    let long = format!(r#"{{"op":3,"d":{{"x":"{}"}}}}"#, "x".repeat(LONGEST));
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"op":4}"#,
        r#"{"op":2,"d":{}}"#,
        r#"{"op":"4","d":{}}"#,
        r#"{"op":4,"d":1}"#,
        r#"{"op":2,"op":4,"d":{}}"#,
        &long,
    ] {
        let failure = raw(bad.to_owned(), u64::MAX).unwrap_err();
        assert_eq!(failure.code(), Code::InvalidArgument, "{bad}");
    }
}

#[test]
fn a_presence_has_all_that_discord_wants() {
    let payload = presence(&schema(), &UpdatePresence::default()).unwrap();
    let usual = json!({"since": null, "activities": [], "status": "online", "afk": false});
    assert_eq!(data(&payload), usual);
    let busy = UpdatePresence {
        status: Some("dnd".to_owned()),
        activities: vec![Activity {
            name: Some("chess".to_owned()),
            r#type: Some(ActivityType::Playing.into()),
            unknown_json: r#"{"tomorrow":1}"#.to_owned(),
            ..Activity::default()
        }],
        ..UpdatePresence::default()
    };
    let payload = data(&presence(&schema(), &busy).unwrap());
    let chess = json!([{"name": "chess", "type": 0, "tomorrow": 1}]);
    assert_eq!(payload["activities"], chess);
    assert_eq!(payload["status"], "dnd");
}

#[test]
fn a_presence_that_would_end_the_connection_is_refused() {
    let of = |status: &str, activity: Activity, kept: &str| UpdatePresence {
        status: Some(status.to_owned()),
        activities: vec![activity],
        unknown_json: kept.to_owned(),
        ..UpdatePresence::default()
    };
    let chess = Activity {
        name: Some("chess".to_owned()),
        r#type: Some(0),
        ..Activity::default()
    };
    let long = Activity {
        state: Some("x".repeat(LONGEST)),
        ..chess.clone()
    };
    for (bad, words) in [
        (of("busy", chess.clone(), ""), "the status is \"busy\""),
        (of("online", Activity::default(), ""), "activities[0]"),
        (of("online", chess.clone(), "{"), "unknown_json"),
        (of("online", chess, r#"{"status":1}"#), "the status is 1"),
        (of("online", long, ""), "bytes; Discord takes 4096"),
    ] {
        let failure = presence(&schema(), &bad).unwrap_err();
        assert_eq!(failure.code(), Code::InvalidArgument);
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}

#[test]
fn without_a_channel_the_bot_leaves() {
    let mut request = UpdateVoiceStateRequest {
        guild_id: 7,
        channel_id: Some(8),
        self_mute: true,
        self_deaf: false,
    };
    let joined = json!({"guild_id": "7", "channel_id": "8", "self_mute": true, "self_deaf": false});
    assert_eq!(data(&voice_state(&request).unwrap()), joined);
    request.channel_id = None;
    let left = data(&voice_state(&request).unwrap());
    assert_eq!(left["channel_id"], Value::Null);
}

#[test]
fn a_workers_own_question_is_known_for_what_it_is() {
    let of = |payload: &str, intents| raw(payload.to_owned(), intents);
    let all = r#"{"op":8,"d":{"guild_id":["7"],"query":"","limit":0}}"#;
    assert_eq!(of(all, u64::MAX).unwrap().all_members_of, Some(7));
    assert_eq!(of(all, 0).unwrap_err().code(), Code::PermissionDenied);
    let some = r#"{"op":8,"d":{"guild_id":7,"query":"a","limit":0}}"#;
    let some = of(some, 0).unwrap();
    assert_eq!((some.all_members_of, some.guild_ids), (None, vec![7]));
    let sounds = r#"{"op":31,"d":{"guild_ids":["7","8"]}}"#;
    assert_eq!(of(sounds, 0).unwrap().guild_ids, [7, 8]);
}
