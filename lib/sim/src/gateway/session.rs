//! A session: numbered events, what of them was sent, and what is kept for a resume. No input or output, no clock.

use std::{collections::VecDeque, io::Write, time::Duration};

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

use super::query::Query;
use crate::{config::Config, names::NameId};

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    limits: Limits,
    link: Link,
    /// Number of the newest event.
    seq: u64,
    /// Number of the newest event that was handed to the present connection.
    sent: u64,
    buffer: VecDeque<Bytes>,
    bytes: usize,
    names: Vec<NameId>,
    /// Since when there was no connection, and the event with whose sending that is over.
    gap: Option<(Instant, u64)>,
    pub(crate) tally: Tally,
    /// The next guild that READY announced and no event has followed up yet.
    pub(crate) next_guild: Option<usize>,
}

/// What never changes about a session.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: String,
    pub(crate) shard: [u32; 2],
    pub(crate) intents: u64,
    pub(crate) presence: Option<Value>,
    pub(crate) query: Query,
}

/// Counters for reports.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) generated: u64,
    pub(crate) connections: u64,
    pub(crate) resumes: u64,
    pub(crate) replayed: u64,
    pub(crate) longest_gap: Duration,
}

/// How much a session keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) queue: u64,
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    pub(crate) names: usize,
}

/// Whether somebody listens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Link {
    Attached { connection: u64 },
    Detached { since: Instant },
    Ended { reason: &'static str },
}

/// Why a resume is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// The client claims events that were never sent: 4007.
    Ahead,
    /// The session is over: op 9.
    Ended,
    /// Events that the client lacks are not kept any more: op 9.
    Lost,
}

/// What a connection finds when it asks for events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Taken {
    Some,
    Nothing,
    /// Another connection has the session.
    Gone,
    /// The session is over.
    Ended {
        reason: &'static str,
    },
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            queue: config.queue_events as u64,
            events: config.replay_events,
            bytes: config.replay_bytes,
            names: config.accounting_events,
        }
    }
}

impl Session {
    pub(crate) fn new(connection: u64, limits: Limits) -> Self {
        Self {
            limits,
            link: Link::Attached { connection },
            seq: 0,
            sent: 0,
            buffer: VecDeque::new(),
            bytes: 0,
            names: Vec::new(),
            gap: None,
            tally: Tally {
                connections: 1,
                ..Tally::default()
            },
            next_guild: None,
        }
    }

    pub(crate) fn link(&self) -> Link {
        self.link
    }

    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    pub(crate) fn buffered(&self) -> (usize, usize) {
        (self.buffer.len(), self.bytes)
    }

    /// Names of the events from that number on; the first event has number 1.
    pub(crate) fn names(&self, from: u64) -> &[NameId] {
        let start = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        self.names.get(start..).unwrap_or_default()
    }

    /// Adds an event; `false` when the session is over.
    pub(crate) fn push(&mut self, name: &str, id: NameId, d: &[u8]) -> bool {
        if matches!(self.link, Link::Ended { .. }) {
            return false;
        }
        self.seq += 1;
        if self.names.len() < self.limits.names {
            self.names.push(id);
        }
        let mut payload = Vec::with_capacity(d.len() + name.len() + 48);
        write!(
            payload,
            "{{\"t\":\"{name}\",\"s\":{},\"op\":0,\"d\":",
            self.seq
        )
        .expect("writing to a Vec does not fail");
        payload.extend_from_slice(d);
        payload.push(b'}');
        self.bytes += payload.len();
        self.buffer.push_back(payload.into());
        self.trim();
        true
    }

    /// Forgets the oldest events; a connected client that is too slow for that loses its session.
    fn trim(&mut self) {
        while self.buffer.len() > self.limits.events || self.bytes > self.limits.bytes {
            let attached = matches!(self.link, Link::Attached { .. });
            if attached && self.first() > self.sent {
                self.end("overflow");
                return;
            }
            let Some(oldest) = self.buffer.pop_front() else {
                return;
            };
            self.bytes -= oldest.len();
        }
    }

