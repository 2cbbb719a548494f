//! Fleets that grow, shrink and die, and what becomes of their shards.

use super::{Moves, View};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::{Lease, Replica, Shard, Status};

fn shards(count: u32) -> BTreeSet<Shard> {
    (0..count).map(|id| Shard { count, id }).collect()
}

/// What the store would say, without its clock.
#[derive(Clone, Debug, Default)]
struct Fleet {
    replicas: Vec<Replica>,
    leases: BTreeMap<Shard, String>,
    wanted: BTreeSet<Shard>,
    moves: usize,
}

impl Fleet {
    fn new(count: u32) -> Self {
        Self {
            wanted: shards(count),
            ..Self::default()
        }
    }

    fn join(&mut self, id: &str, only: Option<BTreeSet<u32>>) {
        self.replicas.push(Replica {
            id: id.to_owned(),
            started_at_ms: 0,
            shard_ids: only,
            shard_count: None,
            leaving: false,
        });
    }

    fn moves_of(&self, me: &str) -> Moves {
        let leases: Vec<Lease> = self
            .leases
            .iter()
            .map(|(shard, replica)| lease(*shard, replica))
            .collect();
        Moves::new(View {
            me,
            replicas: &self.replicas,
            leases: &leases,
            wanted: &self.wanted,
        })
    }

    /// One replica looks, and does what it should.
    fn look(&mut self, me: usize) -> bool {
        let me = self.replicas[me].clone();
        let moves = self.moves_of(&me.id);
        let mut changed = false;
        for shard in moves.take {
            assert!(may_hold(&me, shard), "{} is not for {}", shard.id, me.id);
            let before = self.leases.insert(shard, me.id.clone());
            assert_eq!(before, None, "somebody holds {} already", shard.id);
            changed = true;
        }
        if let Some(shard) = moves.give.first() {
            assert_eq!(self.leases.remove(shard).as_ref(), Some(&me.id));
            self.moves += 1;
            changed = true;
        }
        changed
    }

    /// Everybody looks, in this order, until nothing changes any more.
    fn settle(&mut self, order: &[usize]) {
        for _ in 0..500 {
            let mut changed = false;
            for step in order {
                changed |= self.look(step % self.replicas.len());
            }
            for replica in 0..self.replicas.len() {
                changed |= self.look(replica);
            }
            if !changed {
                return;
            }
        }
        panic!("it never comes to rest: {self:?}");
    }

    fn load(&self, replica: &Replica) -> usize {
        self.leases
            .values()
            .filter(|holder| **holder == replica.id)
            .count()
    }

    /// Whether every shard that somebody may hold is held, and nobody could take one from
    /// somebody who has two more.
    fn check(&self) {
        for shard in &self.wanted {
            let able = self
                .replicas
                .iter()
                .any(|replica| !replica.leaving && may_hold(replica, *shard));
            assert_eq!(
                self.leases.contains_key(shard),
                able,
                "{shard:?} in {self:?}"
            );
        }
        for (shard, holder) in &self.leases {
            let holder = self
                .replicas
                .iter()
                .find(|replica| replica.id == *holder)
                .unwrap();
            for other in self
                .replicas
                .iter()
                .filter(|other| !other.leaving && may_hold(other, *shard))
            {
                assert!(
                    self.load(other) + 1 >= self.load(holder),
                    "{shard:?} in {self:?}"
                );
            }
        }
    }
}

fn lease(shard: Shard, replica: &str) -> Lease {
    Lease {
        shard,
        replica: replica.to_owned(),
        token: 1,
        status: Status::Live,
        remaining: Some(Duration::from_secs(1)),
    }
}

fn may_hold(replica: &Replica, shard: Shard) -> bool {
    replica
        .shard_ids
        .as_ref()
        .is_none_or(|ids| ids.contains(&shard.id))
}

#[test]
fn one_replica_takes_everything() {
    let mut fleet = Fleet::new(4);
    fleet.join("a", None);
    assert_eq!(fleet.moves_of("a").take.len(), 4);
}

#[test]
fn a_newcomer_gets_its_share_in_as_few_moves_as_it_takes() {
    let mut fleet = Fleet::new(16);
    fleet.join("a", None);
    fleet.settle(&[0]);
    fleet.join("b", None);
    fleet.settle(&[0, 1]);
    assert_eq!(fleet.moves, 8);
    fleet.join("c", None);
    fleet.settle(&[0, 1, 2]);
    assert_eq!(fleet.moves, 8 + 5);
    fleet.check();
}

