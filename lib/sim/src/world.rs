//! What all parts of the simulator share.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sim_voice::lock;
use tokio::{sync::watch, time::Instant};

use crate::{
    config::Config,
    error::Error,
    faults::{Faults, Times},
    gateway::{connections::Connections, sessions::Sessions},
    generator::Emission,
    guilds::{self, Guilds},
    interactions::Signer,
    ledger::Ledger,
    names::Names,
    rest::Rest,
    violations::Violations,
    voice::Voice,
};

/// Where the simulator listens.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Urls {
    /// Base of the REST routes, with the version.
    pub api: String,
    /// Base of the control routes.
    pub control: String,
    /// What `GET /gateway` answers.
    pub gateway: String,
    /// What READY names for resumes.
    pub resume: String,
    /// Where VOICE_SERVER_UPDATE leads.
    pub voice: String,
}

/// The shared state.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) started: Instant,
    pub(crate) urls: Urls,
    pub(crate) faults: watch::Sender<Faults>,
    pub(crate) sessions: Sessions,
    pub(crate) connections: Connections,
    pub(crate) violations: Arc<Violations>,
    pub(crate) voice: Voice,
    pub(crate) names: Names,
    pub(crate) emission: Emission,
    settings: Mutex<Settings>,
    signer: Signer,
    rest: Mutex<Rest>,
    ledger: Mutex<Ledger>,
    identifies: Mutex<BTreeMap<[u32; 2], u64>>,
    resumes: AtomicU64,
    resume_door_tried: Mutex<Option<Instant>>,
    member_lists: Mutex<HashMap<u64, Instant>>,
}

#[derive(Debug)]
struct Settings {
    config: Arc<Config>,
    guilds: Guilds,
}

/// Settings that fill the identify ledger anew.
const LEDGER_KEYS: [&str; 4] = ["token", "total", "remaining", "reset_after_ms"];

impl World {
    pub(crate) fn new(
        config: Config,
        urls: Urls,
        emission: Emission,
        (violations, voice): (Arc<Violations>, Voice),
    ) -> Self {
        let started = violations.started();
        let ledger = Ledger::new(started, &config);
        let guilds = guilds::all(&config);
        let signer = Signer::new(config.application_id);
        Self {
            started,
            urls,
            faults: watch::Sender::new(Faults::default()),
            sessions: Sessions::default(),
            connections: Connections::new(started),
            violations,
            voice,
            names: Names::default(),
            emission,
            settings: Mutex::new(Settings {
                config: Arc::new(config),
                guilds,
            }),
            signer,
            rest: Mutex::default(),
            ledger: Mutex::new(ledger),
            identifies: Mutex::default(),
            resumes: AtomicU64::new(0),
            resume_door_tried: Mutex::new(None),
            member_lists: Mutex::default(),
        }
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&lock(&self.settings).config)
    }

    pub(crate) fn guilds(&self) -> Guilds {
        Arc::clone(&lock(&self.settings).guilds)
    }

    /// Changes settings; sessions that exist keep what they began with, unless their token or one of their intents is gone.
    pub(crate) fn change_settings(&self, patch: &Map<String, Value>) -> Result<Config, Error> {
        let (config, former) = {
            let mut settings = lock(&self.settings);
            let config = Arc::new(settings.config.patched(patch)?);
            settings.guilds = guilds::all(&config);
            let former = std::mem::replace(&mut settings.config, Arc::clone(&config));
            (config, former)
        };
        if LEDGER_KEYS.iter().any(|key| patch.contains_key(*key)) {
            *lock(&self.ledger) = Ledger::new(Instant::now(), &config);
        }
        if config.token != former.token {
            self.end_all_sessions("token reset");
        } else if config.allowed_intents != former.allowed_intents {
            self.end_disallowed_sessions(config.allowed_intents);
        }
        Ok(config.as_ref().clone())
    }

    pub(crate) fn identify_ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// What interactions are signed with.
    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    pub(crate) fn rest(&self) -> MutexGuard<'_, Rest> {
        lock(&self.rest)
    }

    /// Whether the fault happens now.
    pub(crate) fn take_fault(&self, fault: impl FnOnce(&mut Faults) -> &mut Times) -> bool {
        let mut taken = false;
        self.faults.send_if_modified(|faults| {
            taken = fault(faults).take();
            // Nobody waits for a count to go down.
            false
        });
        taken
    }

    pub(crate) fn end_all_sessions(&self, reason: &'static str) {
        for handle in self.sessions.live() {
            handle.end(reason);
        }
        self.sweep();
    }

    /// Ends the sessions that have an intent which is not allowed any more.
    fn end_disallowed_sessions(&self, allowed: u64) {
        for handle in self.sessions.live() {
            if handle.identity.intents & !allowed != 0 {
                handle.end("intents revoked");
            }
        }
        self.sweep();
    }

    /// Ends sessions that nobody came back to.
    pub(crate) fn sweep(&self) {
        let timeout = Duration::from_millis(self.config().session_timeout_ms);
        self.sessions.sweep(Instant::now(), timeout);
    }

    pub(crate) fn count_identify(&self, shard: [u32; 2]) {
        *lock(&self.identifies).entry(shard).or_default() += 1;
    }

    pub(crate) fn count_resume(&self) {
        self.resumes.fetch_add(1, Ordering::Relaxed);
    }

    /// Successful identifies, by shard id and number of shards.
    pub(crate) fn identifies(&self) -> BTreeMap<[u32; 2], u64> {
        lock(&self.identifies).clone()
    }

    /// Successful resumes.
    pub(crate) fn resumes(&self) -> u64 {
        self.resumes.load(Ordering::Relaxed)
    }

    pub(crate) fn resume_door_tried(&self, now: Instant) {
        *lock(&self.resume_door_tried) = Some(now);
    }

    pub(crate) fn resume_door_tried_since(&self, since: Instant) -> bool {
        lock(&self.resume_door_tried).is_some_and(|tried| tried >= since)
    }

    /// Notes a request for all members of a guild; how long ago the last one was granted.
    pub(crate) fn member_list_requested(&self, guild: u64, now: Instant) -> Option<Duration> {
        let mut lists = lock(&self.member_lists);
        let passed = lists
            .get(&guild)
            .map(|then| now.saturating_duration_since(*then));
        if passed.is_none_or(|passed| passed >= Duration::from_secs(30)) {
            lists.insert(guild, now);
        }
        passed
    }
}
