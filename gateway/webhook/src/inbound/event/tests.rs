//! Bodies of Discord's, and others.

use boot::Traces;
use broker::Value;
use prost::Message as _;
use serde_json::json;
use transcode::{Lane, Lanes, Scratch, Transcoder};
use wire::gateway::v1::{Event as Published, Source, event::Data};

use super::{Event, Notice, Odd};

fn read(body: &str) -> Result<Notice<'_>, Odd> {
    Notice::read(7, body.as_bytes())
}

fn event(body: &str) -> Event<'_> {
    match read(body) {
        Ok(Notice::Event(event)) => event,
        other => panic!("{other:?}"),
    }
}

fn body(name: &str, data: &serde_json::Value) -> String {
    let event = json!({"type": name, "timestamp": "2026-11-21T10:00:00.000001", "data": data});
    json!({"version": 1, "application_id": "7", "type": 1, "event": event}).to_string()
}

#[test]
fn a_ping_is_one_and_an_event_has_a_name() {
    let ping = r#"{"version":1,"application_id":"7","type":0}"#;
    assert!(matches!(read(ping), Ok(Notice::Ping)));
    let body = body("ENTITLEMENT_CREATE", &json!({"id": "5"}));
    assert_eq!(event(&body).name, "ENTITLEMENT_CREATE");
}

#[test]
fn what_is_neither_is_told_apart() {
    for odd in [
        "",
        "null",
        "[]",
        "{",
        r#"{"type":2}"#,
        r#"{"type":1}"#,
        r#"{"type":"1","event":{"type":"A"}}"#,
        r#"{"type":1,"event":{}}"#,
        r#"{"type":1,"event":{"type":""}}"#,
        r#"{"type":1,"event":{"type":5}}"#,
        r#"{"type":1,"event":[]}"#,
    ] {
        assert_eq!(read(odd).unwrap_err(), Odd::Shape, "{odd}");
    }
    let long = format!(r#"{{"type":1,"event":{{"type":"{}"}}}}"#, "A".repeat(101));
    assert_eq!(read(&long).unwrap_err(), Odd::Shape);
    let other = r#"{"application_id":"8","type":0}"#;
    assert_eq!(read(other).unwrap_err(), Odd::Application);
}

#[test]
fn the_same_event_has_the_same_id_and_another_one_another() {
    let one = body("A", &json!({"x": 1, "y": [1, 2]}));
    let same = r#" {"type":1, "event": {"data": {"y": [1,2], "x":1}, "type":"A",
        "timestamp":"2026-11-21T10:00:00.000001"}}"#;
    assert_eq!(event(&one).id, event(same).id);
    for other in [
        body("B", &json!({"x": 1, "y": [1, 2]})),
        body("A", &json!({"x": 2, "y": [1, 2]})),
        body("A", &json!({"x": 1, "y": [2, 1]})),
        one.replace("000001", "000002"),
    ] {
        assert_ne!(event(&one).id, event(&other).id, "{other}");
    }
    let Ok(Notice::Event(foreign)) = Notice::read(8, same.as_bytes()) else {
        panic!("it is an event")
    };
    assert_ne!(event(&one).id, foreign.id);
}

#[test]
fn an_event_becomes_a_message_by_its_type() {
    let (transcoder, mut scratch) = (Transcoder::new(), Scratch::default());
    let body = body("ENTITLEMENT_CREATE", &json!({"id": "5", "user_id": "6"}));
    let event = event(&body);
    let (message, lane) =
        event.message(Lanes::Typed, &transcoder, &mut scratch, &Traces::default());
    assert_eq!(lane, Lane::Typed);
    assert_eq!(message.routing_key, "7.ENTITLEMENT_CREATE.-.-");
    let moment = Value::Text("2026-11-21T10:00:00.000001".to_owned());
    assert!(message.headers.contains(&("occurred_at", moment)));
    let published = Published::decode(message.body).unwrap();
    assert_eq!(published.source(), Source::Webhook);
    assert_eq!((published.id, published.shard), (message.message_id, None));
    assert!(matches!(published.data, Some(Data::EntitlementCreate(it)) if it.id() == 5));
}

#[test]
fn an_event_that_nobody_knows_travels_as_it_came() {
    let (transcoder, mut scratch) = (Transcoder::new(), Scratch::default());
    let body = body("NEVER.HEARD", &json!({"a": [1]}));
    let event = event(&body);
    let (message, lane) =
        event.message(Lanes::Typed, &transcoder, &mut scratch, &Traces::default());
    assert_eq!(lane, Lane::Unknown);
    assert_eq!(message.routing_key, "7.NEVER_HEARD.-.-");
    let published = Published::decode(message.body).unwrap();
    assert_eq!((&*published.json, published.data), (r#"{"a":[1]}"#, None));
}