    /// Number of the oldest event that is kept, or of the next one if there is none.
    fn first(&self) -> u64 {
        self.seq + 1 - self.buffer.len() as u64
    }

    /// Moves unsent events to `out`, at most so many and about so many bytes.
    pub(crate) fn take(
        &mut self,
        connection: u64,
        most: usize,
        bytes: usize,
        out: &mut Vec<Bytes>,
    ) -> Taken {
        match self.link {
            Link::Attached { connection: own } if own == connection => {}
            Link::Attached { .. } | Link::Detached { .. } => return Taken::Gone,
            Link::Ended { reason } => return Taken::Ended { reason },
        }
        let offset = usize::try_from((self.sent + 1).saturating_sub(self.first())).unwrap_or(0);
        let mut size = 0;
        for payload in self.buffer.iter().skip(offset).take(most) {
            if size >= bytes {
                break;
            }
            size += payload.len();
            self.sent += 1;
            out.push(payload.clone());
        }
        if size > 0 {
            Taken::Some
        } else {
            Taken::Nothing
        }
    }

    /// Whether the generator may go on: a client that does not read makes it wait. Without a connection a
    /// paced run goes on and may overflow; a run at full speed waits at half of what is kept.
    pub(crate) fn has_room(&self, paced: bool) -> bool {
        let waiting = self.seq - self.sent;
        match self.link {
            Link::Attached { .. } => waiting < self.limits.queue,
            Link::Detached { .. } => {
                paced
                    || (waiting < self.limits.events as u64 / 2
                        && self.bytes < self.limits.bytes.saturating_mul(3) / 4)
            }
            Link::Ended { .. } => true,
        }
    }

    /// Gives the session to a connection that has all events up to `seq`; returns whose it was.
    pub(crate) fn resume(&mut self, connection: u64, seq: u64) -> Result<Option<u64>, Refusal> {
        let (previous, since) = match self.link {
            Link::Attached { connection } => (Some(connection), None),
            Link::Detached { since } => (None, Some(since)),
            Link::Ended { .. } => return Err(Refusal::Ended),
        };
        if seq > self.seq {
            return Err(Refusal::Ahead);
        }
        if seq + 1 < self.first() {
            return Err(Refusal::Lost);
        }
        self.link = Link::Attached { connection };
        self.tally.connections += 1;
        self.tally.resumes += 1;
        self.tally.replayed += self.seq - seq;
        self.sent = seq;
        // A connection that ended before its RESUMED was none.
        let since = self.gap.map(|(since, _)| since).or(since);
        self.gap = since.map(|since| (since, self.seq + 1));
        Ok(previous)
    }

    /// Events were written; with RESUMED the time without a connection is over.
    pub(crate) fn written(&mut self, now: Instant) {
        if let Some((since, resumed)) = self.gap
            && self.sent >= resumed
        {
            self.gap = None;
            let gap = now.saturating_duration_since(since);
            self.tally.longest_gap = self.tally.longest_gap.max(gap);
        }
    }

    /// Ends the connection's hold on the session; `false` if it has none.
    pub(crate) fn detach(&mut self, connection: u64, now: Instant) -> bool {
        let held = self.link == (Link::Attached { connection });
        if held {
            self.link = Link::Detached { since: now };
        }
        held
    }

    pub(crate) fn end(&mut self, reason: &'static str) {
        if !matches!(self.link, Link::Ended { .. }) {
            self.link = Link::Ended { reason };
            self.buffer = VecDeque::new();
            self.bytes = 0;
        }
    }

    /// Ends a session that nobody came back to.
    pub(crate) fn expire(&mut self, now: Instant, timeout: Duration) {
        if let Link::Detached { since } = self.link
            && now.saturating_duration_since(since) >= timeout
        {
            self.end("timeout");
        }
    }
}

#[cfg(test)]
mod tests;
