//! How the number of shards changes while everything goes on: pure, without I/O.
//!
//! The plan lies in the store, and nobody leads: every replica works out the same next step from
//! what the store says of the fleet, and writes it by compare-and-set.
//!
//! - Steady: one set of shards.
//! - Warming: the next set connects beside the current one, and holds its events back.
//! - Switching: all of the next set is connected. The shards of the current set end, each leaving a
//!   tail; then the next set publishes.
//!
//! The way back from warming is open, the one from switching is not: shards of the current set may
//! have ended already.

use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use store::{Fleet, Lease, Phase, Plan, Replica, Shard, Status};
use tokio::time::Instant;

/// How long all shards of both sets have to be with the same owners before the switch begins. What
/// a shard got again when it was taken over is old by then, and its tail is long enough.
const SETTLED: Duration = Duration::from_secs(20);

/// What this replica knows beside the fleet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advice {
    /// How many shards Discord recommends.
    pub(crate) recommended: u32,
    /// By how much a recommendation has to exceed what there is before the number changes.
    pub(crate) threshold: f64,
    /// Whether Discord refuses the shards that there are, because they have too many guilds.
    pub(crate) is_required: bool,
}

/// How many shards there should be, if it is for this replica to say.
///
/// The one that started last decides: in a rolling deploy it has the newest configuration. What it
/// is configured with everybody knows; what Discord has told it, it alone.
pub(crate) fn wanted(fleet: &Fleet, me: &str, advice: Advice) -> Option<u32> {
    let staying = fleet.replicas.iter().filter(|replica| !replica.leaving);
    let newest = staying.max_by_key(|replica| (replica.started_at_ms, &replica.id))?;
    if newest.shard_count.is_some() {
        return newest.shard_count;
    }
    if newest.id != me && !advice.is_required {
        return None;
    }
    let Some(plan) = &fleet.plan else {
        return Some(advice.recommended);
    };
    let count = plan.next.unwrap_or(plan.current);
    let much = f64::from(advice.recommended) >= f64::from(count) * advice.threshold;
    let grown = advice.recommended > count && (much || advice.is_required);
    Some(if grown { advice.recommended } else { count })
}

/// The next step of the plan, if one is due. The store gives it its revision. `is_settled`: whether
/// the next set may take over.
pub(crate) fn step(fleet: &Fleet, wanted: Option<u32>, is_settled: bool) -> Option<Plan> {
    let Some(plan) = &fleet.plan else {
        return Some(steady(wanted?));
    };
    let wanted = wanted.unwrap_or(plan.next.unwrap_or(plan.current));
    match (plan.phase, plan.next) {
        (Phase::Switching, Some(next)) => {
            let live = |lease: &Lease| lease.status == Status::Live;
            owners(fleet, next, live).map(|_| steady(next))
        }
        (Phase::Warming, Some(_)) if wanted == plan.current => Some(steady(plan.current)),
        (Phase::Warming, Some(next)) if wanted != next => {
            Some(towards(plan, wanted, Phase::Warming))
        }
        (Phase::Warming, Some(next)) => is_settled.then(|| towards(plan, next, Phase::Switching)),
        _ if wanted != plan.current => Some(towards(plan, wanted, Phase::Warming)),
        // A plan without a next set is steady, whatever it calls itself.
        _ => (plan.phase != Phase::Steady).then(|| steady(plan.current)),
    }
}

/// Since when both sets are as they are.
#[derive(Debug, Default)]
pub(crate) struct Calm(Option<(Instant, Vec<(Shard, u64)>)>);

impl Calm {
    /// The store says how things are; whether the next set may take over.
    pub(crate) fn note(&mut self, fleet: &Fleet, now: Instant) -> bool {
        let Some(owners) = Self::owners(fleet) else {
            self.0 = None;
            return false;
        };
        match &self.0 {
            Some((since, before)) if *before == owners => now.duration_since(*since) >= SETTLED,
            _ => {
                self.0 = Some((now, owners));
                false
            }
        }
    }

    /// The store did not answer: what happened meanwhile is not known.
    pub(crate) fn disturb(&mut self) {
        self.0 = None;
    }

    /// The leases of both sets, if every shard has an owner, and those of the next set stand by.
    fn owners(fleet: &Fleet) -> Option<Vec<(Shard, u64)>> {
        let plan = fleet.plan.as_ref();
        let plan = plan.filter(|plan| plan.phase == Phase::Warming)?;
        let standby = |lease: &Lease| lease.status == Status::Standby;
        let mut all = owners(fleet, plan.current, |_| true)?;
        all.extend(owners(fleet, plan.next?, standby)?);
        Some(all)
    }
}

