//! Every step of a plan, and the steps that there are not.

use super::{
    Advice, Calm, Place, SETTLED, Tails, Turn, commanded, greatest_common_divisor, shards, step,
    wanted,
};
use bytes::Bytes;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use store::{Fleet, Lease, Phase, Plan, Replica, Shard, Status};
use tokio::time::Instant;

fn plan(current: u32, next: Option<u32>, phase: Phase) -> Plan {
    Plan {
        current,
        next,
        phase,
        revision: 7,
    }
}

fn replica(id: &str, started_at_ms: u64, shard_count: Option<u32>) -> Replica {
    Replica {
        id: id.to_owned(),
        started_at_ms,
        shard_ids: None,
        shard_count,
        leaving: false,
    }
}

fn leases(count: u32, status: Status) -> Vec<Lease> {
    let lease = |id| Lease {
        shard: Shard { count, id },
        replica: "a".to_owned(),
        token: 1,
        status,
        remaining: Some(Duration::from_secs(1)),
    };
    (0..count).map(lease).collect()
}

fn fleet(plan: Option<Plan>, leases: Vec<Lease>) -> Fleet {
    Fleet {
        replicas: vec![replica("a", 1, None)],
        leases,
        plan,
        ..Fleet::default()
    }
}

/// The current count, the next one and the phase of a step.
fn brief(step: Option<Plan>) -> Option<(u32, Option<u32>, Phase)> {
    step.map(|plan| (plan.current, plan.next, plan.phase))
}

const ADVICE: Advice = Advice {
    recommended: 12,
    threshold: 1.5,
    is_required: false,
};

#[test]
fn the_replica_that_started_last_decides() {
    let mut fleet = fleet(Some(plan(4, None, Phase::Steady)), Vec::new());
    fleet.replicas = vec![replica("b", 1, Some(4)), replica("a", 2, Some(8))];
    for me in ["a", "b"] {
        assert_eq!(wanted(&fleet, me, ADVICE), Some(8));
    }
    fleet.replicas[1].leaving = true;
    assert_eq!(wanted(&fleet, "b", ADVICE), Some(4));
    fleet.replicas = vec![replica("b", 1, Some(4)), replica("a", 2, None)];
    assert_eq!(
        wanted(&fleet, "b", ADVICE),
        None,
        "only a knows what Discord told it"
    );
    assert_eq!(wanted(&fleet, "a", ADVICE), Some(12));
    let required = Advice {
        is_required: true,
        ..ADVICE
    };
    assert_eq!(
        wanted(&fleet, "b", required),
        Some(12),
        "it was b that was refused"
    );
    fleet.replicas = Vec::new();
    assert_eq!(wanted(&fleet, "a", ADVICE), None);
}

#[test]
fn a_recommendation_counts_when_it_is_much_more() {
    for (current, expected) in [(8, 12), (9, 9), (20, 20)] {
        let fleet = fleet(Some(plan(current, None, Phase::Steady)), Vec::new());
        assert_eq!(wanted(&fleet, "a", ADVICE), Some(expected), "{current:?}");
    }
    assert_eq!(wanted(&fleet(None, Vec::new()), "a", ADVICE), Some(12));
    let warming = fleet(Some(plan(4, Some(10), Phase::Warming)), Vec::new());
    assert_eq!(
        wanted(&warming, "a", ADVICE),
        Some(10),
        "what began is not given up"
    );
}

#[test]
fn a_recommendation_counts_when_discord_refuses_what_there_is() {
    let required = Advice {
        is_required: true,
        ..ADVICE
    };
    let at = |current| fleet(Some(plan(current, None, Phase::Steady)), Vec::new());
    assert_eq!(wanted(&at(11), "a", required), Some(12));
    assert_eq!(wanted(&at(12), "a", required), Some(12));
}

#[test]
fn the_first_plan_is_what_is_wanted() {
    let nothing = fleet(None, Vec::new());
    assert_eq!(brief(step(&nothing, None, false)), None);
    let first = Some((4, None, Phase::Steady));
    assert_eq!(brief(step(&nothing, Some(4), false)), first);
}

#[test]
fn a_change_warms_then_switches_then_is_steady() {
    let steady = fleet(Some(plan(2, None, Phase::Steady)), Vec::new());
    assert_eq!(brief(step(&steady, Some(2), true)), None);
    let warming = Some((2, Some(4), Phase::Warming));
    assert_eq!(brief(step(&steady, Some(4), false)), warming);
    let warming = fleet(Some(plan(2, Some(4), Phase::Warming)), Vec::new());
    assert_eq!(brief(step(&warming, Some(4), false)), None);
    let switching = Some((2, Some(4), Phase::Switching));
    assert_eq!(brief(step(&warming, Some(4), true)), switching);
    let switching = |leases| fleet(Some(plan(2, Some(4), Phase::Switching)), leases);
    let standby = switching(leases(4, Status::Standby));
    assert_eq!(brief(step(&standby, Some(4), true)), None);
    let live = switching(leases(4, Status::Live));
    let done = Some((4, None, Phase::Steady));
    assert_eq!(brief(step(&live, Some(4), false)), done);
}

#[test]
fn there_is_a_way_back_from_warming_only() {
    let warming = fleet(Some(plan(2, Some(4), Phase::Warming)), Vec::new());
    let back = Some((2, None, Phase::Steady));
    assert_eq!(brief(step(&warming, Some(2), true)), back);
    let other = Some((2, Some(8), Phase::Warming));
    assert_eq!(brief(step(&warming, Some(8), true)), other);
    assert_eq!(brief(step(&warming, None, false)), None);
    let switching = fleet(Some(plan(2, Some(4), Phase::Switching)), Vec::new());
    assert_eq!(brief(step(&switching, Some(2), true)), None);
}

