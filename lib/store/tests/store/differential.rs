//! The same at random on the store in memory and in Redis: they have to agree.

use std::{collections::HashMap, time::Duration};

use store::{Acquired, Application, Fleet, Held, Permit, Phase, Plan, Replica, Shard, Status};
use tokio::time::sleep;

use crate::bench::{Bench, LONG, limit, replica, session};

/// Something to do, with the number of a token instead of the token: each store gives its own.
#[derive(Clone, Debug)]
enum Step {
    Acquire(Shard, u8, bool),
    Beat(u8, bool, bool, Vec<(Shard, usize, Status)>),
    Forget(u32),
    Identify(u32, u32),
    Leave(u8),
    Plan(bool, u32),
    PutTail(Shard, usize, bool),
    Release(Shard, usize, Option<u64>),
    Save(Vec<(Shard, usize, Option<u64>)>),
    Tails(u32),
}

/// One of the two stores, with the tokens that it has given.
struct Side {
    application: Application,
    tokens: Vec<u64>,
    numbers: HashMap<u64, usize>,
    version: u64,
    revision: u64,
}

impl Side {
    fn new(application: Application) -> Self {
        Self {
            application,
            tokens: vec![0],
            numbers: HashMap::from([(0, 0)]),
            version: 0,
            revision: 0,
        }
    }

    /// Does it, and says what came out, the same for every store.
    async fn act(&mut self, step: &Step) -> String {
        let said = self.outcome(step).await;
        let version = self.application.version().await.unwrap();
        let news = version != self.version;
        self.version = version;
        format!("{said}, news: {news}")
    }

    async fn outcome(&mut self, step: &Step) -> String {
        let a = self.application.clone();
        let token = |number: usize| self.tokens[number % self.tokens.len()];
        let saved = |it: Option<u64>| it.map(|sequence| session("s", sequence));
        match step.clone() {
            Step::Acquire(shard, who, long) => {
                let acquired = a.acquire(shard, &name(who), ttl(long)).await.unwrap();
                self.acquired(&acquired)
            }
            Step::Beat(who, leaving, long, held) => {
                let replica = Replica {
                    leaving,
                    ..replica(&name(who))
                };
                let held: Vec<_> = held
                    .into_iter()
                    .map(|(shard, number, status)| Held {
                        shard,
                        token: token(number),
                        status,
                    })
                    .collect();
                let fleet = a.beat(&replica, ttl(long), &held).await.unwrap();
                self.fleet(&fleet)
            }
            Step::Forget(count) => {
                a.forget(count).await.unwrap();
                // So that tokens made of the time grow.
                sleep(Duration::from_millis(10)).await;
                String::new()
            }
            Step::Identify(shard_id, remaining) => {
                match a.identify(shard_id, &limit(remaining)).await.unwrap() {
                    Permit::Exhausted { used, total, .. } => format!("{used} of {total}"),
                    Permit::Granted { left } => format!("left {left}"),
                    Permit::Wait(_) => "wait".to_owned(),
                }
            }
            Step::Leave(who) => format!("{:?}", a.leave(&name(who)).await),
            Step::Plan(known, current) => {
                let plan = Plan {
                    current,
                    next: (current % 2 == 0).then_some(current + 1),
                    phase: [Phase::Steady, Phase::Warming][current as usize % 2],
                    revision: 0,
                };
                let expected = if known { self.revision } else { 1 };
                let now = a.plan(expected, &plan).await.unwrap();
                self.revision = now.revision;
                format!("{} {:?} {:?}", now.current, now.next, now.phase)
            }
            Step::PutTail(shard, number, long) => {
                let left = a.put_tail(shard, token(number), b"t", ttl(long)).await;
                format!("{left:?}")
            }
            Step::Release(shard, number, session) => {
                let session = saved(session);
                let released = a.release(shard, token(number), session.as_ref()).await;
                format!("{released:?}")
            }
            Step::Save(sessions) => {
                let sessions: Vec<_> = sessions
                    .into_iter()
                    .map(|(shard, number, session)| (shard, token(number), saved(session)))
                    .collect();
                format!("{:?}", a.save(&sessions).await)
            }
            Step::Tails(count) => format!("{:?}", a.tails(count).await),
        }
    }

    fn acquired(&mut self, acquired: &Acquired) -> String {
        let Acquired::Taken { token, session } = acquired else {
            return format!("{acquired:?}");
        };
        self.numbers.insert(*token, self.tokens.len());
        self.tokens.push(*token);
        format!("taken {session:?}")
    }

    fn fleet(&self, fleet: &Fleet) -> String {
        let leases = fleet.leases.iter().map(|lease| {
            let remains = lease.remaining.is_some();
            let number = self.numbers[&lease.token];
            (lease.shard, &lease.replica, number, lease.status, remains)
        });
        let leases: Vec<_> = leases.collect();
        let plan = fleet.plan.as_ref().map(|plan| plan.current);
        let Fleet {
            replicas,
            lost,
            corrupt,
            ..
        } = fleet;
        format!("{replicas:?} {leases:?} {plan:?} {lost:?} {corrupt:?}")
    }
}

fn name(who: u8) -> String {
    format!("replica {who}")
}

/// Either long past or far in the future: what happens does not depend on the clock.
const fn ttl(long: bool) -> Duration {
    if long { LONG } else { Duration::ZERO }
}

/// Something to do at random; tokens are mostly recent ones.
fn step(random: &mut fastrand::Rng, tokens: usize) -> Step {
    let shard = |random: &mut fastrand::Rng| Shard {
        count: [2, 4][random.usize(..2)],
        id: random.u32(..2),
    };
    let token = |random: &mut fastrand::Rng| tokens.saturating_sub(random.usize(..12));
    let status = [
        Status::Away,
        Status::Connecting,
        Status::Live,
        Status::Standby,
    ];
    let some = |random: &mut fastrand::Rng| random.bool().then(|| random.u64(..100));
    let (long, who) = (random.u8(..4) > 0, random.u8(..3));
    match random.u8(..20) {
        0..5 => Step::Acquire(shard(random), who, long),
        5..9 => {
            let held = (0..random.u8(..4)).map(|_| {
                let status = status[random.usize(..4)];
                (shard(random), token(random), status)
            });
            let held = held.collect();
            Step::Beat(who, random.u8(..4) == 0, long, held)
        }
        9 => Step::Forget([2, 4][random.usize(..2)]),
        10 => Step::Identify(random.u32(..4), random.u32(900..=1_000)),
        11 => Step::Leave(who),
        12 => Step::Plan(random.bool(), random.u32(..8)),
        13 => Step::PutTail(shard(random), token(random), long),
        14..17 => Step::Release(shard(random), token(random), some(random)),
        17..19 => {
            let sessions = (0..random.u8(..4));
            let save = sessions.map(|_| (shard(random), token(random), some(random)));
            Step::Save(save.collect())
        }
        _ => Step::Tails([2, 4][random.usize(..2)]),
    }
}

#[tokio::test]
async fn both_stores_agree() {
    for round in 0..12 {
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        let bucket = if round % 2 == 0 { Duration::ZERO } else { LONG };
        let mut memory = Side::new(Bench::memory().paced(bucket, LONG).application());
        let mut redis = Side::new(Bench::redis().paced(bucket, LONG).application());
        let mut done = Vec::new();
        for _ in 0..250 {
            let step = step(&mut random, memory.tokens.len());
            let outcomes = (memory.act(&step).await, redis.act(&step).await);
            done.push(step);
            assert_eq!(outcomes.0, outcomes.1, "seed {seed}, after {done:?}");
        }
    }
}
