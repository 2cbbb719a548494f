//! All connections, open and closed, and the way to give them orders.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sim_voice::lock;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::sessions::Handle;

/// Closed connections that are kept for reports.
const KEPT: usize = 10_000;

/// What a connection's writer is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Writes the events of this session from now on.
    Attach {
        handle: Arc<Handle>,
        compress_payloads: bool,
    },
    /// Writes a payload.
    Payload(Bytes),
    /// Writes a close frame and ends the connection.
    Close { code: u16, reason: &'static str },
}

/// Which listener accepted a connection.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// The one that `GET /gateway` names.
    Gateway,
    /// The one that READY names.
    Resume,
}

/// A connection's history.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Connection {
    /// Its number; the first is 1.
    pub id: u64,
    /// Which listener accepted it.
    pub door: Door,
    /// When it was accepted, in milliseconds since the simulator started.
    pub opened_ms: u64,
    /// When it ended.
    pub closed_ms: Option<u64>,
    /// The query of its URL.
    pub query: String,
    /// Its header `User-Agent`.
    pub user_agent: Option<String>,
    /// Shard id and number of shards once it identified or resumed.
    pub shard: Option<[u32; 2]>,
    /// Its session.
    pub session: Option<String>,
    /// Payloads that the client sent, without heartbeats.
    pub payloads: u64,
    /// Heartbeats that the client sent.
    pub heartbeats: u64,
    /// How it ended.
    pub end: Option<End>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct End {
    /// Who ended it.
    pub by: Side,
    /// The close code; absent when the TCP connection ended without a close frame.
    pub code: Option<u16>,
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The client.
    Client,
    /// The simulator.
    Server,
}

/// What others need to reach an open connection.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) orders: mpsc::Sender<Order>,
    /// Drops the TCP connection.
    pub(crate) kill: CancellationToken,
    /// Reads and writes nothing any more.
    pub(crate) silent: CancellationToken,
    /// Tells that another connection has taken the session.
    pub(crate) replaced: CancellationToken,
    /// Whether op 1 was sent and not answered.
    beat_requested: Arc<AtomicBool>,
}

impl Remote {
    pub(crate) fn new(orders: mpsc::Sender<Order>, parent: &CancellationToken) -> Self {
        Self {
            orders,
            kill: parent.child_token(),
            silent: CancellationToken::new(),
            replaced: CancellationToken::new(),
            beat_requested: Arc::default(),
        }
    }

    pub(crate) fn request_beat(&self) {
        self.beat_requested.store(true, Ordering::Release);
    }

    pub(crate) fn take_beat_request(&self) -> bool {
        self.beat_requested.swap(false, Ordering::AcqRel)
    }
}

/// The registry.
#[derive(Debug)]
pub(crate) struct Connections {
    started: Instant,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    total: u64,
    open: HashMap<u64, (Remote, Connection)>,
    closed: VecDeque<Connection>,
    recent: VecDeque<Instant>,
}

impl Connections {
    pub(crate) fn new(started: Instant) -> Self {
        Self {
            started,
            table: Mutex::default(),
        }
    }

    /// Counts a TCP connection; returns its number and how many came within the last second.
    pub(crate) fn count(&self, now: Instant) -> (u64, usize) {
        let mut table = lock(&self.table);
        table.total += 1;
        let second = Duration::from_secs(1);
        while table
            .recent
            .front()
            .is_some_and(|then| now.duration_since(*then) >= second)
        {
            table.recent.pop_front();
        }
        table.recent.push_back(now);
        (table.total, table.recent.len())
    }

    pub(crate) fn open(&self, remote: Remote, mut connection: Connection) {
        connection.opened_ms = self.now_ms();
        lock(&self.table)
            .open
            .insert(connection.id, (remote, connection));
    }

    /// Changes what is known about an open connection.
    pub(crate) fn update(&self, id: u64, change: impl FnOnce(&mut Connection)) {
        if let Some((_, connection)) = lock(&self.table).open.get_mut(&id) {
            change(connection);
        }
    }

    pub(crate) fn close(&self, id: u64, end: End) {
        let closed_ms = self.now_ms();
        let mut table = lock(&self.table);
        if let Some((_, connection)) = table.open.remove(&id) {
            let (closed_ms, end) = (Some(closed_ms), Some(end));
            table.closed.push_back(Connection {
                closed_ms,
                end,
                ..connection
            });
        }
        while table.closed.len() > KEPT {
            table.closed.pop_front();
        }
    }

    pub(crate) fn remote(&self, id: u64) -> Option<Remote> {
        lock(&self.table)
            .open
            .get(&id)
            .map(|(remote, _)| remote.clone())
    }

    /// The open connections of the shard; of all shards, and those that have none yet, if none is given.
    pub(crate) fn select(&self, shard: Option<u32>) -> Vec<(u64, Remote)> {
        let table = lock(&self.table);
        let fits = |connection: &Connection| {
            shard.is_none() || connection.shard.map(|[id, _]| id) == shard
        };
        let mut selected: Vec<_> = table
            .open
            .values()
            .filter(|(_, connection)| fits(connection))
            .map(|(remote, connection)| (connection.id, remote.clone()))
            .collect();
        selected.sort_unstable_by_key(|(id, _)| *id);
        selected
    }

    pub(crate) fn total(&self) -> u64 {
        lock(&self.table).total
    }

    /// All connections in the order of their numbers.
    pub(crate) fn list(&self) -> Vec<Connection> {
        let table = lock(&self.table);
        let open = table.open.values().map(|(_, connection)| connection);
        let mut list: Vec<Connection> = table.closed.iter().chain(open).cloned().collect();
        list.sort_unstable_by_key(|connection| connection.id);
        list
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
