//! How many shards there are, and how their number changes: what the replicas agree on in the store.

use crate::{
    Error,
    advice::Adviser,
    reshard::{self, Advice, Calm, Tails, Turn},
    shared::Shared,
};
use boot::chain;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use store::{Application, Fleet, Lease, Phase, Plan, Replica, Shard};
use tokio::time::Instant;
use wire::gateway::v1::{Reshard, ReshardPhase};

/// How old Discord's word may be when so many identifies depend on it.
const FRESH: Duration = Duration::from_secs(30);

/// What a change of the number of shards depends on.
#[derive(Debug)]
pub(crate) struct Policy {
    /// By how much a recommendation has to exceed what there is.
    pub(crate) threshold: f64,
    /// How many identifies are left unused.
    pub(crate) reserve: u32,
    /// Asks Discord.
    pub(crate) adviser: Adviser,
}

/// What this replica makes of it.
#[derive(Debug)]
pub(super) struct Resharding {
    me: Replica,
    policy: Policy,
    /// How long all has been in place.
    calm: Calm,
    /// What the shards are told.
    turn: Turn,
    /// Sets that are closed, and still to be forgotten.
    closed: BTreeSet<u32>,
    /// The size of a set that there are not enough identifies for.
    postponed: Option<u32>,
}

impl Resharding {
    /// Nothing is known yet.
    pub(super) fn new(me: Replica, policy: Policy) -> Self {
        Self {
            me,
            policy,
            calm: Calm::default(),
            turn: Turn::default(),
            closed: BTreeSet::new(),
            postponed: None,
        }
    }

    /// Whether there is something to look after.
    pub(super) fn is_moving(&self) -> bool {
        self.turn.plan.next.is_some() || !self.closed.is_empty()
    }

    /// Whether shards had better stay where they are.
    pub(super) fn is_switching(&self) -> bool {
        self.turn.plan.phase == Phase::Switching
    }

    /// The store does not answer.
    pub(super) fn unheard(&mut self) {
        self.calm.disturb();
    }

    /// Follows the plan, or takes its next step; `None` when that did not work out. `asked` is when
    /// the store was asked how things are.
    ///
    /// # Errors
    ///
    /// What a person has to change.
    pub(super) async fn settle(
        &mut self,
        store: &Application,
        shared: &Shared,
        fleet: &Fleet,
        asked: Instant,
    ) -> Result<Option<&Turn>, Error> {
        if let Some(plan) = &fleet.plan {
            // Another replica may have changed it.
            self.relieve(plan);
        }
        let is_settled = self.calm.note(fleet, asked);
        let wanted = reshard::wanted(fleet, &self.me.id, self.advice(fleet)?);
        let mut plan = fleet.plan.clone();
        let step = reshard::step(fleet, wanted, is_settled);
        if step.is_none() {
            self.postponed = None;
        }
        if let Some(step) = step
            && self.may(store, fleet, &step).await
        {
            // Somebody else's step is in the answer to the next heartbeat, and so is whoever came or went.
            let Some(holds) = written(store.plan(fleet, &step).await) else {
                return Ok(None);
            };
            self.stepped(plan.as_ref(), &holds, shared);
            plan = Some(holds);
        }
        let Some(plan) = plan else {
            return Ok(None);
        };
        self.check(&plan)?;
        Ok(self.follow(store, shared, fleet, plan, asked).await)
    }

    /// Follows this plan; `None` when it cannot be told how far it is.
    async fn follow(
        &mut self,
        store: &Application,
        shared: &Shared,
        fleet: &Fleet,
        plan: Plan,
        asked: Instant,
    ) -> Option<&Turn> {
        let tails = self.tails(store, fleet, &plan).await?;
        self.relieve(&plan);
        let has_begun = fleet.plan.as_ref().map(|plan| plan.phase) == Some(Phase::Switching);
        self.turn = Turn {
            as_of: if has_begun {
                self.turn.as_of
            } else {
                Some(asked)
            },
            plan,
            tails: Arc::new(tails),
        };
        self.forget(store, fleet).await;
        self.show(shared);
        Some(&self.turn)
    }

    /// What Discord refused was the set before, if there is another one.
    fn relieve(&self, plan: &Plan) {
        if plan.current != self.turn.plan.current {
            self.policy.adviser.relieved();
        }
    }

    /// The shards that there should be.
    pub(super) fn shards(&self) -> BTreeSet<Shard> {
        let ended = |id| self.turn.tails.contains_key(&id);
        reshard::shards(&self.turn.plan, ended)
    }

    /// What Discord has told this replica.
    ///
    /// # Errors
    ///
    /// When Discord wants more shards and recommends no more.
    fn advice(&self, fleet: &Fleet) -> Result<Advice, Error> {
        let said = self.policy.adviser.said();
        let refused_at = self.policy.adviser.refused_at();
        let refused = refused_at.filter(|at| *at < said.at);
        if let (Some(_), Some(plan)) = (refused, &fleet.plan)
            && plan.next.is_none()
            && said.shards <= plan.current
        {
            let count = plan.current;
            return Err(Error::ShardingRequired { count });
        }
        Ok(Advice {
            recommended: said.shards,
            threshold: self.policy.threshold,
            is_required: refused.is_some(),
        })
    }

