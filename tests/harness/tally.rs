//! What a worker got, event by event: how often each came, in which order, and how late.
//!
//! It reads the messages by itself, with as little of the contract as it needs, so that a mistake in the code under
//! test cannot agree with itself here.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Display,
};

use prost::Message as _;
use sim::{Emitted, State};

pub use self::histogram::Histogram;

mod histogram;

/// How many complaints are kept with their text.
const KEPT: usize = 20;

/// A message as it came, and what AMQP said of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Incoming<'a> {
    /// The property `type`.
    pub kind: &'a str,
    /// The property `message_id`.
    pub id: &'a str,
    /// The header `sequence`.
    pub sequence: Option<u64>,
    /// The header `count`.
    pub count: Option<u64>,
    /// Whether the broker has delivered it before.
    pub redelivered: bool,
    /// The body.
    pub body: &'a [u8],
}

/// All messages so far, in a few bytes for each event.
#[derive(Debug, Default)]
pub struct Tally {
    sessions: BTreeMap<String, Session>,
    /// For each number that the simulator marks events with: under how many ids it came.
    marks: Vec<u8>,
    messages: u64,
    batches: u64,
    redelivered: u64,
    complaints: Vec<String>,
    latency: Histogram,
}

/// What came of one session.
#[derive(Debug, Default)]
struct Session {
    /// How often each event came, by its sequence number less 1.
    counts: Vec<u8>,
    newest: u64,
    out_of_order: u64,
    /// The newest event of each guild.
    guilds: HashMap<u64, u64>,
    out_of_order_in_guild: u64,
}

/// What of what was emitted has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// Events that a client could have got.
    pub emitted: u64,
    /// How many of them came.
    pub received: u64,
    /// The ids of some that did not come.
    pub missing: Vec<String>,
    /// How many events came once more, over all times.
    pub duplicates: u64,
    /// Events that came before an older one of their session.
    pub out_of_order: u64,
    /// Events that came before an older one of their session and guild.
    pub out_of_order_in_guild: u64,
    /// Events that came under two ids.
    pub twins: u64,
    /// What came and was wrong, the first of it.
    pub complaints: Vec<String>,
    /// Messages that were batches.
    pub batches: u64,
    /// Messages that the broker delivered once more.
    pub redelivered: u64,
}

impl Account {
    /// How many events did not come.
    pub fn lost(&self) -> u64 {
        self.emitted - self.received
    }
}

/// The few fields of `gateway.v1.Event` that are needed here.
#[derive(Clone, PartialEq, prost::Message)]
struct Event {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(uint64, optional, tag = "6")]
    sequence: Option<u64>,
    #[prost(fixed64, optional, tag = "8")]
    guild_id: Option<u64>,
}

/// `gateway.v1.EventBatch`.
#[derive(Clone, PartialEq, prost::Message)]
struct Batch {
    #[prost(bytes = "vec", repeated, tag = "1")]
    events: Vec<Vec<u8>>,
}

/// The member `sim` that generated events carry.
struct Mark {
    number: u64,
    sent_at_us: u64,
}

impl Tally {
    /// Takes note of a message that came at this time, in Unix microseconds.
    pub fn record(&mut self, message: Incoming<'_>, now_us: u64) {
        self.messages += 1;
        self.redelivered += u64::from(message.redelivered);
        match message.kind {
            "gateway.v1.Event" => self.single(message, now_us),
            "gateway.v1.EventBatch" => self.batch(message, now_us),
            kind => self.complain(format!("a message of type {kind:?}")),
        }
    }

    /// How many messages there were.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// How long events were under way.
    pub fn latency(&self) -> &Histogram {
        &self.latency
    }

    fn single(&mut self, message: Incoming<'_>, now_us: u64) {
        match Event::decode(message.body) {
            Ok(event) if event.name.starts_with("GATEWAY_") => {}
            Ok(event) => {
                if event.id != message.id || event.sequence != message.sequence {
                    self.complain(format!("{} travels as {}", event.id, message.id));
                }
                self.event(&event, message, message.body, now_us);
            }
            Err(error) => self.complain(format!("{}: {error}", message.id)),
        }
    }

    fn batch(&mut self, message: Incoming<'_>, now_us: u64) {
        self.batches += 1;
        let batch = Batch::decode(message.body).and_then(|batch| {
            let events = batch.events.iter().map(|body| Event::decode(&body[..]));
            let events = events.collect::<Result<Vec<_>, _>>()?;
            Ok((batch, events))
        });
        let (batch, events) = match batch {
            Ok(batch) => batch,
            Err(error) => return self.complain(format!("batch {}: {error}", message.id)),
        };
        let Some(first) = events.first() else {
            return self.complain(format!("batch {} is empty", message.id));
        };
        let id = format!("{}+{}", first.id, events.len() - 1);
        let count = u64::try_from(events.len()).ok();
        if id != message.id || count != message.count || first.sequence != message.sequence {
            self.complain(format!("batch {id} of {count:?} travels as {message:?}"));
        }
        for (event, body) in events.iter().zip(&batch.events) {
            self.event(event, message, body, now_us);
        }
    }

