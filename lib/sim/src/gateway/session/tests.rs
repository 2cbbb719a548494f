//! Numbering, replay and overflow of one session.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Limits, Link, Refusal, Session, Taken};

fn session(events: usize) -> Session {
    Session::new(
        1,
        Limits {
            queue: 4,
            events,
            bytes: 1 << 20,
            names: 100,
        },
    )
}

fn push(session: &mut Session, count: u64) {
    for _ in 0..count {
        assert!(session.push("E", 7, b"{}"));
    }
}

fn take(session: &mut Session, connection: u64) -> Vec<Bytes> {
    let mut out = Vec::new();
    while session.take(connection, 3, 1 << 20, &mut out) == Taken::Some {}
    out
}

#[test]
fn events_are_numbered_and_taken_once() {
    let mut session = session(10);
    push(&mut session, 5);
    let events = take(&mut session, 1);
    assert_eq!(events.len(), 5);
    assert_eq!(events[4], r#"{"t":"E","s":5,"op":0,"d":{}}"#);
    assert_eq!(take(&mut session, 1).len(), 0);
    assert_eq!(session.names(4), [7, 7]);
}

#[test]
fn a_resume_replays_exactly_what_is_missing() {
    let mut session = session(10);
    push(&mut session, 3);
    take(&mut session, 1);
    session.detach(1, Instant::now());
    push(&mut session, 2);
    assert_eq!(session.resume(2, 2), Ok(None));
    let replayed = take(&mut session, 2);
    assert_eq!(replayed.len(), 3);
    assert!(replayed[0].starts_with(br#"{"t":"E","s":3,"#));
    assert_eq!(session.take(1, 1, 1, &mut Vec::new()), Taken::Gone);
    assert_eq!(session.resume(3, 5), Ok(Some(2)));
}

#[test]
fn resumes_beyond_what_is_known_or_kept_are_refused() {
    let mut session = session(4);
    push(&mut session, 3);
    take(&mut session, 1);
    session.detach(1, Instant::now());
    push(&mut session, 5);
    assert_eq!(session.resume(2, 9), Err(Refusal::Ahead));
    assert_eq!(session.resume(2, 3), Err(Refusal::Lost));
    assert_eq!(session.resume(2, 4), Ok(None));
}

#[test]
fn what_was_not_sent_is_never_dropped_from_a_living_connection() {
    let mut session = session(4);
    push(&mut session, 5);
    assert_eq!(
        session.take(1, 9, 9, &mut Vec::new()),
        Taken::Ended { reason: "overflow" }
    );
    assert_eq!(session.resume(2, 0), Err(Refusal::Ended));
}

#[test]
fn room_depends_on_who_listens() {
    let mut session = session(20);
    push(&mut session, 4);
    assert!(!session.has_room(true));
    take(&mut session, 1);
    assert!(session.has_room(true));
    session.detach(1, Instant::now());
    push(&mut session, 10);
    assert!(session.has_room(true));
    assert!(!session.has_room(false));
}

#[test]
fn sessions_expire_without_a_connection() {
    let mut session = session(4);
    let start = Instant::now();
    session.expire(start + Duration::from_secs(99), Duration::from_secs(9));
    assert_eq!(session.link(), Link::Attached { connection: 1 });
    session.detach(1, start);
    session.expire(start + Duration::from_secs(8), Duration::from_secs(9));
    assert!(matches!(session.link(), Link::Detached { .. }));
    session.expire(start + Duration::from_secs(9), Duration::from_secs(9));
    assert_eq!(session.link(), Link::Ended { reason: "timeout" });
    assert!(!session.push("E", 7, b"{}"));
}

#[test]
fn a_gap_lasts_until_resumed_is_written() {
    let second = Duration::from_secs(1);
    let start = Instant::now();
    let mut session = session(10);
    session.detach(1, start);
    session.resume(2, 0).unwrap();
    push(&mut session, 1);
    // The second connection ends before RESUMED was written.
    session.detach(2, start + second);
    session.resume(3, 0).unwrap();
    push(&mut session, 1);
    session.written(start + 2 * second);
    assert_eq!(session.tally.longest_gap, Duration::ZERO);
    take(&mut session, 3);
    session.written(start + 3 * second);
    session.written(start + 9 * second);
    assert_eq!(session.tally.longest_gap, 3 * second);
}