#[test]
fn whoever_leaves_is_given_nothing_and_its_shards_wait_for_their_release() {
    let mut fleet = Fleet::new(4);
    fleet.join("a", None);
    fleet.join("b", None);
    fleet.settle(&[0, 1]);
    fleet.replicas[0].leaving = true;
    assert_eq!(fleet.moves_of("b").take, []);
    fleet.leases.retain(|_, holder| holder != "a");
    assert_eq!(fleet.moves_of("a").take, []);
    assert_eq!(fleet.moves_of("b").take.len(), 2);
}

#[test]
fn a_lease_that_ran_out_is_up_for_taking() {
    let mut fleet = Fleet::new(1);
    fleet.join("a", None);
    let mut dead = lease(Shard { count: 1, id: 0 }, "gone");
    let look = |lease: &Lease| {
        Moves::new(View {
            me: "a",
            replicas: &fleet.replicas,
            leases: std::slice::from_ref(lease),
            wanted: &fleet.wanted,
        })
        .take
    };
    assert_eq!(look(&dead), []);
    dead.remaining = None;
    assert_eq!(look(&dead).len(), 1);
}

#[test]
fn a_move_goes_by_way_of_a_third_when_it_has_to() {
    // `c` may hold shard 0 alone, which is with `b`; `a` has too many that `b` may take.
    let mut fleet = Fleet::new(5);
    fleet.join("a", Some(BTreeSet::from([1, 2, 3, 4])));
    fleet.join("b", None);
    fleet.leases = [(0, "b"), (4, "b"), (1, "a"), (2, "a"), (3, "a")]
        .map(|(id, holder)| (Shard { count: 5, id }, holder.to_owned()))
        .into();
    fleet.join("c", Some(BTreeSet::from([0])));
    fleet.settle(&[0, 1, 2]);
    fleet.check();
    let loads: Vec<usize> = fleet
        .replicas
        .iter()
        .map(|replica| fleet.load(replica))
        .collect();
    assert_eq!(loads, [2, 2, 1]);
    assert_eq!(fleet.moves, 2);
}

#[test]
fn shards_that_are_not_connected_are_moved_first() {
    let mut fleet = Fleet::new(3);
    fleet.join("a", None);
    fleet.join("b", None);
    let leases: Vec<Lease> = fleet
        .wanted
        .iter()
        .map(|shard| {
            let mut lease = lease(*shard, "a");
            if shard.id == 1 {
                lease.status = Status::Connecting;
            }
            lease
        })
        .collect();
    let moves = Moves::new(View {
        me: "a",
        replicas: &fleet.replicas,
        leases: &leases,
        wanted: &fleet.wanted,
    });
    assert_eq!(moves.give, [Shard { count: 3, id: 1 }]);
}

#[test]
fn shards_that_nobody_may_hold_are_named() {
    let mut fleet = Fleet::new(2);
    fleet.join("a", Some(BTreeSet::from([1])));
    let moves = fleet.moves_of("a");
    assert_eq!(moves.orphans, [Shard { count: 2, id: 0 }]);
    assert_eq!(moves.take, [Shard { count: 2, id: 1 }]);
}

/// What happens to a fleet.
#[derive(Clone, Debug)]
enum Change {
    Die(usize),
    Join(Option<BTreeSet<u32>>),
    Leave(usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let only = proptest::option::weighted(0.4, proptest::collection::btree_set(0..24_u32, 1..24));
    let change = prop_oneof![
        any::<usize>().prop_map(Change::Die),
        only.prop_map(Change::Join),
        any::<usize>().prop_map(Change::Leave),
    ];
    proptest::collection::vec(change, 1..12)
}

proptest! {
    #[test]
    fn every_fleet_comes_to_rest_in_balance(
        count in 1..24_u32,
        changes in changes(),
        order in proptest::collection::vec(any::<usize>(), 0..24),
    ) {
        let mut fleet = Fleet::new(count);
        fleet.join("0", None);
        for (number, change) in changes.into_iter().enumerate() {
            let before = fleet.moves;
            match change {
                Change::Join(only) if fleet.replicas.len() < 8 => fleet.join(&format!("{}", number + 1), only),
                Change::Join(_) => continue,
                Change::Die(which) | Change::Leave(which) => {
                    if fleet.replicas.len() == 1 {
                        continue;
                    }
                    let gone = fleet.replicas.remove(which % fleet.replicas.len());
                    fleet.leases.retain(|_, holder| *holder != gone.id);
                }
            }
            fleet.settle(&order);
            fleet.check();
            // Each shard moves once at most, or as often as a row of moves is long.
            let bound = usize::try_from(count).unwrap() * fleet.replicas.len();
            prop_assert!(fleet.moves - before <= bound, "{} moves", fleet.moves - before);
            let settled = fleet.moves;
            fleet.settle(&order);
            prop_assert_eq!(fleet.moves, settled, "a fleet at rest moves nothing");
        }
    }
}