/// What happens to the fleet, in words and in deed.
type Change = (&'static str, fn(&mut Fleet));

/// Two shards that publish, four that stand by.
fn ready() -> Fleet {
    let mut all = leases(2, Status::Away);
    all.extend(leases(4, Status::Standby));
    fleet(Some(plan(2, Some(4), Phase::Warming)), all)
}

#[test]
fn the_next_set_takes_over_when_all_has_been_in_place_for_a_while() {
    let start = Instant::now();
    let mut calm = Calm::default();
    assert!(!calm.note(&ready(), start));
    assert!(!calm.note(&ready(), start + SETTLED / 2));
    assert!(calm.note(&ready(), start + SETTLED));
}

#[test]
fn whatever_happens_to_a_shard_begins_the_wait_anew() {
    let start = Instant::now();
    let changes: [Change; 6] = [
        ("an old shard has another owner", |fleet| {
            fleet.leases[0].token = 2
        }),
        ("an old shard has no owner", |fleet| {
            fleet.leases[1].remaining = None
        }),
        ("a new shard is not ready", |fleet| {
            fleet.leases[3].status = Status::Away
        }),
        ("a new shard has another owner", |fleet| {
            fleet.leases[4].token = 2
        }),
        ("a new shard has no owner", |fleet| drop(fleet.leases.pop())),
        ("its owner is about to stop", |fleet| {
            fleet.replicas[0].leaving = true
        }),
    ];
    for (what, change) in changes {
        let mut calm = Calm::default();
        calm.note(&ready(), start);
        let mut changed = ready();
        change(&mut changed);
        assert!(!calm.note(&changed, start + SETTLED), "{what}");
        assert!(!calm.note(&ready(), start + SETTLED * 3 / 2), "{what}");
    }
    let mut calm = Calm::default();
    calm.note(&ready(), start);
    calm.disturb();
    assert!(
        !calm.note(&ready(), start + SETTLED),
        "nobody knows what happened"
    );
}

#[test]
fn a_shard_that_nobody_may_run_is_not_waited_for() {
    let start = Instant::now();
    let mut fleet = ready();
    fleet.leases.retain(|lease| lease.shard.id < 2);
    fleet.replicas[0].shard_ids = Some(BTreeSet::from([0, 1]));
    let mut calm = Calm::default();
    calm.note(&fleet, start);
    assert!(calm.note(&fleet, start + SETTLED));
}

#[test]
fn a_shard_that_has_left_its_tail_is_not_taken_up_again() {
    let ids = |plan: &Plan, ended: &[u32]| -> Vec<String> {
        let shards = shards(plan, |id| ended.contains(&id));
        shards.iter().map(ToString::to_string).collect()
    };
    assert_eq!(ids(&plan(2, None, Phase::Steady), &[]), ["0/2", "1/2"]);
    let warming = plan(1, Some(2), Phase::Warming);
    assert_eq!(ids(&warming, &[0]), ["0/1", "0/2", "1/2"]);
    let switching = plan(1, Some(2), Phase::Switching);
    assert_eq!(ids(&switching, &[]), ["0/1", "0/2", "1/2"]);
    assert_eq!(ids(&switching, &[0]), ["0/2", "1/2"]);
}

#[test]
fn commands_go_to_the_set_that_is_not_about_to_end() {
    assert_eq!(commanded(&plan(2, None, Phase::Steady)), 2);
    assert_eq!(commanded(&plan(2, Some(4), Phase::Warming)), 2);
    assert_eq!(commanded(&plan(2, Some(4), Phase::Switching)), 4);
}

#[test]
fn every_shard_has_its_place() {
    let place = |plan, count| {
        let turn = Turn {
            plan,
            ..Turn::default()
        };
        turn.place(Shard { count, id: 0 })
    };
    let steady = plan(2, None, Phase::Steady);
    assert_eq!(place(steady.clone(), 2), Place::Only);
    assert_eq!(place(steady, 4), Place::Dismissed);
    let warming = plan(2, Some(4), Phase::Warming);
    assert_eq!(place(warming.clone(), 2), Place::Outgoing);
    assert_eq!(place(warming.clone(), 4), Place::Incoming);
    assert_eq!(place(warming, 8), Place::Dismissed);
    let switching = plan(2, Some(4), Phase::Switching);
    assert_eq!(place(switching.clone(), 2), Place::Ending);
    assert_eq!(place(switching, 4), Place::TakingOver);
}

#[test]
fn a_shard_waits_for_the_tails_of_those_that_may_have_its_guilds() {
    let tails = |ids: &[u32]| -> Tails { ids.iter().map(|id| (*id, Bytes::new())).collect() };
    let turn = |ids: &[u32]| Turn {
        plan: plan(4, Some(6), Phase::Switching),
        as_of: None,
        tails: Arc::new(tails(ids)),
    };
    let shard = Shard { count: 6, id: 3 };
    assert_eq!(turn(&[0, 1, 2]).tails_for(shard), None);
    let found = turn(&[1, 3]).tails_for(shard).unwrap();
    assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn a_guild_is_in_both_sets_where_that_is_expected() {
    for (one, other) in [(4, 6), (2, 4), (3, 5), (16, 24), (1, 9)] {
        let common = greatest_common_divisor(one, other);
        for guild in 0..one * other * 2 {
            assert_eq!(guild % one % common, guild % other % common);
        }
    }
}
