//! The task that decides which shards of an application run in this process.
//!
//! It sends a heartbeat to the store every third of a lease, which renews the leases, and at once
//! when the store's version says that something changed: then it takes what nobody holds and hands
//! over what others should have. Shards run in tasks of their own and never wait for any of this.
//! A hand-over goes in this order: the shard stops reading, closes its connection in a way that
//! keeps the session, waits for the broker's confirms, and ends; then its session is saved and its
//! lease released, in one step. The next owner resumes.
//!
//! Heartbeats and releases never overlap: a heartbeat that was on its way would renew a lease that
//! was just released.

mod crew;
mod parting;
mod resharding;
mod vacancy;

pub(crate) use self::{crew::Crew, resharding::Policy};

use self::{crew::Finished, parting::Partings, resharding::Resharding, vacancy::Vacancies};
use crate::{
    Error,
    assignment::{Moves, View},
    keeper::Fenced,
    shared::Shared,
};
use boot::{Check, chain};
use futures_util::future::join_all;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use store::{Acquired, Fleet, Held, Lease, Replica, Saved, Session, Shard};
use tokio::{
    sync::{Notify, mpsc},
    time::{self, Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use wire::gateway::v1::ShardReason;

/// How often it looks whether somebody changed something.
const POLL: Duration = Duration::from_millis(200);

/// How often it looks while the number of shards changes.
const MOVING: Duration = Duration::from_millis(500);

/// How long somebody may take to accept a shard before the next one is handed over.
const ACCEPTING: Duration = Duration::from_secs(5);

/// How long the store may take to accept the last sessions of a process that stops.
const PARTING: Duration = Duration::from_secs(5);

/// What the owner is made of.
pub(crate) struct Parts {
    /// The state that all replicas share.
    pub(crate) store: store::Application,
    /// Whether there can be other replicas.
    pub(crate) is_shared: bool,
    /// This process.
    pub(crate) me: Replica,
    /// How long a lease holds.
    pub(crate) ttl: Duration,
    /// The shards' tasks.
    pub(crate) crew: Crew,
    /// What all shards share.
    pub(crate) shared: Arc<Shared>,
    /// Shards whose sessions the store refused.
    pub(crate) fenced: mpsc::Receiver<Fenced>,
    /// Tells the keeper that the store has lost what it knew.
    pub(crate) again: Arc<Notify>,
    /// What `/readyz` says of the leases.
    pub(crate) leases: Check,
    /// What it says of the sessions, until they can be read for the first time.
    pub(crate) sessions: Check,
}

/// The state of the task.
pub(crate) struct Owner {
    parts: Parts,
    /// What is settled about the sets of shards.
    resharding: Resharding,
    /// The shards that there should be; none before the first heartbeat.
    wanted: BTreeSet<Shard>,
    /// Which unowned shards may be taken.
    vacancies: Vacancies,
    /// Shards that ended here, and are still to be released.
    partings: Partings,
    /// The shard that was handed over last, and when.
    given: Option<(Shard, Instant)>,
    /// The store's version at the last heartbeat, and how old its knowledge was.
    seen: Option<(u64, Duration)>,
    /// When the next heartbeat is due.
    next_beat: Instant,
    /// Whether the store did not answer last.
    is_away: bool,
    /// When it was told to stop.
    leaving_since: Option<Instant>,
    /// What a person has to change, if that is why it stops.
    failure: Option<Error>,
}

impl Owner {
    /// An owner without shards.
    pub(crate) fn new(parts: Parts, policy: Policy) -> Self {
        let grace = if parts.is_shared {
            (parts.ttl / 3).max(Duration::from_secs(1))
        } else {
            Duration::ZERO
        };
        Self {
            resharding: Resharding::new(parts.me.clone(), policy),
            wanted: BTreeSet::new(),
            vacancies: Vacancies::new(grace),
            partings: Partings::default(),
            given: None,
            seen: None,
            next_beat: Instant::now(),
            is_away: false,
            leaving_since: None,
            failure: None,
            parts,
        }
    }

    /// Runs until `shutdown`, and until all shards are handed over then; or until Discord refuses
    /// a shard for good.
    ///
    /// # Errors
    ///
    /// What a person has to change before the shards can connect.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> Result<(), Error> {
        let mut poll = time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if self.leaving_since.is_none() => self.leave().await,
                Some(finished) = self.parts.crew.finished() => self.finished(finished),
                Some((shard, token)) = self.parts.fenced.recv() => self.fence(shard, token),
                _ = poll.tick() => self.look().await,
            }
            if self.failure.is_some() && self.leaving_since.is_none() {
                self.leave().await;
            }
            self.release().await;
            if self.is_done() {
                break;
            }
        }
        self.partings.give_up();
        if let Err(error) = self.parts.store.leave(&self.parts.me.id).await {
            tracing::debug!(%error, "the other replicas will notice by themselves that this one left");
        }
        self.failure.map_or(Ok(()), Err)
    }

    /// Whether there is nothing left to do, or nothing that can be done.
    fn is_done(&self) -> bool {
        let Some(since) = self.leaving_since else {
            return false;
        };
        if !self.parts.crew.is_empty() {
            return false;
        }
        self.partings.is_empty() || since.elapsed() > PARTING
    }

    /// Sends a heartbeat if one is due, or if the store knows something new.
    async fn look(&mut self) {
        if Instant::now() < self.next_beat {
            let seen = self.seen.map(|(version, _)| version);
            let version = self.parts.store.version().await;
            // That the store is away is for the next heartbeat to find out.
            if version.is_err() || version.ok() == seen {
                return;
            }
        }
        self.beat().await;
    }

    /// Sends a heartbeat, and acts on the answer.
    async fn beat(&mut self) {
        let board = &self.parts.shared.board;
        let held = self.parts.crew.held();
        let held: Vec<Held> = held
            .map(|(shard, token)| Held {
                shard,
                token,
                status: board.status(shard),
            })
            .collect();
        let began = Instant::now();
        match self
            .parts
            .store
            .beat(&self.parts.me, self.parts.ttl, &held)
            .await
        {
            Ok(fleet) => {
                self.next_beat = began + self.parts.ttl / 3;
                self.heard(fleet, began).await;
                if self.resharding.is_moving() {
                    self.next_beat = self.next_beat.min(began + MOVING);
                }
            }
            Err(error) => {
                self.next_beat = began;
                self.unheard(&error, began);
            }
        }
    }

    /// The store does not answer: shards go on as they are, and say so.
    fn unheard(&mut self, error: &store::Error, asked: Instant) {
        // Nobody can take a shard away while the store is away.
        self.parts.shared.pulse.missed(asked);
        self.parts.shared.metrics.store_up(false);
        let reason = chain(error);
        if self.seen.is_none() {
            self.parts
                .sessions
                .down(format!("cannot load the sessions: {reason}"));
        }
        if !self.is_away {
            tracing::warn!(
                reason,
                "the store is away: shards go on, but none is taken or handed over"
            );
        }
        self.is_away = true;
        self.vacancies.forget();
        self.resharding.unheard();
        self.parts.leases.down(reason);
    }

    /// The store says how things are.
    async fn heard(&mut self, fleet: Fleet, asked: Instant) {
        for shard in &fleet.lost {
            if let Some(token) = self.parts.crew.token(*shard) {
                self.fence(*shard, token);
            }
        }
        self.parts.shared.pulse.beat(asked);
        self.parts.shared.metrics.store_up(true);
        self.parts.leases.up();
        if self.seen.is_none() {
            self.parts.sessions.up();
        }
        if std::mem::take(&mut self.is_away) {
            tracing::info!("the store is back");
        }
        let lost_its_memory = self.seen.is_some_and(|(_, age)| fleet.age < age);
        if lost_its_memory {
            tracing::warn!("the store has lost what it knew: saving all sessions again");
            self.parts.again.notify_one();
        }
        self.seen = Some((fleet.version, fleet.age));
        for corrupt in &fleet.corrupt {
            if self.parts.shared.logged.first(corrupt.clone()) {
                tracing::error!("{corrupt}");
            }
        }
        // A process that stops takes no step.
        if self.parts.shared.halted.is_cancelled() || self.leaving_since.is_some() {
            return;
        }
        match self.settle(&fleet, asked).await {
            Ok(true) => self.arrange(&fleet).await,
            Ok(false) => {}
            Err(error) => self.failure = Some(error),
        }
    }

    /// Follows the plan, or takes its next step; whether it is known which shards there should be.
    async fn settle(&mut self, fleet: &Fleet, asked: Instant) -> Result<bool, Error> {
        let Parts { store, shared, .. } = &self.parts;
        let settled = self.resharding.settle(store, shared, fleet, asked).await?;
        let Some(turn) = settled else {
            return Ok(false);
        };
        self.parts.crew.tell(turn.clone());
        let wanted = self.resharding.shards();
        if wanted != self.wanted {
            tracing::info!(
                shards = wanted.len(),
                replica = self.parts.me.id,
                "running shards of this set"
            );
            self.wanted = wanted;
        }
        Ok(true)
    }

    /// Takes what nobody holds and hands over what others should have.
    async fn arrange(&mut self, fleet: &Fleet) {
        let leases = self.leases(fleet);
        self.vacancies.note(&leases, fleet.age);
        let moves = Moves::new(View {
            me: &self.parts.me.id,
            replicas: &fleet.replicas,
            leases: &leases,
            wanted: &self.wanted,
        });
        let (free, waiting): (Vec<Shard>, Vec<Shard>) = moves
            .take
            .iter()
            .filter(|shard| !self.parts.crew.has(**shard) && !self.partings.has(**shard))
            .partition(|shard| self.vacancies.is_free(**shard));
        let obstacle = (!waiting.is_empty()).then(|| {
            format!(
                "{} shards wait until it is certain that nobody runs them",
                waiting.len()
            )
        });
        if !waiting.is_empty() {
            self.next_beat = self.next_beat.min(Instant::now() + POLL);
        }
        self.take(&free).await;
        self.give(&moves.give, &leases);
        self.parts.shared.board.obstacle(obstacle);
        self.parts.shared.metrics.leases(self.parts.crew.len());
        if !moves.orphans.is_empty() && self.parts.shared.logged.first("orphans") {
            tracing::info!(
                shards = moves.orphans.len(),
                "shards that no replica may run: DISCORD_SHARD_IDS leaves them out (logged once)"
            );
        }
    }

    /// The leases, but for those that this process has without knowing: it asked for them, and
    /// never heard the answer. To ask again is the way to them.
    fn leases(&self, fleet: &Fleet) -> Vec<Lease> {
        let known = |lease: &&Lease| {
            lease.replica != self.parts.me.id
                || self.parts.crew.has(lease.shard)
                || self.partings.has(lease.shard)
        };
        fleet.leases.iter().filter(known).cloned().collect()
    }

    /// Takes these shards and starts them.
    async fn take(&mut self, shards: &[Shard]) {
        let Parts { store, me, ttl, .. } = &self.parts;
        let taking = shards
            .iter()
            .map(|shard| store.acquire(*shard, &me.id, *ttl));
        for (shard, taken) in shards.iter().zip(join_all(taking).await) {
            match taken {
                Ok(Acquired::Held { by }) => {
                    tracing::debug!(shard = shard.id, replica = by, "another replica was faster");
                }
                Ok(Acquired::Taken { token, session }) => {
                    let session = found(*shard, session);
                    self.parts.crew.start(*shard, token, session);
                }
                Err(error) => tracing::warn!(
                    shard = shard.id,
                    error = chain(&error),
                    "a shard cannot be taken; trying on"
                ),
            }
        }
    }

    /// Hands over the first of these shards, unless one is on its way already.
    fn give(&mut self, shards: &[Shard], leases: &[Lease]) {
        // A set that is no longer wanted ends at once.
        let unwanted = self.parts.crew.held().map(|(shard, _)| shard);
        let unwanted: Vec<Shard> = unwanted
            .filter(|shard| !self.wanted.contains(shard))
            .collect();
        for shard in unwanted {
            self.parts.crew.stop(shard, ShardReason::Reshard);
        }
        let is_accepted = |given: &Shard| {
            let held = |lease: &Lease| lease.shard == *given && lease.remaining.is_some();
            leases.iter().any(held)
        };
        let on_its_way = self.given.as_ref().is_some_and(|(shard, since)| {
            self.parts.crew.has(*shard) || (since.elapsed() < ACCEPTING && !is_accepted(shard))
        });
        // Those of a set that ends are about to, and the others are about to take over.
        if on_its_way || self.resharding.is_switching() {
            return;
        }
        if let Some(shard) = shards.iter().find(|shard| self.parts.crew.runs(**shard)) {
            tracing::info!(shard = shard.id, "handing a shard over to another replica");
            self.given = Some((*shard, Instant::now()));
            self.parts.crew.stop(*shard, ShardReason::HandOver);
        }
    }

    /// Another replica holds this shard: it ends here, and nothing more is saved of it.
    fn fence(&mut self, shard: Shard, token: u64) {
        if self.parts.crew.fence(shard, token) {
            self.parts.shared.metrics.fenced();
            tracing::warn!(
                shard = shard.id,
                "another replica has taken this shard over, because this one was not heard of for \
                 too long: it ends here"
            );
        }
    }

    /// A shard's task has ended.
    fn finished(&mut self, mut finished: Finished) {
        if let Err(error) = std::mem::replace(&mut finished.outcome, Ok(()))
            && self.failure.is_none()
        {
            self.failure = Some(error);
        }
        if !finished.is_fenced {
            self.partings.add(finished);
        }
    }

    /// Releases the leases of shards that ended.
    async fn release(&mut self) {
        while let Some(finished) = self.parts.crew.try_finished() {
            self.finished(finished);
        }
        let Parts { store, shared, .. } = &self.parts;
        self.partings.release(store, &shared.metrics).await;
    }

    /// Tells the others, and lets all shards end.
    async fn leave(&mut self) {
        self.leaving_since = Some(Instant::now());
        let obstacle = match &self.failure {
            None => "stopping".to_owned(),
            Some(failure) => chain(failure),
        };
        self.parts.me.leaving = true;
        self.parts.shared.board.obstacle(Some(obstacle));
        self.beat().await;
        let reason = match self.failure {
            None => ShardReason::Shutdown,
            Some(_) => ShardReason::Refused,
        };
        self.parts.crew.stop_all(reason);
    }
}

/// What to begin with, of what was saved. That something unreadable counts as nothing is a decision
/// that costs an IDENTIFY, so it is said aloud.
fn found(shard: Shard, saved: Saved) -> Option<Session> {
    match saved {
        Saved::Corrupt { key, field, reason } => {
            tracing::error!(
                shard = shard.id,
                key,
                field,
                reason,
                "the saved session cannot be read: it is given up, and the shard identifies anew"
            );
            None
        }
        Saved::None => None,
        Saved::Some(session) => Some(session),
    }
}
