//! Reports: what the simulator has seen and done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    compress::Transport,
    faults::Faults,
    gateway::{connections::Connection, session::Link, sessions::Handle},
    generator::Progress,
    rest::RestState,
    violations::{Kind, Violation},
    world::{Urls, World},
};

/// Everything at one moment.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct State {
    /// Milliseconds since the start.
    pub uptime_ms: u64,
    /// Where the simulator listens.
    pub urls: Urls,
    /// Identifies that began a session.
    pub identifies: u64,
    /// The same for each shard of each set that there was.
    pub identifies_by_shard: Vec<ShardIdentifies>,
    /// Resumes that succeeded.
    pub resumes: u64,
    /// The longest time that a session was without a connection, in milliseconds: from the end of one to RESUMED
    /// on the next.
    pub longest_gap_ms: u64,
    /// TCP connections at the gateway's listeners, refused ones included.
    pub connections: u64,
    /// Events of the generator over all runs.
    pub generated: u64,
    /// The last run of the generator.
    pub run: Progress,
    /// What is left of the identify budget.
    pub session_start_limit: SessionStartLimit,
    /// Requests to Discord's routes.
    pub rest: RestState,
    /// Ended sessions, then living ones.
    pub sessions: Vec<SessionState>,
    /// Open and closed connections.
    pub connection_log: Vec<Connection>,
    /// Broken rules, the first 10,000.
    pub violations: Vec<Violation>,
    /// Broken rules by kind.
    pub violation_counts: BTreeMap<Kind, u64>,
    /// The faults that are switched on.
    pub faults: Faults,
}

/// How often a shard identified.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ShardIdentifies {
    /// Shard id and number of shards.
    pub shard: [u32; 2],
    /// Identifies that began a session.
    pub identifies: u64,
}

/// The identify budget as `GET /gateway/bot` gives it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SessionStartLimit {
    /// Identifies per day.
    pub total: u32,
    /// Identifies left.
    pub remaining: u32,
    /// Milliseconds until it is filled up.
    pub reset_after: u64,
    /// Identifies per window.
    pub max_concurrency: u32,
}

/// One session.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SessionState {
    /// Its id.
    pub id: String,
    /// Shard id and number of shards.
    pub shard: [u32; 2],
    /// Its intents.
    pub intents: u64,
    /// The presence that its Identify carried, as it came.
    pub presence: Option<Value>,
    /// Its transport compression.
    pub transport: Transport,
    /// Number of the newest event.
    pub seq: u64,
    /// Number of the newest event that was written to the present or last connection.
    pub sent: u64,
    /// Whether it has a connection.
    pub connected: bool,
    /// Why it is over, if it is.
    pub ended: Option<String>,
    /// Whether all its guilds were announced.
    pub guilds_complete: bool,
    /// Dispatches that came from the generator.
    pub generated: u64,
    /// Connections that had it.
    pub connections: u64,
    /// Resumes that succeeded.
    pub resumes: u64,
    /// Events that were written again by resumes, RESUMED not among them.
    pub replayed: u64,
    /// The longest time without a connection, in milliseconds.
    pub longest_gap_ms: u64,
    /// Events that are kept for a resume.
    pub buffered_events: usize,
    /// Bytes that are kept for a resume.
    pub buffered_bytes: usize,
}

/// Which dispatches to list.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmittedQuery {
    /// Only this session.
    pub session: Option<String>,
    /// Only events from this sequence number on.
    pub from: Option<u64>,
}

/// All dispatches: event number `from + i` of a session has the name `names[events[i]]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Emitted {
    /// The names that `events` refer to.
    pub names: Vec<String>,
    /// One entry per session.
    pub sessions: Vec<EmittedSession>,
}

/// The dispatches of one session.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct EmittedSession {
    /// The session's id.
    pub session: String,
    /// Shard id and number of shards.
    pub shard: [u32; 2],
    /// Sequence number of the first listed event.
    pub from: u64,
    /// Sequence number of the newest event.
    pub last: u64,
    /// Index into `names`, one per event; ends early if the session has more than `accounting_events`.
    pub events: Vec<u16>,
}