/// The leases of a set, by shard and token, if all that can have an owner have one who stays, and are as
/// they should be.
fn owners(
    fleet: &Fleet,
    count: u32,
    is_right: impl Fn(&Lease) -> bool,
) -> Option<Vec<(Shard, u64)>> {
    let leaving = fleet.replicas.iter().filter(|replica| replica.leaving);
    let leaving: BTreeSet<&str> = leaving.map(|replica| replica.id.as_str()).collect();
    let is_held = |lease: &&Lease| {
        lease.shard.count == count
            && lease.remaining.is_some()
            && is_right(lease)
            && !leaving.contains(lease.replica.as_str())
    };
    let held = fleet.leases.iter().filter(is_held);
    let held: BTreeMap<u32, u64> = held.map(|lease| (lease.shard.id, lease.token)).collect();
    let all = (0..count).all(|id| held.contains_key(&id) || !can_be_held(&fleet.replicas, id));
    let tokens = held.into_iter();
    all.then(|| {
        tokens
            .map(|(id, token)| (Shard { count, id }, token))
            .collect()
    })
}

/// Whether any replica may run the shards with this id.
pub(crate) fn can_be_held(replicas: &[Replica], id: u32) -> bool {
    let only = replicas.iter().map(|replica| replica.shard_ids.as_ref());
    let mut only = only;
    only.any(|ids| ids.is_none_or(|ids| ids.contains(&id)))
}

/// The shards that there should be. `ended` are those of the current set that have left their tails:
/// they are not taken up again.
pub(crate) fn shards(plan: &Plan, ended: impl Fn(u32) -> bool) -> BTreeSet<Shard> {
    let switching = plan.phase == Phase::Switching;
    let current = (0..plan.current).filter(|id| !(switching && ended(*id)));
    let current = current.map(|id| Shard {
        count: plan.current,
        id,
    });
    let next = plan.next.unwrap_or_default();
    current
        .chain((0..next).map(|id| Shard { count: next, id }))
        .collect()
}

/// The set that commands go to.
pub(crate) fn commanded(plan: &Plan) -> u32 {
    match (plan.phase, plan.next) {
        (Phase::Switching, Some(next)) => next,
        _ => plan.current,
    }
}

/// The tails of a set that ends, by shard id.
pub(crate) type Tails = BTreeMap<u32, Bytes>;

/// How far it is, as the shards of this process know it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turn {
    /// The plan that holds.
    pub(crate) plan: Plan,
    /// The last moment of which it is known that the switch had not begun.
    pub(crate) as_of: Option<Instant>,
    /// The tails of those shards of the current set that have ended.
    pub(crate) tails: Arc<Tails>,
}

/// What a shard is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// To end: its set is not wanted any more.
    Dismissed,
    /// To end, and leave its tail.
    Ending,
    /// To connect, and hold its events back.
    Incoming,
    /// To publish, as its set alone does.
    Only,
    /// To publish, and remember what.
    Outgoing,
    /// To publish what the tails don't have, once they are there.
    TakingOver,
}

impl Turn {
    /// What this shard is to do.
    pub(crate) fn place(&self, shard: Shard) -> Place {
        let Plan {
            current,
            next,
            phase,
            ..
        } = self.plan;
        let is_next = next == Some(shard.count);
        match (phase, next) {
            (Phase::Warming, Some(_)) if is_next => Place::Incoming,
            (Phase::Switching, Some(_)) if is_next => Place::TakingOver,
            _ if shard.count != current => Place::Dismissed,
            (Phase::Warming, Some(_)) => Place::Outgoing,
            (Phase::Switching, Some(_)) => Place::Ending,
            _ => Place::Only,
        }
    }

    /// The tails of all shards that this one has guilds in common with, once they are all there.
    pub(crate) fn tails_for(&self, shard: Shard) -> Option<Vec<(u32, Bytes)>> {
        let common = greatest_common_divisor(self.plan.current, shard.count).max(1);
        let before = (0..self.plan.current).filter(|id| id % common == shard.id % common);
        let tail = |id| self.tails.get(&id).map(|tail| (id, tail.clone()));
        before.map(tail).collect()
    }
}

/// A guild is in the shards of two sets only if their ids agree modulo this.
const fn greatest_common_divisor(one: u32, other: u32) -> u32 {
    if other == 0 {
        one
    } else {
        greatest_common_divisor(other, one % other)
    }
}

fn steady(current: u32) -> Plan {
    Plan {
        current,
        next: None,
        phase: Phase::Steady,
        revision: 0,
    }
}

fn towards(plan: &Plan, next: u32, phase: Phase) -> Plan {
    Plan {
        current: plan.current,
        next: Some(next),
        phase,
        revision: plan.revision,
    }
}

#[cfg(test)]
mod tests;
