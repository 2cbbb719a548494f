//! Merging, completion and pauses, in a time that does not pass by itself.

use super::*;

fn all(guild_id: u64, payload: &str) -> Topic {
    Topic::Members {
        guild_id,
        all: true,
        payload: payload.to_owned(),
    }
}

fn some(guild_id: u64, payload: &str) -> Topic {
    Topic::Members {
        guild_id,
        all: false,
        payload: payload.to_owned(),
    }
}

fn flights() -> Flights {
    Flights::new("abc-".to_owned())
}

fn chunk(nonce: &str, index: u32, count: u32) -> Heard {
    Heard::Chunk {
        guild_id: 1,
        nonce: nonce.to_owned(),
        index,
        count,
        body: format!("{index}").into(),
    }
}

/// Joins a flight that is sent at once.
fn ask(flights: &mut Flights, topic: Topic, now: Instant) -> u64 {
    let joined = flights.join(topic, now).unwrap();
    if joined.is_new {
        flights.sent(joined.id, now);
    }
    joined.id
}

#[tokio::test(start_paused = true)]
async fn chunks_are_complete_when_each_was_seen_and_count_once() {
    let (mut flights, now) = (flights(), Instant::now());
    let id = ask(&mut flights, some(1, "a"), now);
    let nonce = flights.nonce(id);
    assert!(nonce.len() <= 32);
    assert!(flights.hear(chunk(&nonce, 0, 3), now));
    assert!(!flights.hear(chunk(&nonce, 0, 3), now), "after a RESUME");
    assert!(flights.hear(chunk(&nonce, 2, 3), now));
    assert_eq!(flights.read(id, 1), Read::Part("2".into(), false));
    assert_eq!(flights.read(id, 2), Read::Wait);
    assert!(flights.hear(chunk(&nonce, 1, 3), now));
    assert_eq!(flights.read(id, 2), Read::Part("1".into(), true));
    assert!(!flights.hear(chunk(&nonce, 3, 3), now), "it has ended");
    flights.leave(id);
    assert!(flights.is_empty() && flights.topics.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_the_same_joins_and_reads_all_of_it() {
    let (mut flights, now) = (flights(), Instant::now());
    let first = ask(&mut flights, all(1, "a"), now);
    let nonce = flights.nonce(first);
    flights.hear(chunk(&nonce, 0, 2), now);
    let second = flights.join(all(1, "a"), now).unwrap();
    assert_eq!((second.id, second.is_new), (first, false));
    assert_eq!(flights.read(second.id, 0), Read::Part("0".into(), false));
    flights.leave(first);
    flights.hear(chunk(&nonce, 1, 2), now);
    assert_eq!(flights.read(second.id, 1), Read::Part("1".into(), true));
    let other = flights.join(some(1, "b"), now).unwrap();
    assert!(other.is_new, "another query is another request");
    flights.leave(second.id);
    flights.leave(other.id);
    assert!(flights.is_empty() && flights.topics.is_empty());
}

#[tokio::test(start_paused = true)]
async fn nobody_joins_what_has_dropped_its_first_parts() {
    let (mut flights, now) = (flights(), Instant::now());
    let id = ask(&mut flights, some(1, "a"), now);
    let nonce = flights.nonce(id);
    for index in 0..3 {
        let large = Heard::Chunk {
            guild_id: 1,
            nonce: nonce.clone(),
            index,
            count: 9,
            body: vec![0; 2_000_000].into(),
        };
        flights.hear(large, now);
    }
    assert_eq!(flights.read(id, 0), Read::Missed);
    let next = flights.join(some(1, "a"), now).unwrap();
    assert!(next.is_new && next.id != id);
}

#[tokio::test(start_paused = true)]
async fn all_members_of_a_guild_are_asked_for_once_in_thirty_seconds() {
    let (mut flights, now) = (flights(), Instant::now());
    let id = ask(&mut flights, all(1, "a"), now);
    let nonce = flights.nonce(id);
    flights.hear(chunk(&nonce, 0, 1), now);
    flights.leave(id);
    let soon = now + Duration::from_secs(10);
    let refused = flights.join(all(1, "a"), soon).unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.retry_after.unwrap().seconds, 20);
    assert!(flights.join(all(2, "a"), soon).is_ok(), "another guild");
    assert!(flights.join(some(1, "a"), soon).is_ok(), "not all members");
    assert!(flights.join(all(1, "a"), now + PAUSE).is_ok());
    let raw = flights.pause(1, now + PAUSE).unwrap_err();
    assert_eq!(raw.code(), Code::ResourceExhausted);
}

#[tokio::test(start_paused = true)]
async fn what_was_never_sent_costs_no_pause() {
    let (mut flights, now) = (flights(), Instant::now());
    let given_up = flights.join(all(1, "a"), now).unwrap();
    flights.leave(given_up.id);
    let unsent = flights.join(all(1, "a"), now).unwrap();
    flights.fail(unsent.id, session_lost(3));
    assert_eq!(
        flights.read(unsent.id, 0),
        Read::Failed(session_lost(3)),
        "who waits is told"
    );
    assert!(flights.join(all(1, "a"), now).unwrap().is_new);
}

#[tokio::test(start_paused = true)]
async fn discords_refusal_reaches_the_one_who_asked() {
    for with_nonce in [true, false] {
        let (mut flights, now) = (flights(), Instant::now());
        let id = ask(&mut flights, all(1, "a"), now);
        let other = ask(&mut flights, some(1, "b"), now);
        let limited = Heard::Limited {
            guild_id: 1,
            nonce: with_nonce.then(|| flights.nonce(id)),
            retry_after: Duration::from_secs(70),
        };
        assert!(flights.hear(limited, now));
        let Read::Failed(failure) = flights.read(id, 0) else {
            panic!("it has failed");
        };
        assert_eq!(failure.retry_after.unwrap().seconds, 70);
        assert_eq!(flights.read(other, 0), Read::Wait);
        let later = now + Duration::from_secs(60);
        assert!(flights.join(all(1, "a"), later).is_err(), "Discord said so");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_is_nobodys() {
    let (mut flights, now) = (flights(), Instant::now());
    let id = ask(&mut flights, some(1, "a"), now);
    for nonce in ["", "abc-", "abc-zz", "abc-7", "xyz-1"] {
        assert!(!flights.hear(chunk(nonce, 0, 1), now), "{nonce}");
    }
    let other_guild = Heard::Chunk {
        guild_id: 2,
        nonce: flights.nonce(id),
        index: 0,
        count: 1,
        body: Bytes::new(),
    };
    assert!(!flights.hear(other_guild, now));
    let sounds = Heard::Sounds {
        guild_id: 1,
        body: Bytes::new(),
    };
    assert!(!flights.hear(sounds, now));
    assert_eq!(flights.read(id, 0), Read::Wait);
}

#[tokio::test(start_paused = true)]
async fn sounds_and_channel_info_come_in_one_piece() {
    let (mut flights, now) = (flights(), Instant::now());
    let sounds = ask(&mut flights, Topic::Sounds(1), now);
    let info = ask(&mut flights, Topic::ChannelInfo(1), now);
    let heard = Heard::Sounds {
        guild_id: 1,
        body: "sounds".into(),
    };
    assert!(flights.hear(heard, now));
    let heard = Heard::ChannelInfo {
        guild_id: 1,
        body: "info".into(),
    };
    assert!(flights.hear(heard, now));
    assert_eq!(flights.read(sounds, 0), Read::Part("sounds".into(), true));
    assert_eq!(flights.read(info, 0), Read::Part("info".into(), true));
    let next = flights.join(Topic::Sounds(1), now).unwrap();
    assert!(next.is_new, "what has ended is asked for again");
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_ends_what_was_asked() {
    let (mut flights, now) = (flights(), Instant::now());
    let sounds = ask(&mut flights, Topic::Sounds(1), now);
    let members = ask(&mut flights, all(1, "a"), now);
    flights.fail_all(&session_lost(0));
    for id in [sounds, members] {
        assert_eq!(flights.read(id, 0), Read::Failed(session_lost(0)));
    }
    let again = flights.join(all(1, "a"), now).unwrap_err();
    assert_eq!(again.code(), Code::ResourceExhausted, "Discord remembers");
}

#[tokio::test(start_paused = true)]
async fn only_so_many_wait_at_once() {
    let (mut flights, now) = (flights(), Instant::now());
    for guild_id in 0..AT_ONCE.0 as u64 {
        flights.join(some(guild_id, "a"), now).unwrap();
    }
    let refused = flights.join(some(1_000, "a"), now).unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let mut sounds = 0;
    while flights.join(Topic::Sounds(sounds), now).is_ok() {
        sounds += 1;
    }
    assert_eq!(flights.open.len(), AT_ONCE.1);
}
