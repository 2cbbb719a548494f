//! Two sets of shards over one stream of events, and the switch at any place.

use super::{Fingerprint, HOLD, Hold, LAG, Struck, TAIL, Tail};
use proptest::prelude::*;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// An event of a property test: when it happened, in milliseconds, and what Discord says of it.
type Happened = (u64, u32);

fn fingerprint(what: u32) -> Fingerprint {
    Fingerprint::of("VOICE_STATE_UPDATE", &what.to_le_bytes())
}

fn after(start: Instant, millis: u64) -> Instant {
    start + Duration::from_millis(millis)
}

/// When a session gets each event: later by its own lag, and never out of order.
fn arrivals(events: &[Happened], lags: &[u64]) -> Vec<u64> {
    let mut last = 0;
    let lags = lags.iter().cycle();
    let each = events.iter().zip(lags).map(|((at, _), lag)| {
        last = last.max(at + lag);
        last
    });
    each.collect()
}

/// How often each content is published by both sets together: by the old one until `cut`, by the
/// new one from then on.
fn published(events: &[Happened], old: &[u64], new: &[u64], cut: u64) -> BTreeMap<u32, usize> {
    let start = Instant::now();
    let as_of = |now: u64| Some(after(start, now.min(cut)));
    let mut tail = Tail::default();
    let mut all = Vec::new();
    for (index, at) in old.iter().enumerate().filter(|(_, at)| **at <= cut) {
        let event = fingerprint(events[index].1);
        tail.note(after(start, *at), as_of(*at), 1, event);
        all.push(events[index].1);
    }
    tail.prune(as_of(cut));
    let mut hold = Hold::new(usize::MAX);
    let before = new.iter().take_while(|at| **at <= cut).count();
    for (index, at) in new.iter().enumerate().take(before) {
        let what = events[index].1;
        hold.push(after(start, *at), fingerprint(what), 1, (1, what));
        hold.prune(as_of(*at));
    }
    let mut struck = Struck::default();
    struck.take(0, &tail.encode()).unwrap();
    let released = hold.release(as_of(cut), &mut struck).0;
    all.extend(released.into_iter().map(|(_, what)| what));
    let late = events[before..].iter().map(|(_, what)| *what);
    all.extend(late.filter(|what| !struck.strike(fingerprint(*what))));
    counted(all)
}

fn counted(contents: impl IntoIterator<Item = u32>) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for what in contents {
        *counts.entry(what).or_default() += 1;
    }
    counts
}

fn lags() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(0..4_000_u64, 1..20)
}

fn times(gaps: &[(u64, u32)]) -> Vec<Happened> {
    let mut now = 0;
    let each = gaps.iter().map(|(gap, what)| {
        now += gap;
        (now, *what)
    });
    each.collect()
}

proptest! {
    #[test]
    fn every_event_is_published_once_wherever_the_switch_comes(
        gaps in prop::collection::vec(0..800_u64, 1..200),
        old in lags(),
        new in lags(),
        cut in 0..90_000_u64,
    ) {
        let gaps: Vec<_> = gaps.into_iter().zip(0..).collect();
        let events = times(&gaps);
        let (old, new) = (arrivals(&events, &old), arrivals(&events, &new));
        let all = published(&events, &old, &new, cut);
        prop_assert_eq!(all, counted(events.iter().map(|(_, what)| *what)));
    }

    #[test]
    fn no_event_is_lost_when_many_are_equal(
        gaps in prop::collection::vec((0..800_u64, 0..4_u32), 1..200),
        old in lags(),
        new in lags(),
        cut in 0..90_000_u64,
    ) {
        let events = times(&gaps);
        let (old, new) = (arrivals(&events, &old), arrivals(&events, &new));
        let all = published(&events, &old, &new, cut);
        for (what, count) in counted(events.iter().map(|(_, what)| *what)) {
            prop_assert!(all.get(&what).is_some_and(|published| *published >= count));
        }
    }
}

