//! All sessions, living and past, and who gets which event.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sim_voice::lock;
use tokio::{sync::Notify, time::Instant};

use super::session::{Identity, Limits, Link, Session};
use crate::{guilds, names::NameId};

/// Ended sessions that are kept for reports.
const KEPT: usize = 1000;

/// A session that tasks share.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) identity: Identity,
    session: Mutex<Session>,
    /// Wakes the connection that writes.
    pub(crate) work: Notify,
    /// Wakes whoever waits for room.
    pub(crate) room: Notify,
}

impl Handle {
    pub(crate) fn new(identity: Identity, connection: u64, limits: Limits) -> Self {
        Self {
            identity,
            session: Mutex::new(Session::new(connection, limits)),
            work: Notify::new(),
            room: Notify::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Session> {
        lock(&self.session)
    }

    /// Adds an event and wakes the writer; `false` when the session is over.
    pub(crate) fn push(&self, name: &str, id: NameId, d: &[u8]) -> bool {
        let pushed = self.lock().push(name, id, d);
        self.work.notify_one();
        pushed
    }

    /// Adds an event of the generator.
    pub(crate) fn push_generated(&self, name: &str, id: NameId, d: &[u8]) -> bool {
        let pushed = {
            let mut session = self.lock();
            let pushed = session.push(name, id, d);
            session.tally.generated += u64::from(pushed);
            pushed
        };
        self.work.notify_one();
        pushed
    }

    /// Waits until the generator may add an event.
    pub(crate) async fn has_room(&self, paced: bool) {
        loop {
            let notified = self.room.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.lock().has_room(paced) {
                return;
            }
            notified.await;
        }
    }

    /// Ends the session; its connection, if any, notices by itself.
    pub(crate) fn end(&self, reason: &'static str) {
        self.lock().end(reason);
        self.work.notify_one();
        self.room.notify_waiters();
    }
}

/// The registry.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    table: Mutex<Table>,
    generation: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    live: HashMap<String, Arc<Handle>>,
    ended: VecDeque<Arc<Handle>>,
}

impl Sessions {
    pub(crate) fn insert(&self, handle: Arc<Handle>) {
        lock(&self.table)
            .live
            .insert(handle.identity.id.clone(), handle);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Handle>> {
        lock(&self.table).live.get(id).cloned()
    }

    /// Whether there was such a session.
    pub(crate) fn has_ended(&self, id: &str) -> bool {
        lock(&self.table)
            .ended
            .iter()
            .any(|handle| handle.identity.id == id)
    }

    pub(crate) fn live(&self) -> Vec<Arc<Handle>> {
        lock(&self.table).live.values().cloned().collect()
    }

    /// Ended sessions first, then the living ones.
    pub(crate) fn all(&self) -> Vec<Arc<Handle>> {
        let table = lock(&self.table);
        table
            .ended
            .iter()
            .chain(table.live.values())
            .cloned()
            .collect()
    }

    pub(crate) fn end(&self, id: &str, reason: &'static str) {
        if let Some(handle) = self.find(id) {
            handle.end(reason);
            self.sweep(Instant::now(), Duration::MAX);
        }
    }

    /// Ends what has expired and sets aside what has ended.
    pub(crate) fn sweep(&self, now: Instant, timeout: Duration) {
        let mut table = lock(&self.table);
        let mut ended = Vec::new();
        for (id, handle) in &table.live {
            let mut session = handle.lock();
            session.expire(now, timeout);
            if matches!(session.link(), Link::Ended { .. }) {
                ended.push(id.clone());
            }
        }
        if ended.is_empty() {
            return;
        }
        for id in ended {
            if let Some(handle) = table.live.remove(&id) {
                handle.room.notify_waiters();
                table.ended.push_back(handle);
            }
        }
        while table.ended.len() > KEPT {
            table.ended.pop_front();
        }
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Changes whenever [`Self::routes`] would.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// A snapshot of who gets what.
    pub(crate) fn routes(&self) -> Routes {
        let mut routes = Routes::default();
        for handle in self.live() {
            let [id, count] = handle.identity.shard;
            let position = routes.sets.iter().position(|set| set.count == count);
            let position = position.unwrap_or_else(|| {
                routes.sets.push(Set {
                    count,
                    shards: HashMap::new(),
                });
                routes.sets.len() - 1
            });
            if let Some(set) = routes.sets.get_mut(position) {
                set.shards.entry(id).or_default().push(handle);
            }
        }
        routes
    }
}

/// The living sessions by number of shards and shard.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    sets: Vec<Set>,
}

#[derive(Debug)]
struct Set {
    count: u32,
    shards: HashMap<u32, Vec<Arc<Handle>>>,
}

impl Routes {
    pub(crate) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// The sessions that get an event of that guild, or one without a guild, and have one of the intents.
    pub(crate) fn recipients<'a>(
        &'a self,
        guild_id: Option<u64>,
        required: u64,
    ) -> impl Iterator<Item = &'a Arc<Handle>> + use<'a> {
        self.sets.iter().flat_map(move |set| {
            let shard = guild_id.map_or(0, |guild| guilds::shard_of(guild, set.count));
            let handles = set
                .shards
                .get(&shard)
                .map(Vec::as_slice)
                .unwrap_or_default();
            handles
                .iter()
                .filter(move |handle| required == 0 || handle.identity.intents & required != 0)
        })
    }
}