impl State {
    /// Whether all shards of some set are connected and know their guilds.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let ready = |id: u32, count: u32| {
            self.sessions.iter().any(|session| {
                session.connected && session.guilds_complete && session.shard == [id, count]
            })
        };
        self.sessions
            .iter()
            .filter(|session| session.connected)
            .any(|session| {
                let [_, count] = session.shard;
                (0..count).all(|id| ready(id, count))
            })
    }
}

impl Emitted {
    /// Session id, sequence number and name of all listed dispatches.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64, &str)> {
        self.sessions.iter().flat_map(|session| {
            let numbered = (session.from..).zip(&session.events);
            numbered.map(|(seq, name)| {
                let name = self.names.get(usize::from(*name));
                (
                    session.session.as_str(),
                    seq,
                    name.map(String::as_str).unwrap_or_default(),
                )
            })
        })
    }
}

pub(crate) fn state(world: &World) -> State {
    let identifies = world.identifies();
    let sessions: Vec<SessionState> = world.sessions.all().iter().map(|it| session(it)).collect();
    let gaps = sessions.iter().map(|session| session.longest_gap_ms);
    State {
        uptime_ms: u64::try_from(world.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        urls: world.urls.clone(),
        identifies: identifies.values().sum(),
        identifies_by_shard: identifies
            .into_iter()
            .map(|(shard, identifies)| ShardIdentifies { shard, identifies })
            .collect(),
        resumes: world.resumes(),
        longest_gap_ms: gaps.max().unwrap_or_default(),
        connections: world.connections.total(),
        generated: world.emission.total(),
        run: world.emission.progress(),
        session_start_limit: session_start_limit(world),
        rest: rest_state(world),
        sessions,
        connection_log: world.connections.list(),
        violations: world.violations.list(),
        violation_counts: world.violations.counts(),
        faults: world.faults.borrow().clone(),
    }
}

fn rest_state(world: &World) -> RestState {
    let rest = world.rest();
    RestState {
        invalid: rest.limits.invalid(),
        counters: rest.limits.counters(),
        ..rest.tally.state.clone()
    }
}

pub(crate) fn session_start_limit(world: &World) -> SessionStartLimit {
    let config = world.config();
    let (remaining, reset_after) = world.identify_ledger().left(Instant::now());
    SessionStartLimit {
        total: config.total,
        remaining,
        reset_after: u64::try_from(reset_after.as_millis()).unwrap_or(u64::MAX),
        max_concurrency: config.max_concurrency,
    }
}

pub(crate) fn emitted(world: &World, query: &EmittedQuery) -> Emitted {
    let from = query.from.unwrap_or(1).max(1);
    let handles = world.sessions.all();
    let wanted = handles.iter().filter(|handle| {
        query
            .session
            .as_ref()
            .is_none_or(|id| *id == handle.identity.id)
    });
    let sessions = wanted
        .map(|handle| {
            let session = handle.lock();
            EmittedSession {
                session: handle.identity.id.clone(),
                shard: handle.identity.shard,
                from,
                last: session.seq(),
                events: session.names(from).to_vec(),
            }
        })
        .collect();
    // After the sessions, so that the list has all their names.
    Emitted {
        sessions,
        names: world.names.list(),
    }
}

fn session(handle: &Handle) -> SessionState {
    let session = handle.lock();
    let (connected, ended) = match session.link() {
        Link::Attached { .. } => (true, None),
        Link::Detached { .. } => (false, None),
        Link::Ended { reason } => (false, Some(reason.to_owned())),
    };
    let (buffered_events, buffered_bytes) = session.buffered();
    SessionState {
        id: handle.identity.id.clone(),
        shard: handle.identity.shard,
        intents: handle.identity.intents,
        presence: handle.identity.presence.clone(),
        transport: handle.identity.query.transport,
        seq: session.seq(),
        sent: session.sent(),
        connected,
        ended,
        guilds_complete: session.next_guild.is_none(),
        generated: session.tally.generated,
        connections: session.tally.connections,
        resumes: session.tally.resumes,
        replayed: session.tally.replayed,
        longest_gap_ms: u64::try_from(session.tally.longest_gap.as_millis()).unwrap_or(u64::MAX),
        buffered_events,
        buffered_bytes,
    }
}