#[test]
fn a_fingerprint_is_the_same_in_every_build() {
    let event = Fingerprint::of("MESSAGE_CREATE", br#"{"id":"1"}"#);
    assert_eq!(event.0, 18_053_828_122_753_669_004);
    assert_ne!(event, Fingerprint::of("MESSAGE_UPDATE", br#"{"id":"1"}"#));
}

#[test]
fn a_hold_reaches_further_back_than_a_tail() {
    assert!(TAIL >= 2 * LAG && HOLD >= TAIL + LAG);
    let start = Instant::now();
    let mut hold = Hold::new(usize::MAX);
    let mut tail = Tail::default();
    for second in 0..60 {
        let now = after(start, second * 1_000);
        tail.note(now, Some(now), second, fingerprint(0));
        hold.push(now, fingerprint(0), 1, (second, ()));
        hold.prune(Some(now));
    }
    let now = Some(after(start, 59_000));
    assert_eq!(tail.encode().len(), 21 * 8);
    assert_eq!(tail.floor(), Some(38), "all of the tail comes again");
    assert_eq!(hold.events.front().map(|held| held.sequence), Some(29));
    assert_eq!(
        hold.floor(now),
        Some(48),
        "what may be unpublished comes again"
    );
}

#[test]
fn a_tail_has_no_sequences_of_a_session_that_is_gone() {
    let now = Instant::now();
    let mut tail = Tail::default();
    tail.note(now, None, 900, fingerprint(1));
    tail.session_lost();
    assert_eq!(tail.floor(), None);
    tail.note(now, None, 5, fingerprint(2));
    assert_eq!(tail.floor(), Some(4));
    assert_eq!(tail.encode().len(), 16);
}

#[test]
fn nothing_is_forgotten_after_the_last_moment_that_is_known() {
    let start = Instant::now();
    let as_of = Some(after(start, 5_000));
    let mut hold = Hold::new(usize::MAX);
    let mut tail = Tail::default();
    for second in 0..600 {
        let now = after(start, second * 1_000);
        tail.note(now, as_of, second, fingerprint(0));
        hold.push(now, fingerprint(0), 1, (second, ()));
        hold.prune(as_of);
    }
    assert_eq!(tail.encode().len(), 600 * 8);
    assert_eq!(hold.release(as_of, &mut Struck::default()).0.len(), 600);
}

#[test]
fn a_hold_is_bounded_and_forgets_only_what_must_be_published() {
    let start = Instant::now();
    let mut hold = Hold::new(10);
    for index in 0..20 {
        hold.push(start, fingerprint(0), 1, (index, ()));
        hold.prune(Some(start));
    }
    assert!(!hold.has_room(), "nothing is old enough");
    hold.prune(Some(after(start, 11_000)));
    assert_eq!(hold.events.len(), 10, "so much as there is room for");
    hold.prune(None);
    let (kept, suppressed) = hold.release(Some(start), &mut Struck::default());
    assert_eq!(kept.front(), Some(&(10, ())));
    assert_eq!((kept.len(), suppressed), (10, 0));
    assert!(hold.has_room());
}

#[test]
fn an_event_is_struck_as_often_as_it_was_published() {
    let mut tail = Tail::default();
    let now = Instant::now();
    tail.note(now, None, 1, fingerprint(1));
    tail.note(now, None, 1, fingerprint(1));
    let mut struck = Struck::default();
    struck.take(0, &tail.encode()).unwrap();
    assert!(struck.strike(fingerprint(1)));
    assert!(struck.strike(fingerprint(1)));
    assert!(!struck.strike(fingerprint(1)));
    assert!(!struck.strike(fingerprint(2)));
}

#[test]
fn what_the_new_set_has_passed_strikes_nothing_any_more() {
    let now = Instant::now();
    let mut tail = Tail::default();
    // The old set came back and published what the new one had forgotten by then.
    for what in [1, 2, 3] {
        tail.note(now, None, 1, fingerprint(what));
    }
    let mut struck = Struck::default();
    struck.take(0, &tail.encode()).unwrap();
    let mut hold = Hold::new(usize::MAX);
    hold.push(now, fingerprint(2), 1, (2, ()));
    let (kept, suppressed) = hold.release(Some(now), &mut struck);
    assert_eq!((kept.len(), suppressed), (0, 1));
    assert!(
        !struck.strike(fingerprint(1)),
        "another one, equal to the first"
    );
    assert!(struck.strike(fingerprint(3)), "still on its way");
}

#[test]
fn a_tail_that_is_cut_off_is_refused() {
    let odd = Struck::default().take(3, &[0; 12]).unwrap_err();
    assert_eq!(
        odd.to_string(),
        "the tail of shard 3 has 12 bytes, which is no multiple of 8"
    );
}
