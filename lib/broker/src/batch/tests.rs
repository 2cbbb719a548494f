//! What an operator may write, and how events are collected: without clock or queue.

use std::{sync::Arc, time::Duration};

use boot::Parse;
use bytes::Bytes;
use prost::Message as _;
use tokio::time::Instant;
use wire::gateway::v1::{Event, EventBatch as Wire};

use super::{Batch, Batches, EventBatch};
use crate::{Exchange, Message, Value, lane::Confirmed, queue::Item};

const LINGER: Duration = Duration::from_millis(5);

#[test]
fn a_batch_is_written_with_number_and_time() {
    let parsed = Vec::<EventBatch>::parse("presence_update=64/5ms, TYPING_START=2/1s").unwrap();
    let names: Vec<_> = parsed.iter().map(|parsed| &*parsed.name).collect();
    assert_eq!(names, ["PRESENCE_UPDATE", "TYPING_START"]);
    assert_eq!(parsed[0].batch.count, 64);
    assert_eq!(parsed[0].batch.linger, LINGER);
    assert_eq!(parsed[1].batch.linger, Duration::from_secs(1));
}

#[test]
fn what_is_no_batch_is_refused_with_the_reason() {
    for (text, reason) in [
        ("PRESENCE_UPDATE", None),
        ("PRESENCE_UPDATE=64", None),
        ("=64/5ms", Some("no event's name")),
        ("PRESENCE UPDATE=64/5ms", Some("no event's name")),
        ("A=1/5ms", Some("no number from 2 to 1000")),
        ("A=1001/5ms", Some("no number from 2 to 1000")),
        ("A=x/5ms", Some("no number from 2 to 1000")),
        ("A=64/5", Some("no time from 1ms to 1s")),
        ("A=64/0ms", Some("no time from 1ms to 1s")),
        ("A=64/2s", Some("no time from 1ms to 1s")),
    ] {
        let invalid = EventBatch::parse(text).unwrap_err();
        let reason = reason.unwrap_or_default();
        assert!(
            format!("{invalid:?}").contains(reason),
            "{text}: {invalid:?}"
        );
    }
}

/// A lane, its batches, and what left them.
struct Setup {
    now: Instant,
    lanes: [Arc<Confirmed>; 2],
    batches: Batches,
    ready: Vec<Item>,
    next: u64,
}

impl Setup {
    fn new() -> Self {
        Self {
            now: Instant::now(),
            lanes: [1, 2].map(|number| Arc::new(Confirmed::new(number))),
            batches: Batches::default(),
            ready: Vec::new(),
            next: 1,
        }
    }

    /// Adds the next event of a lane; returns its sequence.
    fn add(&mut self, lane: usize, group: u64, key: &str, batch: Option<u16>, size: usize) -> u64 {
        let sequence = self.next;
        self.next += 1;
        let message = message(sequence, group, key, batch, size);
        let item = Item::new(&self.lanes[lane], sequence, message);
        self.batches.add(self.now, item, &mut self.ready);
        sequence
    }

    /// The ids of what left since the last call.
    fn left(&mut self) -> Vec<String> {
        let left = self.ready.drain(..);
        left.map(|item| item.message.message_id).collect()
    }
}

fn message(sequence: u64, group: u64, key: &str, batch: Option<u16>, size: usize) -> Message {
    let event = Event {
        id: sequence.to_string(),
        name: "x".repeat(size),
        ..Event::default()
    };
    Message {
        exchange: Exchange::Events,
        routing_key: key.to_owned(),
        message_id: sequence.to_string(),
        type_name: "gateway.v1.Event",
        app_id: "1".into(),
        timestamp: 0,
        headers: vec![("sequence", Value::Number(sequence.cast_signed()))],
        body: Bytes::from(event.encode_to_vec()),
        group,
        trace: None,
        wanted: None,
        batch: batch.map(|count| Batch {
            count,
            linger: LINGER,
        }),
    }
}

/// The ids of the events that a message carries.
fn events(message: &Message) -> Vec<String> {
    if message.type_name == "gateway.v1.Event" {
        return vec![Event::decode(&*message.body).unwrap().id];
    }
    assert_eq!(message.type_name, "gateway.v1.EventBatch");
    let batch = Wire::decode(&*message.body).unwrap();
    batch.events.into_iter().map(|event| event.id).collect()
}