    /// Whether a step can be taken now: a set that is to connect has to have its identifies, one of the
    /// same size has to be gone, and nothing may be left of an earlier end of the current one.
    async fn may(&mut self, store: &Application, fleet: &Fleet, step: &Plan) -> bool {
        let (Some(plan), Some(next), Phase::Warming) = (&fleet.plan, step.next, step.phase) else {
            self.postponed = None;
            return true;
        };
        let said = self.policy.adviser.said();
        if said.at.elapsed() > FRESH {
            self.policy.adviser.ask();
            return false;
        }
        if said.identifies < next.saturating_add(self.policy.reserve) {
            if self.postponed.replace(next) != Some(next) {
                tracing::error!(
                    from = plan.current,
                    to = next,
                    identifies_left = said.identifies,
                    reserve = self.policy.reserve,
                    "the number of shards is to change, but there are not enough identifies left for \
                     the new set: it waits until there are"
                );
            }
            return false;
        }
        self.postponed = None;
        let is_alive = |lease: &Lease| lease.shard.count == next && lease.remaining.is_some();
        if fleet.leases.iter().any(is_alive) {
            return false;
        }
        match store.tails(plan.current).await {
            // They would end this set before its time.
            Ok(tails) => tails.is_empty(),
            Err(error) => forgiven("the tails cannot be read", &error),
        }
    }

    /// This replica took a step of the plan.
    fn stepped(&mut self, before: Option<&Plan>, now: &Plan, shared: &Shared) {
        let Some(before) = before else {
            return;
        };
        let (from, dropped) = (before.current, before.next);
        let is_done = now.current != from;
        let to = if is_done {
            Some(now.current)
        } else {
            now.next.or(dropped)
        };
        let (phase, detail) = match now.phase {
            Phase::Warming => (
                ReshardPhase::Warming,
                "the number of shards changes: the new set connects beside the old one",
            ),
            Phase::Switching => (
                ReshardPhase::Switching,
                "the new set of shards is ready and takes over",
            ),
            Phase::Steady if is_done => (
                ReshardPhase::Done,
                "the number of shards has changed: the old set is closed",
            ),
            Phase::Steady => (
                ReshardPhase::Abandoned,
                "the number of shards stays after all: the new set is closed",
            ),
        };
        tracing::info!(from, to, "{detail}");
        shared.board.reshard(Reshard {
            from_count: from,
            to_count: to.unwrap_or(from),
            phase: phase.into(),
            detail: detail.to_owned(),
        });
        let wanted = [Some(now.current), now.next];
        let gone = [Some(from), dropped].into_iter().flatten();
        self.closed
            .extend(gone.filter(|count| !wanted.contains(&Some(*count))));
    }

    /// Whether this replica may run shards that the plan does not have.
    ///
    /// # Errors
    ///
    /// When it was told to.
    fn check(&self, plan: &Plan) -> Result<(), Error> {
        // With a count of its own the ids were checked, and the plan comes to it.
        if self.me.shard_count.is_some() {
            return Ok(());
        }
        let count = plan.next.unwrap_or_default().max(plan.current);
        let mut ids = self.me.shard_ids.iter().flatten().copied();
        ids.find(|id| *id >= count)
            .map_or(Ok(()), |id| Err(Error::NoSuchShard { id, count }))
    }

    /// What the shards of the current set have left; `None` when that cannot be told.
    async fn tails(&self, store: &Application, fleet: &Fleet, plan: &Plan) -> Option<Tails> {
        if plan.phase != Phase::Switching {
            return Some(Tails::new());
        }
        match store.tails(plan.current).await {
            Ok(mut tails) => {
                // Nobody runs those that nobody may run.
                let all = 0..plan.current;
                for id in all.filter(|id| !reshard::can_be_held(&fleet.replicas, *id)) {
                    tails.entry(id).or_default();
                }
                Some(tails)
            }
            Err(error) => {
                forgiven("the tails cannot be read", &error);
                None
            }
        }
    }

    /// Forgets sets whose last shard has ended.
    async fn forget(&mut self, store: &Application, fleet: &Fleet) {
        let plan = &self.turn.plan;
        let wanted = [Some(plan.current), plan.next];
        self.closed.retain(|count| !wanted.contains(&Some(*count)));
        for count in self.closed.clone() {
            let mut held = fleet
                .leases
                .iter()
                .filter(|lease| lease.remaining.is_some());
            if held.any(|lease| lease.shard.count == count) {
                continue;
            }
            match store.forget(count).await {
                Ok(()) => {
                    self.closed.remove(&count);
                }
                Err(error) => {
                    forgiven("a closed set cannot be forgotten", &error);
                }
            }
        }
    }

    /// Says how far it is, where that shows.
    fn show(&self, shared: &Shared) {
        let Plan { next, phase, .. } = &self.turn.plan;
        shared.metrics.reshard_phase(match phase {
            Phase::Steady => 0,
            Phase::Warming => 1,
            Phase::Switching => 2,
        });
        shared.metrics.reshard_postponed(self.postponed.is_some());
        shared
            .board
            .beside(next.filter(|_| *phase == Phase::Warming));
    }
}

fn written(answer: Result<Option<Plan>, store::Error>) -> Option<Plan> {
    let unwritten = |error: &store::Error| {
        forgiven("the plan cannot be written", error);
    };
    answer.inspect_err(unwritten).ok().flatten()
}

/// The next heartbeat tries again. Always `false`.
fn forgiven(what: &str, error: &store::Error) -> bool {
    tracing::debug!(error = chain(error), "{what}; trying on");
    false
}
