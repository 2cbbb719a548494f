//! How many shards there are: what the operator says, what Discord recommends, and what the
//! replicas have agreed on in the store.

use crate::Error;
use std::collections::BTreeSet;
use store::{Fleet, Phase, Plan, Replica, Shard};

/// What this replica would have.
#[derive(Debug)]
pub(super) struct Wishes {
    /// This replica's id.
    me: String,
    /// What the operator says.
    fixed: Option<u32>,
    /// What Discord recommends.
    recommended: u32,
    /// The shards that this replica may run.
    shard_ids: Option<BTreeSet<u32>>,
    /// Whether the plan was looked at: who starts may change it, and then follows.
    is_settled: bool,
}

impl Wishes {
    /// What a replica is configured with.
    pub(super) fn new(me: &Replica, recommended: u32) -> Self {
        Self {
            me: me.id.clone(),
            fixed: me.shard_count,
            recommended: recommended.max(1),
            shard_ids: me.shard_ids.clone(),
            is_settled: false,
        }
    }

    /// The plan to write in place of the one that holds; `None` when that one is to be followed.
    ///
    /// A count that the operator has set decides, when its replica starts. Discord's recommendation
    /// decides when there is no plan, or when nobody runs and the plan has too few shards.
    pub(super) fn plan(&mut self, fleet: &Fleet) -> Option<Plan> {
        let is_first = !std::mem::replace(&mut self.is_settled, true);
        let count = match &fleet.plan {
            None => self.fixed.unwrap_or(self.recommended),
            Some(_) if !is_first => return None,
            Some(plan) => match self.fixed {
                Some(fixed) => fixed,
                None if self.is_alone(fleet) => plan.current.max(self.recommended),
                None => plan.current,
            },
        };
        if fleet
            .plan
            .as_ref()
            .is_some_and(|plan| plan.current == count)
        {
            return None;
        }
        Some(Plan {
            current: count,
            next: None,
            phase: Phase::Steady,
            revision: 0,
        })
    }

    fn is_alone(&self, fleet: &Fleet) -> bool {
        fleet.replicas.iter().all(|replica| replica.id == self.me)
    }

    /// The shards that there should be.
    ///
    /// # Errors
    ///
    /// When the replica is to run one that the set does not have.
    pub(super) fn shards(&self, plan: &Plan) -> Result<BTreeSet<Shard>, Error> {
        let count = plan.current;
        let ids = self.shard_ids.iter().flatten().copied();
        if let Some(id) = ids.into_iter().find(|id| *id >= count) {
            return Err(Error::NoSuchShard { id, count });
        }
        Ok((0..count).map(|id| Shard { count, id }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Wishes;
    use std::collections::BTreeSet;
    use store::{Fleet, Plan, Replica};

    fn replica(id: &str, shard_count: Option<u32>) -> Replica {
        Replica {
            id: id.to_owned(),
            shard_count,
            ..Replica::default()
        }
    }

    fn fleet(replicas: &[&str], current: Option<u32>) -> Fleet {
        Fleet {
            replicas: replicas.iter().map(|id| replica(id, None)).collect(),
            plan: current.map(|current| Plan {
                current,
                ..Plan::default()
            }),
            ..Fleet::default()
        }
    }

    fn wished(fixed: Option<u32>, fleet: &Fleet) -> Option<u32> {
        let plan = Wishes::new(&replica("a", fixed), 4).plan(fleet);
        plan.map(|plan| plan.current)
    }

    #[test]
    fn the_operator_decides_and_then_discord() {
        assert_eq!(wished(None, &fleet(&["a"], None)), Some(4));
        assert_eq!(wished(Some(2), &fleet(&["a"], None)), Some(2));
        assert_eq!(wished(Some(2), &fleet(&["a", "b"], Some(4))), Some(2));
        assert_eq!(wished(Some(4), &fleet(&["a", "b"], Some(4))), None);
    }

    #[test]
    fn a_recommendation_disturbs_nobody_who_runs() {
        assert_eq!(wished(None, &fleet(&["a", "b"], Some(2))), None);
        assert_eq!(wished(None, &fleet(&["a"], Some(2))), Some(4));
        assert_eq!(wished(None, &fleet(&["a"], Some(8))), None);
    }

    #[test]
    fn after_the_start_the_plan_is_followed() {
        let mut wishes = Wishes::new(&replica("a", Some(2)), 4);
        assert!(wishes.plan(&fleet(&["a"], Some(4))).is_some());
        assert!(wishes.plan(&fleet(&["a"], Some(8))).is_none());
        assert!(
            wishes.plan(&fleet(&["a"], None)).is_some(),
            "but a store that forgot it is told again"
        );
    }

    #[test]
    fn a_shard_that_does_not_exist_is_refused() {
        let mut me = replica("a", None);
        me.shard_ids = Some(BTreeSet::from([1, 9]));
        let plan = |current| Plan {
            current,
            ..Plan::default()
        };
        assert!(Wishes::new(&me, 4).shards(&plan(9)).is_err());
        assert_eq!(Wishes::new(&me, 4).shards(&plan(10)).unwrap().len(), 10);
    }
}