    fn event(&mut self, event: &Event, message: Incoming<'_>, body: &[u8], now_us: u64) {
        let place = event.id.rsplit_once(':').and_then(|(session, sequence)| {
            let sequence = sequence.parse::<u64>().ok().filter(|it| *it > 0)?;
            Some((session, sequence))
        });
        let Some((session, sequence)) = place.filter(|(_, it)| event.sequence == Some(*it)) else {
            return self.complain(format!("{:?} has sequence {:?}", event.id, event.sequence));
        };
        if !self.sessions.contains_key(session) {
            self.sessions.insert(session.to_owned(), Session::default());
        }
        let Some(session) = self.sessions.get_mut(session) else {
            return;
        };
        let first = session.record(sequence, event.guild_id.unwrap_or_default());
        if !first {
            // The broker's doing, not that of the service.
            if message.redelivered {
                session.forget_one(sequence);
            }
            return;
        }
        if let Some(mark) = Mark::find(body) {
            self.latency.record(now_us.saturating_sub(mark.sent_at_us));
            let count = at(&mut self.marks, mark.number);
            *count = count.saturating_add(1);
        }
    }

    fn complain(&mut self, complaint: String) {
        if self.complaints.len() < KEPT {
            self.complaints.push(complaint);
        }
    }

    /// Of the events that the simulator has marked, up to this number: which did not come, whatever the session,
    /// and which came under more than one id.
    pub fn marked(&self, last: u64) -> (Vec<u64>, Vec<u64>) {
        let count = |number: &u64| {
            let index = usize::try_from(*number).unwrap_or(usize::MAX);
            self.marks.get(index).copied().unwrap_or_default()
        };
        let missing = (1..=last).filter(|number| count(number) == 0);
        let twins = (1..=last).filter(|number| count(number) > 1);
        (missing.collect(), twins.collect())
    }

    /// Compares with what the simulator has dispatched. Of a session that has ended, only what was sent by then
    /// could still come.
    pub fn account(&self, emitted: &Emitted, state: &State) -> Account {
        let mut account = Account {
            twins: self.marks.iter().filter(|count| **count > 1).count() as u64,
            complaints: self.complaints.clone(),
            batches: self.batches,
            redelivered: self.redelivered,
            ..Account::default()
        };
        let mut known = BTreeSet::new();
        for session in &emitted.sessions {
            known.insert(session.session.as_str());
            let ended = state.sessions.iter().find(|it| it.id == session.session);
            let ended = ended.filter(|it| it.ended.is_some());
            let last = ended.map_or(session.last, |it| it.sent);
            let empty = Session::default();
            let got = self.sessions.get(&session.session).unwrap_or(&empty);
            got.settle(&session.session, last, &mut account);
            if got.counts.len() as u64 > session.last {
                note(
                    &mut account.complaints,
                    "came, but was never sent",
                    &session.session,
                );
            }
        }
        for session in self.sessions.keys() {
            if !known.contains(session.as_str()) {
                note(
                    &mut account.complaints,
                    "is no session of the simulator's",
                    session,
                );
            }
        }
        account
    }
}

fn note(complaints: &mut Vec<String>, what: &str, session: &dyn Display) {
    complaints.push(format!("{session} {what}"));
}

impl Session {
    /// Counts an event; whether it came for the first time.
    fn record(&mut self, sequence: u64, guild: u64) -> bool {
        let count = at(&mut self.counts, sequence - 1);
        *count = count.saturating_add(1);
        if *count > 1 {
            return false;
        }
        self.out_of_order += u64::from(sequence < self.newest);
        self.newest = self.newest.max(sequence);
        let newest = self.guilds.entry(guild).or_default();
        self.out_of_order_in_guild += u64::from(sequence < *newest);
        *newest = (*newest).max(sequence);
        true
    }

    fn forget_one(&mut self, sequence: u64) {
        let count = at(&mut self.counts, sequence - 1);
        *count = count.saturating_sub(1).max(1);
    }

    /// Adds what came of the events 1 to `last`.
    fn settle(&self, id: &str, last: u64, account: &mut Account) {
        account.emitted += last;
        account.out_of_order += self.out_of_order;
        account.out_of_order_in_guild += self.out_of_order_in_guild;
        for (index, sequence) in (1..=last).enumerate() {
            let count = self.counts.get(index).copied().unwrap_or_default();
            account.received += u64::from(count > 0);
            account.duplicates += u64::from(count.saturating_sub(1));
            if count == 0 && account.missing.len() < KEPT {
                account.missing.push(format!("{id}:{sequence}"));
            }
        }
    }
}

/// The counter at that place; the list grows to it.
fn at(counts: &mut Vec<u8>, index: u64) -> &mut u8 {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    if counts.len() <= index {
        counts.resize(index + 1, 0);
    }
    &mut counts[index]
}

impl Mark {
    /// Finds `"sim":{"n":7,"sent_at_us":1700000000000000}` near the end of a body.
    fn find(body: &[u8]) -> Option<Self> {
        const BEGINNING: &[u8] = b"\"sim\":{\"n\":";
        const MIDDLE: &[u8] = b",\"sent_at_us\":";
        let start = body
            .windows(BEGINNING.len())
            .rposition(|it| it == BEGINNING)?;
        let rest = body.get(start + BEGINNING.len()..)?;
        let (number, rest) = number(rest)?;
        let (sent_at_us, _) = self::number(rest.strip_prefix(MIDDLE)?)?;
        Some(Self { number, sent_at_us })
    }
}

/// The decimal number at the beginning, and what follows it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests;
