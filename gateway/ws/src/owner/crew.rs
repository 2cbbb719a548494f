//! The tasks of the shards that run in this process.

use crate::{
    Error,
    command::Commands,
    config,
    event::Encoder,
    keeper::Report,
    reshard::{self, Turn},
    shard,
    shard::Left,
    shared::Shared,
};
use boot::chain;
use std::{borrow::Cow, collections::BTreeMap, panic, sync::Arc};
use store::{Session, Shard};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use transcode::Transcoder;
use wire::gateway::v1::ShardReason;

/// The shards of this process, and what they are started with.
pub(crate) struct Crew {
    application: config::Application,
    shared: Arc<Shared>,
    commands: Commands,
    reports: mpsc::Sender<Report>,
    transcoder: Arc<Transcoder>,
    handles: BTreeMap<Shard, Handle>,
    tasks: JoinSet<(Shard, shard::Ended)>,
    /// What the shards know of a change of their number.
    turn: watch::Sender<Turn>,
}

/// A shard's task from outside.
#[derive(Debug)]
struct Handle {
    token: u64,
    stop: CancellationToken,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Somebody else holds the shard: it is to end, and saves nothing.
    Fenced,
    Running,
    /// It ends, and hands over its session.
    Stopping {
        since: Instant,
        reason: ShardReason,
    },
}

/// A shard that has ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) shard: Shard,
    pub(super) token: u64,
    /// What it leaves to whoever comes after it.
    pub(super) left: Left,
    /// Whether somebody else holds the shard.
    pub(super) is_fenced: bool,
    /// When it was told to stop, or ended by itself.
    pub(super) since: Instant,
    /// What a person has to change, if that is why it ended.
    pub(super) outcome: Result<(), Error>,
}

impl Crew {
    /// No shards yet.
    pub(crate) fn new(
        application: config::Application,
        shared: Arc<Shared>,
        commands: Commands,
        reports: mpsc::Sender<Report>,
        transcoder: Arc<Transcoder>,
    ) -> Self {
        Self {
            application,
            shared,
            commands,
            reports,
            transcoder,
            handles: BTreeMap::new(),
            tasks: JoinSet::new(),
            turn: watch::Sender::default(),
        }
    }

    /// How many shards there are, which commands go by, and how far a change of that is.
    pub(super) fn tell(&self, turn: Turn) {
        self.commands.set_count(reshard::commanded(&turn.plan));
        self.turn.send_replace(turn);
    }

    /// Starts a shard that takes up this session.
    pub(super) fn start(&mut self, shard: Shard, token: u64, session: Option<Session>) {
        let line = self.commands.attach(shard);
        self.shared.board.add(shard, session.is_some());
        let id = self.shared.application_id;
        let encoder = Encoder::new(shard, id, &self.application, &self.transcoder);
        let lease = shard::Lease { shard, token };
        let turn = self.turn.subscribe();
        let (reports, shared) = (self.reports.clone(), Arc::clone(&self.shared));
        let task = shard::Shard::new(lease, session, encoder, reports, line, turn, shared);
        let stop = self.shared.halted.child_token();
        let stopping = stop.clone();
        self.tasks
            .spawn(async move { (shard, task.run(stopping).await) });
        let state = State::Running;
        self.handles.insert(shard, Handle { token, stop, state });
    }

    /// Lets a shard end and hand over its session.
    pub(super) fn stop(&mut self, shard: Shard, reason: ShardReason) {
        if let Some(handle) = self.handles.get_mut(&shard)
            && matches!(handle.state, State::Running)
        {
            let since = Instant::now();
            handle.state = State::Stopping { since, reason };
            handle.stop.cancel();
            self.commands.detach(shard);
        }
    }

    /// Lets all shards end.
    pub(super) fn stop_all(&mut self, reason: ShardReason) {
        let shards: Vec<Shard> = self.handles.keys().copied().collect();
        for shard in shards {
            self.stop(shard, reason);
        }
    }

