//! Collects events into batches: pure, the time is passed in.
//!
//! There is at most one open batch for a lane and group. It takes events of one routing key;
//! whatever else comes for the same lane and group closes it first. So the messages of a lane
//! and group leave in the order in which they came.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;
use wire::routing;

use super::Batch;
use crate::{Message, Value, queue::Item};

/// No batch grows larger than this; a larger event travels alone.
const LARGEST: usize = 64 * 1024;

/// The tag of `EventBatch.events` (field 1, length-delimited).
const TAG: u8 = 0x0a;

/// The batches that wait for more events.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    open: HashMap<Key, Open>,
    /// Which is to be closed when. The number tells apart what is due at one moment.
    due: BTreeMap<(Instant, u64), Key>,
    next: u64,
    /// The memory that they take.
    held: usize,
}

/// A lane and a group within it.
type Key = (u64, u64);

/// A batch that waits for more events.
#[derive(Debug)]
struct Open {
    /// The first event as it came, with the sequences of the others.
    item: Item,
    /// The encoded batch; empty while there is one event.
    body: Vec<u8>,
    limit: usize,
    due: (Instant, u64),
}

impl Batches {
    /// Takes a message. What is complete by that goes to `ready`: perhaps the message itself,
    /// after the events that came before it.
    pub(crate) fn add(&mut self, now: Instant, item: Item, ready: &mut Vec<Item>) {
        let key = (item.origin.lane.number, item.message.group);
        if let Some(open) = self.open.get_mut(&key) {
            if open.takes(&item) {
                let before = open.cost();
                open.push(&item);
                self.held = self.held.saturating_sub(before) + open.cost();
                if open.is_full() {
                    self.close(key, ready);
                }
                return;
            }
            self.close(key, ready);
        }
        match item.message.batch {
            Some(batch) if batch.count > 1 && framed(item.message.body.len()) < LARGEST => {
                self.begin(now, key, item, batch);
            }
            _ => ready.push(item),
        }
    }

    /// When the first batch is to be closed.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due.keys().next().map(|(due, _)| *due)
    }

    /// Closes those whose time has come.
    pub(crate) fn close_due(&mut self, now: Instant, ready: &mut Vec<Item>) {
        while let Some((&(due, _), &key)) = self.due.first_key_value()
            && due <= now
        {
            self.close(key, ready);
        }
    }

    /// Closes those of a lane, or all of them.
    pub(crate) fn close_all(&mut self, lane: Option<u64>, ready: &mut Vec<Item>) {
        let wanted = |key: &&Key| lane.is_none_or(|lane| key.0 == lane);
        let keys: Vec<Key> = self.due.values().filter(wanted).copied().collect();
        for key in keys {
            self.close(key, ready);
        }
    }

    /// Bytes that open batches take of the window.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn begin(&mut self, now: Instant, key: Key, item: Item, batch: Batch) {
        let due = (now + batch.linger, self.next);
        self.next += 1;
        self.due.insert(due, key);
        let open = Open {
            item,
            body: Vec::new(),
            limit: batch.count.into(),
            due,
        };
        self.held += open.cost();
        self.open.insert(key, open);
    }

    fn close(&mut self, key: Key, ready: &mut Vec<Item>) {
        let Some(open) = self.open.remove(&key) else {
            return;
        };
        self.due.remove(&open.due);
        self.held = self.held.saturating_sub(open.cost());
        ready.push(open.finish());
    }
}

impl Open {
    /// Whether this event may travel with those that are here.
    fn takes(&self, item: &Item) -> bool {
        let (first, next) = (&self.item.message, &item.message);
        next.batch.is_some()
            && next.routing_key == first.routing_key
            && next.exchange == first.exchange
            && next.type_name == first.type_name
            && self.size() + framed(next.body.len()) <= LARGEST
    }

    fn push(&mut self, item: &Item) {
        if self.body.is_empty() {
            frame(&mut self.body, &self.item.message.body);
        }
        frame(&mut self.body, &item.message.body);
        self.item.origin.more.push(item.sequence);
        self.trace(&item.message);
    }

    /// A batch has the trace of the first of its events that has one; those of the others end.
    fn trace(&mut self, next: &Message) {
        next.reached("batched");
        let first = &mut self.item.message;
        if let (None, Some(trace)) = (&first.trace, &next.trace) {
            let context = Value::Text(trace.traceparent());
            first.headers.push(("traceparent", context));
            first.trace = Some(trace.clone());
        }
    }

    fn is_full(&self) -> bool {
        self.item.events() >= self.limit || self.size() >= LARGEST
    }

    /// The encoded size.
    fn size(&self) -> usize {
        if self.body.is_empty() {
            framed(self.item.message.body.len())
        } else {
            self.body.len()
        }
    }

    fn cost(&self) -> usize {
        let sequences = size_of_val(self.item.origin.more.as_slice());
        self.item.message.cost() + self.body.capacity() + sequences
    }

    /// The message to publish: a single event stays what it is.
    fn finish(self) -> Item {
        let cost = self.cost();
        let mut item = self.item;
        item.cost = cost;
        let more = item.origin.more.len();
        if more == 0 {
            return item;
        }
        let message = &mut item.message;
        message.type_name = routing::TYPE_EVENT_BATCH;
        message.message_id.push_str(&format!("+{more}"));
        let count = i64::try_from(more + 1).unwrap_or(i64::MAX);
        message.headers.push(("count", Value::Number(count)));
        message.body = self.body.into();
        item
    }
}

/// Appends an event as the next element of `EventBatch.events`.
fn frame(buffer: &mut Vec<u8>, event: &[u8]) {
    buffer.push(TAG);
    prost::encoding::encode_varint(event.len() as u64, buffer);
    buffer.extend_from_slice(event);
}

/// How many bytes that takes.
fn framed(length: usize) -> usize {
    1 + prost::encoding::encoded_len_varint(length as u64) + length
}
