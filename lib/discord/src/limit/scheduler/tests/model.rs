//! A model of Discord: buckets of 5 a second for each channel and 50 a second for all, behind a network of random speed.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::super::{Id, Request, Scheduler, Settings, Step};
use super::ms;
use crate::limit::{Address, Answer, Quota, Scope};

const SECOND: Duration = Duration::from_secs(1);

/// How the model's limits count.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Fixed,
    Sliding,
    Tokens,
}

/// The model. Its clock is ahead of the scheduler's by as much as the seed says.
pub(super) struct Model {
    kind: Kind,
    random: u64,
    skew: Duration,
    counters: HashMap<String, VecDeque<Duration>>,
    levels: HashMap<String, (f64, Duration)>,
    pub(super) refused: usize,
}

impl Model {
    pub(super) fn new(kind: Kind, seed: u64) -> Self {
        Self {
            kind,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            skew: ms(seed * 333),
            counters: HashMap::new(),
            levels: HashMap::new(),
            refused: 0,
        }
    }

    /// A number below `below`, by xorshift.
    pub(super) fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    /// Counts one request for a limit; what remains and the reset, or how long to wait.
    fn count(&mut self, now: Duration, key: &str, limit: u32) -> Result<(u32, Duration), Duration> {
        if matches!(self.kind, Kind::Tokens) {
            let each = SECOND.as_secs_f64() / f64::from(limit);
            let (taken, at) = self.levels.get(key).copied().unwrap_or((0.0, now));
            let taken = (taken - (now - at).as_secs_f64() / each).max(0.0);
            if taken + 1.0 > f64::from(limit) + 1e-6 {
                return Err(Duration::from_secs_f64(each));
            }
            self.levels.insert(key.to_owned(), (taken + 1.0, now));
            let used = (1..=limit).find(|used| f64::from(*used) + 1e-6 >= taken + 1.0);
            let reset = Duration::from_secs_f64((taken + 1.0) * each);
            return Ok((limit - used.unwrap_or(limit), reset));
        }
        let hits = self.counters.entry(key.to_owned()).or_default();
        match self.kind {
            Kind::Fixed if hits.front().is_some_and(|first| now >= *first + SECOND) => hits.clear(),
            _ => {
                while hits.front().is_some_and(|hit| now >= *hit + SECOND) {
                    hits.pop_front();
                }
            }
        }
        let reset = *hits.front().unwrap_or(&now) + SECOND - now;
        if hits.len() >= limit as usize {
            return Err(reset);
        }
        hits.push_back(now);
        Ok((limit - u32::try_from(hits.len()).unwrap(), reset))
    }

    pub(super) fn answer(&mut self, now: Duration, request: &Request) -> Answer {
        let now = now + self.skew;
        if let Err(wait) = self.count(now, "global", 50) {
            return self.refuse(Scope::Global, wait);
        }
        let key = format!("{} {}", request.route.key, request.route.major);
        match self.count(now, &key, 5) {
            Err(wait) => self.refuse(Scope::User, wait),
            Ok((remaining, reset_after)) => Answer {
                status: 200,
                quota: Some(Quota {
                    bucket: format!("# {}", request.route.key).into(),
                    limit: 5,
                    remaining,
                    reset_after,
                }),
                ..Answer::default()
            },
        }
    }

    fn refuse(&mut self, scope: Scope, wait: Duration) -> Answer {
        self.refused += 1;
        Answer {
            status: 429,
            limited: Some((scope, wait)),
            ..Answer::default()
        }
    }
}

/// What happens next on the network.
enum Arrival {
    AtDiscord(Id),
    Back(Id, Answer),
}

/// A scheduler, the model, and the network between them.
pub(super) struct Run {
    pub(super) model: Model,
    pub(super) now: Duration,
    /// Requests in the order in which Discord has carried them out.
    pub(super) answered: Vec<(Id, Request)>,
    scheduler: Scheduler,
    address: Address,
    requests: HashMap<Id, Request>,
    network: BTreeMap<(Duration, u64), Arrival>,
    arrivals: u64,
}

impl Run {
    pub(super) fn new(model: Model, settings: Settings) -> Self {
        Self {
            model,
            now: Duration::ZERO,
            answered: Vec::new(),
            scheduler: Scheduler::new(settings),
            address: Address::new(10_000),
            requests: HashMap::new(),
            network: BTreeMap::new(),
            arrivals: 0,
        }
    }

    /// Hands a request in: every other one may go at once.
    pub(super) fn enqueue(&mut self, request: Request) -> Id {
        let request = Request {
            deadline: self.now + request.deadline,
            ..request
        };
        if self.requests.len().is_multiple_of(2) {
            let passed = self
                .scheduler
                .pass(self.now, request.clone(), &mut self.address);
            if let Ok(id) = passed {
                self.requests.insert(id, request);
                self.travel(Arrival::AtDiscord(id));
                return id;
            }
        }
        let id = self.scheduler.enqueue(self.now, request.clone()).unwrap();
        self.requests.insert(id, request);
        id
    }

    /// Goes on until nothing is left to do.
    pub(super) fn finish(&mut self) {
        while self.answered.len() < self.requests.len() {
            self.step();
        }
    }

    /// Goes on until that moment.
    pub(super) fn until(&mut self, time: Duration) {
        while let Some(next) = self.send()
            && next <= time
        {
            self.arrive(next);
        }
        self.now = self.now.max(time);
    }

    /// Goes on to the next thing that happens.
    pub(super) fn step(&mut self) {
        let next = self.send().expect("something must happen");
        self.arrive(next);
    }

    /// Order holds for each caller in each bucket.
    pub(super) fn assert_order(&self) {
        let mut last: HashMap<[Arc<str>; 3], Id> = HashMap::new();
        for (id, request) in self
            .answered
            .iter()
            .filter(|(_, request)| request.route.ordered)
        {
            let route = &request.route;
            let key = [
                route.key.clone(),
                route.major.clone(),
                request.caller.clone(),
            ];
            let former = last.insert(key, *id);
            assert!(
                former.is_none_or(|former| former < *id),
                "{former:?} before {id:?}"
            );
        }
    }

    /// Sends what may be sent; when something happens next.
    fn send(&mut self) -> Option<Duration> {
        let wake = loop {
            match self.scheduler.next(self.now, &mut self.address) {
                Step::Send(id) => self.travel(Arrival::AtDiscord(id)),
                Step::Wait(wake) => break wake,
                Step::Refuse(id, refusal) => panic!("{id:?}: {refusal}"),
            }
        };
        let network = self.network.first_key_value().map(|((time, _), _)| *time);
        [wake, network].into_iter().flatten().min()
    }

    /// One way takes 1 to 10 ms.
    fn travel(&mut self, arrival: Arrival) {
        let time = self.now + ms(1 + self.model.random(10));
        self.arrivals += 1;
        self.network.insert((time, self.arrivals), arrival);
    }

    fn arrive(&mut self, time: Duration) {
        self.now = self.now.max(time);
        while let Some(entry) = self.network.first_entry()
            && entry.key().0 <= self.now
        {
            match entry.remove() {
                Arrival::AtDiscord(id) => {
                    let request = self.requests[&id].clone();
                    let answer = self.model.answer(self.now, &request);
                    if answer.status == 200 {
                        self.answered.push((id, request));
                    }
                    self.travel(Arrival::Back(id, answer));
                }
                Arrival::Back(id, answer) => {
                    let _verdict =
                        self.scheduler
                            .complete(self.now, id, Some(&answer), &mut self.address);
                }
            }
        }
    }
}
