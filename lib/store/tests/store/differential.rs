//! The same at random on the store in memory and in Redis: they have to agree.

use std::{collections::HashMap, time::Duration};

use store::{Acquired, Application, Fleet, Held, Permit, Phase, Plan, Replica, Shard, Status};
use tokio::time::sleep;

use crate::bench::{Bench, LONG, limit, replica, session};

/// Something to do. Instead of a token it has how many times ago it was given: each store gives its
/// own.
#[derive(Clone, Debug)]
enum Step {
    Acquire(Shard, u8, bool),
    Beat(u8, bool, bool, Vec<(Shard, usize, Status)>),
    Forget(u32),
    Identify(u32, u32),
    Leave(u8),
    Plan(bool, u32),
    PutTail(Shard, usize, bool),
    Release(Shard, usize, [Option<u64>; 2]),
    Save(Vec<(Shard, usize, Option<u64>)>),
    Tails(u32),
}

/// One of the two stores, with the tokens that it has given.
struct Side {
    application: Application,
    /// By shard, oldest first.
    tokens: HashMap<Shard, Vec<u64>>,
    version: u64,
    plan: Option<Plan>,
}

impl Side {
    fn new(application: Application) -> Self {
        Self {
            application,
            tokens: HashMap::new(),
            version: 0,
            plan: None,
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
        let saved = |it: Option<u64>| it.map(|sequence| session("s", sequence));
        match step.clone() {
            Step::Acquire(shard, who, long) => {
                let acquired = a.acquire(shard, &name(who), ttl(long)).await.unwrap();
                self.acquired(shard, &acquired)
            }
            Step::Beat(who, leaving, long, held) => self.beat(who, leaving, long, &held).await,
            Step::Forget(count) => {
                a.forget(count).await.unwrap();
                // So that tokens made of the time grow.
                sleep(Duration::from_millis(10)).await;
                String::new()
            }
            Step::Identify(shard_id, remaining) => {
                // Both clocks count milliseconds, and whether an identify is known to Discord depends on
                // which came first: what Discord tells has to be later than the one before.
                sleep(Duration::from_millis(5)).await;
                match a.identify(shard_id, &limit(remaining)).await.unwrap() {
                    Permit::Exhausted { used, total, .. } => format!("{used} of {total}"),
                    Permit::Granted { left } => format!("left {left}"),
                    Permit::Wait(_) => "wait".to_owned(),
                }
            }
            Step::Leave(who) => format!("{:?}", a.leave(&name(who)).await),
            Step::Plan(known, current) => self.plan(known, current).await,
            Step::PutTail(shard, number, long) => {
                let left = a
                    .put_tail(shard, self.token(shard, number), b"t", ttl(long))
                    .await;
                format!("{left:?}")
            }
            Step::Release(shard, number, sessions) => {
                let [session, switching] = sessions.map(saved);
                let token = self.token(shard, number);
                let released = a
                    .release(shard, token, session.as_ref(), switching.as_ref())
                    .await;
                format!("{released:?}")
            }
            Step::Save(sessions) => {
                let sessions: Vec<_> = sessions
                    .into_iter()
                    .map(|(shard, number, session)| {
                        (shard, self.token(shard, number), saved(session))
                    })
                    .collect();
                format!("{:?}", a.save(&sessions).await)
            }
            Step::Tails(count) => format!("{:?}", a.tails(count).await),
        }
    }

    /// The token that was given for this shard so many times ago; 0 before the first.
    fn token(&self, shard: Shard, ago: usize) -> u64 {
        let tokens = self.tokens.get(&shard).map_or(&[][..], Vec::as_slice);
        let token = tokens.len().checked_sub(ago + 1);
        token.map_or(0, |index| tokens[index])
    }

    async fn beat(
        &self,
        who: u8,
        leaving: bool,
        long: bool,
        held: &[(Shard, usize, Status)],
    ) -> String {
        let replica = Replica {
            leaving,
            ..replica(&name(who))
        };
        let held = held.iter().map(|(shard, number, status)| Held {
            shard: *shard,
            token: self.token(*shard, *number),
            status: *status,
        });
        let held: Vec<_> = held.collect();
        let fleet = self.application.beat(&replica, ttl(long), &held).await;
        self.fleet(&fleet.unwrap())
    }

    async fn plan(&mut self, known: bool, current: u32) -> String {
        let plan = Plan {
            current,
            next: current.is_multiple_of(2).then_some(current + 1),
            phase: [Phase::Steady, Phase::Warming, Phase::Switching][current as usize % 3],
            revision: 0,
        };
        let fleet = Fleet {
            version: self.version,
            plan: self.plan.clone().filter(|_| known),
            ..Fleet::default()
        };
        let Some(now) = self.application.plan(&fleet, &plan).await.unwrap() else {
            return "another plan holds".to_owned();
        };
        self.plan = Some(now.clone());
        format!("{} {:?} {:?}", now.current, now.next, now.phase)
    }

    fn acquired(&mut self, shard: Shard, acquired: &Acquired) -> String {
        let Acquired::Taken { token, session } = acquired else {
            return format!("{acquired:?}");
        };
        self.tokens.entry(shard).or_default().push(*token);
        format!("taken {session:?}")
    }

    fn fleet(&self, fleet: &Fleet) -> String {
        let leases = fleet.leases.iter().map(|lease| {
            let remains = lease.remaining.is_some();
            let tokens = self.tokens.get(&lease.shard).into_iter().flatten();
            let number = tokens.copied().position(|token| token == lease.token);
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

/// Something to do at random; tokens are recent ones.
fn step(random: &mut fastrand::Rng) -> Step {
    let shard = |random: &mut fastrand::Rng| Shard {
        count: [2, 4][random.usize(..2)],
        id: random.u32(..2),
    };
    let token = |random: &mut fastrand::Rng| random.usize(..3);
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
        14..17 => {
            let sessions = [some(random), some(random)];
            Step::Release(shard(random), token(random), sessions)
        }
        17..19 => {
            let sessions = 0..random.u8(..4);
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
            let step = step(&mut random);
            let outcomes = (memory.act(&step).await, redis.act(&step).await);
            done.push(step);
            assert_eq!(outcomes.0, outcomes.1, "seed {seed}, after {done:?}");
        }
    }
}
