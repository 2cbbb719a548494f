//! A shard of either set from the beginning of a change to its end.

use super::{BACKFILL, Part, ROOM, Verdict};
use crate::{
    reshard::{Tails, Turn},
    switch::{Fingerprint, LATE},
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use store::{Phase, Plan, Shard};
use tokio::time::Instant;

const OLD: Shard = Shard { count: 1, id: 0 };
const NEW: Shard = Shard { count: 2, id: 1 };
const READY: &str = r#"{"guilds":[{"id":"1","unavailable":true},{"id":"3","unavailable":true}]}"#;

fn turn(phase: Phase, as_of: Instant, tail: Option<Vec<u8>>) -> Turn {
    let tails: Tails = tail
        .into_iter()
        .map(|tail| (0, Bytes::from(tail)))
        .collect();
    let (current, next) = match phase {
        Phase::Steady => (2, None),
        Phase::Switching | Phase::Warming => (1, Some(2)),
    };
    Turn {
        plan: Plan {
            current,
            next,
            phase,
            revision: 1,
        },
        as_of: Some(as_of),
        tails: Arc::new(tails),
    }
}

/// A shard that stands by, with a session that has told its guilds.
fn standby(now: Instant) -> Part<u32> {
    let mut part = Part::Live;
    assert!(
        part.follow(&turn(Phase::Warming, now, None), NEW, now)
            .is_none()
    );
    part.identified(now, READY, false);
    assert!(part.is_ready(now));
    part
}

/// Gives an event to a shard, and holds it back if it says so.
fn give(part: &mut Part<u32>, now: Instant, sequence: u32) -> Verdict {
    let data = format!("{{\"n\":{sequence}}}");
    let verdict = part.judge(now, "MESSAGE_CREATE", true, || &data);
    if let Verdict::Hold(event) = verdict {
        part.hold(
            (now, Some(now)),
            event,
            data.len(),
            (sequence.into(), sequence),
        );
    }
    verdict
}

/// Lets a shard of the old set publish these events, and returns its tail.
fn published(now: Instant, events: &[u32]) -> Vec<u8> {
    let mut part = Part::<u32>::Live;
    part.follow(&turn(Phase::Warming, now, None), OLD, now);
    for event in events {
        let Verdict::Publish(Some(known)) = give(&mut part, now, *event) else {
            panic!("it publishes and remembers");
        };
        part.published((now, Some(now)), known, (*event).into());
    }
    part.tail()
}

#[test]
fn what_one_set_did_not_publish_the_next_one_does() {
    let now = Instant::now();
    let mut part = standby(now);
    for event in [7, 8, 9] {
        assert!(matches!(give(&mut part, now, event), Verdict::Hold(_)));
    }
    assert_eq!(part.floor(Some(now)), Some(6), "all of it is needed again");
    assert!(
        part.follow(&turn(Phase::Switching, now, None), NEW, now)
            .is_none()
    );
    assert!(
        matches!(give(&mut part, now, 10), Verdict::Hold(_)),
        "not its turn yet"
    );
    let tail = published(now, &[7, 8, 11]);
    let released = part
        .follow(&turn(Phase::Switching, now, Some(tail)), NEW, now)
        .unwrap();
    assert_eq!(released.events, [(9, 9), (10, 10)]);
    assert_eq!(released.suppressed, 2);
    assert_eq!(give(&mut part, now, 11), Verdict::Skip, "it comes late");
    assert_eq!(give(&mut part, now, 12), Verdict::Publish(None));
    give(&mut part, now + LATE, 13);
    assert!(part.is_plain());
}

#[test]
fn the_guilds_of_a_new_session_are_nobodys_news() {
    let now = Instant::now();
    let mut part = Part::<u32>::Live;
    part.follow(&turn(Phase::Warming, now, None), NEW, now);
    assert_eq!(part.judge(now, "READY", true, || READY), Verdict::Skip);
    part.identified(now, READY, true);
    assert!(!part.is_ready(now));
    let told = |part: &mut Part<u32>, name: &str, id: u32| {
        let data = format!("{{\"id\":\"{id}\"}}");
        part.judge(now, name, true, || &data)
    };
    assert_eq!(told(&mut part, "GUILD_CREATE", 1), Verdict::Skip);
    let joined = told(&mut part, "GUILD_CREATE", 5);
    assert!(
        matches!(joined, Verdict::Hold(_)),
        "the bot came to it just now"
    );
    let left = told(&mut part, "GUILD_DELETE", 1);
    assert!(matches!(left, Verdict::Hold(_)), "it was told already");
    assert!(!part.is_ready(now));
    assert!(part.is_ready(now + BACKFILL), "it cannot wait for ever");
    assert_eq!(told(&mut part, "GUILD_DELETE", 3), Verdict::Skip);
    assert!(part.is_ready(now));
}

#[test]
fn a_shard_that_is_taken_over_in_the_middle_asks_the_tails_too() {
    let now = Instant::now();
    let mut part = Part::<u32>::Live;
    let tail = published(now, &[1, 2]);
    let released = part
        .follow(&turn(Phase::Switching, now, Some(tail)), NEW, now)
        .unwrap();
    assert!(released.events.is_empty());
    let later = now + LATE - Duration::from_secs(1);
    part.resumed(later);
    let later = later + Duration::from_secs(20);
    assert_eq!(give(&mut part, later, 2), Verdict::Skip);
    assert_eq!(give(&mut part, later, 3), Verdict::Publish(None));
}

#[test]
fn what_a_dead_owner_had_passed_strikes_nothing_any_more() {
    let now = Instant::now();
    let mut part = Part::<u32>::Live;
    // The first of them the dead owner held back and forgot, so it does not come again.
    let tail = published(now, &[1, 2, 3]);
    part.follow(&turn(Phase::Switching, now, Some(tail)), NEW, now);
    assert_eq!(give(&mut part, now, 2), Verdict::Skip);
    part.resumed(now);
    let equal = give(&mut part, now, 1);
    assert_eq!(equal, Verdict::Publish(None), "another one, like the first");
    assert_eq!(give(&mut part, now, 3), Verdict::Skip, "still on its way");
}

#[test]
fn what_nobody_wants_is_neither_held_back_nor_remembered_nor_even_read() {
    let now = Instant::now();
    let tail = published(now, &[1]);
    let mut outgoing = Part::<u32>::Live;
    outgoing.follow(&turn(Phase::Warming, now, None), OLD, now);
    let mut late = Part::<u32>::Live;
    late.follow(&turn(Phase::Switching, now, Some(tail)), NEW, now);
    for mut part in [Part::Live, standby(now), outgoing, late] {
        let unread = || -> &str { panic!("nobody needs its data") };
        let verdict = part.judge(now, "TYPING_START", false, unread);
        assert_eq!(verdict, Verdict::Filter);
    }
}

#[test]
fn the_guilds_of_a_session_are_told_even_if_nobody_wants_to_know() {
    let now = Instant::now();
    let mut part = Part::<u32>::Live;
    part.follow(&turn(Phase::Warming, now, None), NEW, now);
    part.identified(now, READY, true);
    for guild in [r#"{"id":"1"}"#, r#"{"id":"3"}"#] {
        assert!(!part.is_ready(now));
        let verdict = part.judge(now, "GUILD_CREATE", false, || guild);
        assert_eq!(verdict, Verdict::Filter);
    }
    assert!(part.is_ready(now));
}

#[test]
fn a_shard_that_holds_no_more_has_room_when_its_turn_has_come() {
    let now = Instant::now();
    let mut part = standby(now);
    let mut turn = turn(Phase::Switching, now, None);
    let mut sequence = 0_u32;
    loop {
        sequence += 1;
        let event = Fingerprint::of("MESSAGE_CREATE", &sequence.to_le_bytes());
        let has_room = part.hold(
            (now, Some(now)),
            event,
            ROOM / 10,
            (sequence.into(), sequence),
        );
        if !has_room {
            break;
        }
    }
    // However long that takes: what is not known to be published is kept.
    let later = now + LATE * 10;
    assert!(part.follow(&turn, NEW, later).is_none());
    assert!(part.is_full());
    turn.tails = Arc::new(Tails::from([(0, Bytes::new())]));
    let released = part.follow(&turn, NEW, later).unwrap();
    assert_eq!(released.events.len(), sequence as usize);
    assert!(!part.is_full());
}

#[test]
fn a_shard_that_missed_the_switch_rather_publishes_twice() {
    let now = Instant::now();
    let mut part = standby(now);
    give(&mut part, now, 1);
    let released = part
        .follow(&turn(Phase::Steady, now, None), NEW, now)
        .unwrap();
    assert_eq!(released.events, [(1, 1)]);
    assert!(part.is_plain());
}

#[test]
fn a_change_that_is_given_up_leaves_nothing() {
    let now = Instant::now();
    let mut part = Part::<u32>::Live;
    part.follow(&turn(Phase::Warming, now, None), OLD, now);
    let Verdict::Publish(Some(event)) = give(&mut part, now, 9) else {
        panic!("it publishes and remembers");
    };
    part.published((now, Some(now)), event, 9);
    assert_eq!(
        part.floor(Some(now)),
        Some(8),
        "who takes it over needs the whole tail"
    );
    let mut steady = turn(Phase::Steady, now, None);
    steady.plan.current = 1;
    part.follow(&steady, OLD, now);
    assert!(part.is_plain());
    assert_eq!(part.floor(Some(now)), None);
}
