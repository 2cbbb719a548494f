//! How messages to delete are divided into requests: pure.
//!
//! See [Discord Docs/Bulk Delete Messages](https://docs.discord.com/developers/resources/message#bulk-delete-messages).

/// Milliseconds since 1970 of the first snowflake.
const EPOCH_MS: u64 = 1_420_070_400_000;
/// From this age on, in milliseconds, Discord deletes a message only alone.
const OLD_MS: u64 = 14 * 86_400_000;
/// What is within this of the age, in milliseconds, is deleted alone as well: clocks differ, requests
/// wait, and one that is too old fails all of its lot.
const MARGIN_MS: u64 = 60 * 60 * 1000;
/// How many messages can be deleted at once.
const LOT: usize = 100;

/// What to do about some messages.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Plan {
    /// Messages for one request each, in order; a single one is to be deleted alone.
    pub(super) lots: Vec<Vec<u64>>,
    /// Messages that are too old, which are left alone.
    pub(super) old: Vec<u64>,
}

impl Plan {
    /// Divides the ids: the newest first, each once.
    pub(super) fn new(mut ids: Vec<u64>, delete_old: bool, unix_ms: u64) -> Self {
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.dedup();
        let age = |id: &u64| unix_ms.saturating_sub((id >> 22) + EPOCH_MS);
        let young = ids.partition_point(|id| age(id) < OLD_MS - MARGIN_MS);
        let alone = ids.partition_point(|id| delete_old || age(id) < OLD_MS);
        let old = ids.split_off(alone);
        let (young, single) = ids.split_at(young);
        let lots = young.chunks(LOT).chain(single.chunks(1));
        Self {
            lots: lots.map(<[u64]>::to_vec).collect(),
            old,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{EPOCH_MS, LOT, MARGIN_MS, OLD_MS, Plan};

    const NOW_MS: u64 = 1_790_000_000_000;

    fn aged(age_ms: u64) -> u64 {
        (NOW_MS - age_ms - EPOCH_MS) << 22
    }

    #[test]
    fn young_ones_go_together_and_old_ones_alone() {
        let young: Vec<u64> = (0..101).map(aged).collect();
        let close = aged(OLD_MS - 1);
        let (old, ancient) = (aged(OLD_MS), 5);
        let ids = [&[ancient, close, old, young[0]], &young[..]].concat();
        let plan = Plan::new(ids.clone(), true, NOW_MS);
        let alone = |id| vec![id];
        let lots = [
            young[..100].to_vec(),
            alone(young[100]),
            alone(close),
            alone(old),
            alone(ancient),
        ];
        assert_eq!((plan.lots, plan.old), (lots.to_vec(), vec![]));
        let plan = Plan::new(ids, false, NOW_MS);
        assert_eq!(
            (plan.lots, plan.old),
            (lots[..3].to_vec(), vec![old, ancient])
        );
    }

    #[test]
    fn what_discord_has_not_made_yet_is_young() {
        let ids = vec![u64::MAX, aged(0) + (1 << 40)];
        assert_eq!(Plan::new(ids.clone(), false, NOW_MS).lots, [ids]);
    }

    proptest! {
        /// Each id once, in a lot that Discord takes, or among those that are too old.
        #[test]
        fn every_message_has_its_place(
            ages in prop::collection::vec(0_u64..OLD_MS * 2, 0..400),
            delete_old in any::<bool>(),
        ) {
            let ids: Vec<u64> = ages.into_iter().map(aged).collect();
            let plan = Plan::new(ids.clone(), delete_old, NOW_MS);
            for lot in &plan.lots {
                prop_assert!((1..=LOT).contains(&lot.len()));
                let oldest = lot.iter().min().unwrap();
                prop_assert!(lot.len() == 1 || *oldest > aged(OLD_MS - MARGIN_MS));
            }
            prop_assert!(plan.old.iter().all(|id| !delete_old && *id <= aged(OLD_MS)));
            let placed = [plan.lots.concat(), plan.old].concat();
            prop_assert!(placed.is_sorted_by(|a, b| a > b));
            let expected: BTreeSet<u64> = ids.into_iter().collect();
            prop_assert_eq!(placed.into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }
}