#[test]
fn a_full_batch_leaves_at_once_as_an_event_batch() {
    let mut setup = Setup::new();
    for _ in 0..3 {
        assert!(setup.ready.is_empty());
        setup.add(0, 7, "a", Some(3), 10);
    }
    let item = setup.ready.pop().unwrap();
    assert_eq!(events(&item.message), ["1", "2", "3"]);
    assert_eq!(item.message.message_id, "1+2");
    assert_eq!((item.sequence, &*item.origin.more), (1, &[2, 3][..]));
    let count = item.message.headers.last().unwrap();
    assert_eq!(*count, ("count", Value::Number(3)));
    assert_eq!(item.message.headers[0].1, Value::Number(1));
    assert!(setup.batches.is_empty());
    assert_eq!((setup.batches.held(), setup.batches.due()), (0, None));
}

#[test]
fn an_event_that_stays_alone_is_published_as_it_came() {
    let mut setup = Setup::new();
    setup.add(0, 7, "a", Some(3), 10);
    assert_eq!(setup.batches.due(), Some(setup.now + LINGER));
    setup.batches.close_due(setup.now, &mut setup.ready);
    assert!(setup.ready.is_empty(), "its time has not come");
    setup
        .batches
        .close_due(setup.now + LINGER, &mut setup.ready);
    let item = setup.ready.pop().unwrap();
    assert_eq!(item.message.type_name, "gateway.v1.Event");
    assert_eq!(item.message.message_id, "1");
    assert_eq!(item.message.headers.len(), 1);
}

#[test]
fn what_else_comes_for_the_group_closes_its_batch_first() {
    let mut setup = Setup::new();
    setup.add(0, 7, "a", Some(9), 10);
    setup.add(0, 7, "a", Some(9), 10);
    setup.add(0, 8, "a2", None, 10);
    assert_eq!(setup.left(), ["3"], "another group's do not");
    setup.add(1, 7, "b", None, 10);
    assert_eq!(setup.left(), ["4"], "nor another lane's");
    setup.add(0, 7, "b", Some(9), 10);
    assert_eq!(setup.left(), ["1+1"]);
    setup.add(0, 7, "b", None, 10);
    assert_eq!(setup.left(), ["5", "6"]);
    assert!(setup.batches.is_empty());
}

#[test]
fn a_batch_stays_below_its_size_and_large_events_travel_alone() {
    let mut setup = Setup::new();
    setup.add(0, 7, "a", Some(1_000), 40_000);
    setup.add(0, 7, "a", Some(1_000), 30_000);
    assert_eq!(setup.left(), ["1"]);
    setup.add(0, 7, "a", Some(1_000), 70_000);
    assert_eq!(setup.left(), ["2", "3"]);
    setup.add(0, 7, "a", Some(1_000), 70_000);
    assert_eq!(setup.left(), ["4"]);
}

#[test]
fn batches_can_be_closed_before_their_time() {
    let mut setup = Setup::new();
    setup.add(0, 7, "a", Some(9), 10);
    setup.add(1, 7, "a", Some(9), 10);
    setup.add(0, 8, "b", Some(9), 10);
    setup.batches.close_all(Some(1), &mut setup.ready);
    assert_eq!(setup.left(), ["1", "3"]);
    setup.batches.close_all(None, &mut setup.ready);
    assert_eq!(setup.left(), ["2"]);
    assert!(setup.batches.is_empty());
}

/// Random events of two lanes and three groups: each leaves once, and those of a lane and group
/// in the order in which they came.
#[test]
fn random_walks_keep_every_event_and_the_order_within_a_group() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut setup = Setup::new();
        let mut came: Vec<(usize, u64, u64)> = Vec::new();
        for _ in 0..200 {
            let (lane, group) = (random.usize(0..2), random.u64(0..3));
            let key = ["a", "b"][random.usize(0..2)];
            let batch = random.bool().then_some(random.u16(2..6));
            let size = random.usize(0..200);
            came.push((lane, group, setup.add(lane, group, key, batch, size)));
            if random.u8(0..10) == 0 {
                setup.now += Duration::from_millis(random.u64(0..7));
                let now = setup.now;
                setup.batches.close_due(now, &mut setup.ready);
            }
        }
        setup.batches.close_all(None, &mut setup.ready);
        assert_eq!((setup.batches.held(), setup.batches.due()), (0, None));
        for lane in 0..2 {
            for group in 0..3 {
                let of_group = came.iter().filter(|came| (came.0, came.1) == (lane, group));
                let expected: Vec<_> = of_group.map(|came| came.2.to_string()).collect();
                let left = setup.ready.iter().filter(|item| {
                    item.message.group == group && item.origin.lane.number == lane as u64 + 1
                });
                let left: Vec<_> = left.flat_map(|item| events(&item.message)).collect();
                assert_eq!(left, expected, "seed {seed}");
            }
        }
        let sequences = setup.ready.iter().map(Item::events).sum::<usize>();
        assert_eq!(sequences, 200);
    }
}
