//! Which replica should hold which shard: pure, from what the store says.
//!
//! Every replica works out the same target from the same list, so nobody has to be in charge. The
//! target keeps every shard where it is, gives those that nobody holds to whoever has the fewest,
//! and then moves as few as it takes until no two replicas differ by more than one shard. A replica
//! may be restricted to some shards: then a move may have to go by way of a third replica.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use store::{Lease, Replica, Shard};

/// What a replica sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// The replica that looks.
    pub(crate) me: &'a str,
    /// Everybody who is alive.
    pub(crate) replicas: &'a [Replica],
    /// Who holds what.
    pub(crate) leases: &'a [Lease],
    /// The shards that there should be.
    pub(crate) wanted: &'a BTreeSet<Shard>,
}

/// What a replica should do about it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Moves {
    /// Shards for me that nobody holds.
    pub(crate) take: Vec<Shard>,
    /// Shards of mine that are better held by somebody else, the cheapest first: hand over one, and
    /// look again.
    pub(crate) give: Vec<Shard>,
    /// Shards that nobody may hold.
    pub(crate) orphans: Vec<Shard>,
}

impl Moves {
    /// What `view.me` should do.
    pub(crate) fn new(view: View<'_>) -> Self {
        let mut target = Target::new(view);
        let orphans = target.place();
        target.balance();
        let holders = holders(view);
        let mut moves = Self {
            orphans,
            ..Self::default()
        };
        for (shard, replica) in &target.of {
            let is_mine = target.replicas[*replica].id == view.me;
            match holders.get(shard) {
                None if is_mine => moves.take.push(*shard),
                Some(lease) if lease.replica == view.me && !is_mine => moves.give.push(*shard),
                _ => {}
            }
        }
        let cost = |shard: &Shard| holders.get(shard).map(|lease| cost(lease));
        moves.give.sort_by_key(cost);
        moves
    }
}

/// The leases that hold, by shard.
fn holders(view: View<'_>) -> BTreeMap<Shard, &Lease> {
    let held = |lease: &&Lease| lease.remaining.is_some();
    let leases = view.leases.iter().filter(held);
    leases.map(|lease| (lease.shard, lease)).collect()
}

/// In which order shards are moved: one without a connection costs nothing, and of the others it
/// has to be the same ones in everybody's eyes.
fn cost(lease: &Lease) -> (bool, std::cmp::Reverse<Shard>) {
    let connected = matches!(lease.status, store::Status::Live | store::Status::Standby);
    (connected, std::cmp::Reverse(lease.shard))
}

/// Who should hold what.
struct Target<'a> {
    /// Those who may hold shards, in the order of their ids.
    replicas: Vec<&'a Replica>,
    /// By shard, an index into `replicas`.
    of: BTreeMap<Shard, usize>,
    /// The same by replica, the cheapest to move first.
    held: Vec<Vec<Shard>>,
    /// The shards without a place.
    homeless: Vec<Shard>,
}

impl<'a> Target<'a> {
    /// Everything where it is now.
    fn new(view: View<'a>) -> Self {
        let staying = view.replicas.iter().filter(|replica| !replica.leaving);
        let mut replicas: Vec<&Replica> = staying.collect();
        replicas.sort_by(|one, other| one.id.cmp(&other.id));
        let mut target = Self {
            held: vec![Vec::new(); replicas.len()],
            replicas,
            of: BTreeMap::new(),
            homeless: Vec::new(),
        };
        let mut holders = holders(view);
        let mut leases: Vec<&Lease> = view
            .wanted
            .iter()
            .filter_map(|shard| holders.remove(shard))
            .collect();
        leases.sort_by_key(|lease| cost(lease));
        for lease in leases {
            let found = target
                .replicas
                .binary_search_by(|replica| replica.id.cmp(&lease.replica));
            if let Ok(replica) = found
                && target.may_hold(replica, lease.shard)
            {
                target.put(lease.shard, replica);
            }
        }
        let homeless = view
            .wanted
            .iter()
            .filter(|shard| !target.of.contains_key(shard));
        target.homeless = homeless.copied().collect();
        target
    }

    /// Whether a replica is allowed to hold a shard.
    fn may_hold(&self, replica: usize, shard: Shard) -> bool {
        let only = self.replicas[replica].shard_ids.as_ref();
        only.is_none_or(|ids| ids.contains(&shard.id))
    }

    fn put(&mut self, shard: Shard, replica: usize) {
        self.of.insert(shard, replica);
        self.held[replica].push(shard);
    }

    /// Gives every shard without a place to whoever may hold it and has the fewest; returns those
    /// that nobody may hold. Those with the least choice come first.
    fn place(&mut self) -> Vec<Shard> {
        let mut homeless = std::mem::take(&mut self.homeless);
        let everybody = 0..self.replicas.len();
        let choice = |shard: &Shard| {
            let able = everybody
                .clone()
                .filter(|replica| self.may_hold(*replica, *shard));
            able.count()
        };
        homeless.sort_by_cached_key(choice);
        homeless.retain(|shard| {
            let able = everybody
                .clone()
                .filter(|replica| self.may_hold(*replica, *shard));
            let Some(fewest) = able.min_by_key(|replica| self.held[*replica].len()) else {
                return true;
            };
            self.put(*shard, fewest);
            false
        });
        homeless
    }

    /// Moves shards from those with many to those with few.
    fn balance(&mut self) {
        while let Some(path) = self.path() {
            for (shard, to) in path {
                let from = self.of[&shard];
                self.held[from].retain(|held| *held != shard);
                self.put(shard, to);
            }
        }
    }

    /// The shortest row of moves that takes a shard from a replica to one that has at least two
    /// fewer; `None` when there is none, so that all is in balance.
    fn path(&self) -> Option<Vec<(Shard, usize)>> {
        let mut richest: Vec<usize> = (0..self.replicas.len()).collect();
        richest.sort_by_key(|replica| std::cmp::Reverse(self.held[*replica].len()));
        richest.into_iter().find_map(|rich| self.path_from(rich))
    }

    /// Such a row that begins here: a search in breadth.
    fn path_from(&self, rich: usize) -> Option<Vec<(Shard, usize)>> {
        let most = self.held[rich].len();
        let mut came_by: BTreeMap<usize, (usize, Shard)> = BTreeMap::new();
        let mut open = VecDeque::from([rich]);
        while let Some(from) = open.pop_front() {
            let mut others: Vec<usize> = (0..self.replicas.len()).collect();
            others.sort_by_key(|replica| self.held[*replica].len());
            for to in others {
                if to == rich || came_by.contains_key(&to) {
                    continue;
                }
                let movable = |shard: &&Shard| self.may_hold(to, **shard);
                let Some(shard) = self.held[from].iter().find(movable) else {
                    continue;
                };
                came_by.insert(to, (from, *shard));
                if self.held[to].len() + 2 <= most {
                    return Some(unwind(&came_by, rich, to));
                }
                open.push_back(to);
            }
        }
        None
    }
}

/// The row of moves that led from `from` to `to`, the last one first: so each replica gives its
/// shard away before it gets another.
fn unwind(
    came_by: &BTreeMap<usize, (usize, Shard)>,
    from: usize,
    to: usize,
) -> Vec<(Shard, usize)> {
    let mut moves = Vec::new();
    let mut here = to;
    while here != from {
        let Some((previous, shard)) = came_by.get(&here) else {
            break;
        };
        moves.push((*shard, here));
        here = *previous;
    }
    moves
}