    /// Lets a shard end without its session, if it still has this token. Whether it was one that
    /// was not ending so already.
    pub(super) fn fence(&mut self, shard: Shard, token: u64) -> bool {
        let Some(handle) = self.handles.get_mut(&shard) else {
            return false;
        };
        if handle.token != token || matches!(handle.state, State::Fenced) {
            return false;
        }
        handle.state = State::Fenced;
        handle.stop.cancel();
        self.commands.detach(shard);
        true
    }

    /// The shards whose leases are to be renewed, with their tokens.
    pub(super) fn held(&self) -> impl Iterator<Item = (Shard, u64)> {
        let held = |(_, handle): &(&Shard, &Handle)| !matches!(handle.state, State::Fenced);
        let held = self.handles.iter().filter(held);
        held.map(|(shard, handle)| (*shard, handle.token))
    }

    /// The token of a shard that runs here, or ends.
    pub(super) fn token(&self, shard: Shard) -> Option<u64> {
        self.handles.get(&shard).map(|handle| handle.token)
    }

    /// Whether the shard runs here, or ends.
    pub(super) fn has(&self, shard: Shard) -> bool {
        self.handles.contains_key(&shard)
    }

    /// Whether the shard runs here, and was not told to end.
    pub(super) fn runs(&self, shard: Shard) -> bool {
        let state = self.handles.get(&shard).map(|handle| handle.state);
        matches!(state, Some(State::Running))
    }

    /// How many shards there are here.
    pub(super) fn len(&self) -> usize {
        self.handles.len()
    }

    /// Whether none is left.
    pub(super) fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// The next shard that has ended; `None` when there are no shards. Cancel safe.
    pub(super) async fn finished(&mut self) -> Option<Finished> {
        let ended = self.tasks.join_next().await?;
        self.left(ended)
    }

    /// A shard that has ended, if there is one.
    pub(super) fn try_finished(&mut self) -> Option<Finished> {
        let ended = self.tasks.try_join_next()?;
        self.left(ended)
    }

    /// A task has ended: takes it off the list.
    fn left(&mut self, ended: Result<(Shard, shard::Ended), JoinError>) -> Option<Finished> {
        let (shard, ended) = match ended {
            Ok(ended) => ended,
            // The task around this one says which it was.
            Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
            Err(_) => return None,
        };
        let handle = self.handles.remove(&shard)?;
        let is_halted = self.shared.halted.is_cancelled();
        let (reason, detail) = why(&ended.outcome, handle.state, is_halted);
        self.shared.board.remove(shard, reason, &detail);
        Some(Finished {
            shard,
            token: handle.token,
            left: ended.left,
            is_fenced: matches!(handle.state, State::Fenced),
            since: match handle.state {
                State::Stopping { since, .. } => since,
                State::Fenced | State::Running => Instant::now(),
            },
            outcome: ended.outcome,
        })
    }
}

/// Why a shard has ended, for workers.
fn why(
    outcome: &Result<(), Error>,
    state: State,
    is_halted: bool,
) -> (ShardReason, Cow<'static, str>) {
    let reason = match (outcome, state) {
        (Err(error), _) => return (ShardReason::Refused, chain(error).into()),
        (Ok(()), State::Fenced) => ShardReason::LeaseLost,
        (Ok(()), State::Running) if is_halted => ShardReason::Refused,
        // Its set has ended.
        (Ok(()), State::Running) => ShardReason::Reshard,
        (Ok(()), State::Stopping { reason, .. }) => reason,
    };
    let detail = match reason {
        ShardReason::HandOver => "handed over to another replica",
        ShardReason::LeaseLost => "another replica has taken it over",
        ShardReason::Refused => "Discord has refused another shard of the application",
        ShardReason::Reshard => "its set of shards is not wanted any more",
        ShardReason::Shutdown => "the replica is being stopped",
        _ => "it ended",
    };
    (reason, detail.into())
}
