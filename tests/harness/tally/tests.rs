//! A tally that overlooks something proves nothing.

use prost::Message as _;
use sim::{Emitted, EmittedSession, State};

use super::{Account, Batch, Event, Incoming, Tally};

const KIND: &str = "gateway.v1.Event";

fn event(sequence: u64, guild_id: u64) -> Event {
    Event {
        id: format!("s:{sequence}"),
        name: "MESSAGE_CREATE".to_owned(),
        sequence: Some(sequence),
        guild_id: Some(guild_id),
    }
}

fn record(tally: &mut Tally, sequence: u64) {
    record_as(tally, sequence, false);
}

fn record_as(tally: &mut Tally, sequence: u64, redelivered: bool) {
    let event = event(sequence, sequence % 2);
    let message = Incoming {
        kind: KIND,
        id: &event.id,
        sequence: Some(sequence),
        count: None,
        redelivered,
        body: &event.encode_to_vec(),
    };
    tally.record(message, 0);
}

/// The simulator's account of one session with so many events, of which so many were sent before it ended.
async fn account(tally: &Tally, last: u64, sent_of_ended: Option<u64>) -> Account {
    let emitted = Emitted {
        names: Vec::new(),
        sessions: vec![EmittedSession {
            session: "s".to_owned(),
            shard: [0, 1],
            from: 1,
            last,
            events: Vec::new(),
        }],
    };
    let mut state = empty_state().await;
    if let Some(sent) = sent_of_ended {
        let session = serde_json::json!({
            "id": "s", "shard": [0, 1], "intents": 0, "transport": "none", "seq": last, "sent": sent,
            "connected": false, "ended": "invalidated", "guilds_complete": true, "generated": 0,
            "connections": 1, "resumes": 0, "replayed": 0, "longest_gap_ms": 0,
            "buffered_events": 0, "buffered_bytes": 0,
        });
        state
            .sessions
            .push(serde_json::from_value(session).unwrap());
    }
    tally.account(&emitted, &state)
}

async fn empty_state() -> State {
    sim::Sim::start(sim::Config::default())
        .await
        .unwrap()
        .state()
}

#[tokio::test]
async fn what_is_missing_doubled_or_out_of_order_is_seen() {
    let mut tally = Tally::default();
    for sequence in [1, 2, 4, 3, 3, 6] {
        record(&mut tally, sequence);
    }
    let account = account(&tally, 6, None).await;
    assert_eq!(
        (account.emitted, account.received, account.lost()),
        (6, 5, 1)
    );
    assert_eq!(account.missing, ["s:5"]);
    assert_eq!(account.duplicates, 1);
    assert_eq!(
        (account.out_of_order, account.out_of_order_in_guild),
        (1, 0)
    );
    assert!(account.complaints.is_empty());
}

#[tokio::test]
async fn what_an_ended_session_never_sent_is_not_missing() {
    let mut tally = Tally::default();
    (1..=3).for_each(|sequence| record(&mut tally, sequence));
    assert_eq!(account(&tally, 9, Some(3)).await.lost(), 0);
    assert_eq!(account(&tally, 9, Some(4)).await.lost(), 1);
    assert_eq!(account(&tally, 9, None).await.lost(), 6);
}

#[tokio::test]
async fn what_the_broker_repeats_is_not_the_services_duplicate() {
    let mut tally = Tally::default();
    record_as(&mut tally, 1, false);
    record_as(&mut tally, 1, true);
    let once = account(&tally, 1, None).await;
    assert_eq!((once.duplicates, once.redelivered), (0, 1));
    record_as(&mut tally, 1, false);
    assert_eq!(account(&tally, 1, None).await.duplicates, 1);
}

#[tokio::test]
async fn batches_are_opened_and_their_properties_checked() {
    let mut tally = Tally::default();
    let events = [event(1, 5), event(2, 5), event(3, 6)];
    let body = Batch {
        events: events.iter().map(Event::encode_to_vec).collect(),
    }
    .encode_to_vec();
    let message = Incoming {
        kind: "gateway.v1.EventBatch",
        id: "s:1+2",
        sequence: Some(1),
        count: Some(3),
        redelivered: false,
        body: &body,
    };
    tally.record(message, 0);
    let whole = account(&tally, 3, None).await;
    assert_eq!((whole.received, whole.batches), (3, 1));
    assert!(whole.complaints.is_empty(), "{:?}", whole.complaints);
    tally.record(
        Incoming {
            id: "s:1+3",
            ..message
        },
        0,
    );
    assert_eq!(account(&tally, 3, None).await.complaints.len(), 1);
}

#[tokio::test]
async fn strange_messages_are_complained_about() {
    let mut tally = Tally::default();
    let good = event(1, 1);
    let body = good.encode_to_vec();
    let message = Incoming {
        kind: KIND,
        id: "s:1",
        sequence: Some(1),
        body: &body,
        ..Incoming::default()
    };
    for strange in [
        Incoming {
            kind: "other",
            ..message
        },
        Incoming {
            id: "s:2",
            ..message
        },
        Incoming {
            sequence: Some(2),
            ..message
        },
        Incoming {
            body: b"\xff",
            ..message
        },
    ] {
        tally.record(strange, 0);
    }
    let account = account(&tally, 0, None).await;
    // One more: the event came, but none was ever sent.
    assert_eq!(account.complaints.len(), 5, "{:?}", account.complaints);
}

#[tokio::test]
async fn an_event_under_two_ids_is_a_twin_and_marks_tell_the_time() {
    let mut tally = Tally::default();
    for sequence in [1, 2] {
        let event = event(sequence, 1);
        let mut body = event.encode_to_vec();
        // An unknown field with the text in it, as the members that the schema does not know travel.
        let text = br#"{"sim":{"n":7,"sent_at_us":1000}}"#;
        body.extend([0xfa, 0x7f, u8::try_from(text.len()).unwrap()]);
        body.extend_from_slice(text);
        let message = Incoming {
            kind: KIND,
            id: &event.id,
            sequence: Some(sequence),
            body: &body,
            ..Incoming::default()
        };
        tally.record(message, 1010);
    }
    assert_eq!(account(&tally, 2, None).await.twins, 1);
    let micros = tally.latency().quantile(1.0).unwrap().as_micros();
    assert!((10..=11).contains(&micros), "{micros}");
}
