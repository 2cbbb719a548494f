//! Several schedulers with one ledger against the same model of Discord, on a clock that only the test moves.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    super::{Id, Request, Scheduler, Settings, Step},
    limited,
    model::{Kind, Model},
    ms, post, request,
};
use crate::{
    limit::{Address, Answer, Ledger, Member, Need, Refusal, Reply, Report, Scope},
    route::Method,
};

/// Longer than the slowest answer of the model.
const FLIGHT: Duration = ms(500);

fn member(place: usize) -> Member {
    Member {
        replica: place.to_string(),
        token: "token".to_owned(),
        flight: FLIGHT,
    }
}

/// What happens next.
enum Arrival {
    AtDiscord(usize, Id),
    AtStore(usize, Report),
    Back(usize, Id, Answer),
    Heard(usize, Report, Option<Reply>),
    /// A replica may make its next report.
    Turn(usize),
}

struct Replica {
    scheduler: Scheduler,
    address: Address,
    reporting: bool,
    rests: bool,
    dead: bool,
}

/// Replicas, the store, the model, and the networks between them.
struct Fleet {
    model: Model,
    now: Duration,
    replicas: Vec<Replica>,
    ledger: Ledger,
    away: bool,
    requests: HashMap<(usize, Id), Request>,
    /// Which were carried out, in Discord's order, and when.
    done: Vec<(usize, Id, Duration)>,
    arrivals: BTreeMap<(Duration, u64), Arrival>,
    count: u64,
    reports: usize,
}

impl Fleet {
    fn new(kind: Kind, seed: u64, count: usize) -> Self {
        let replica = |_| {
            let mut scheduler = Scheduler::new(Settings::default());
            scheduler.join(ms(0));
            Replica {
                scheduler,
                address: Address::new(10_000),
                reporting: false,
                rests: false,
                dead: false,
            }
        };
        Self {
            model: Model::new(kind, seed),
            now: ms(0),
            replicas: (0..count).map(replica).collect(),
            ledger: Ledger::default(),
            away: false,
            requests: HashMap::new(),
            done: Vec::new(),
            arrivals: BTreeMap::new(),
            count: 0,
            reports: 0,
        }
    }

    fn enqueue(&mut self, replica: usize, request: Request) -> Id {
        let request = Request {
            deadline: self.now + request.deadline,
            ..request
        };
        // Every other one may go at once.
        let may_pass = self.requests.len().is_multiple_of(2);
        let Replica {
            scheduler, address, ..
        } = &mut self.replicas[replica];
        if may_pass && let Ok(id) = scheduler.pass(self.now, request.clone(), address) {
            self.requests.insert((replica, id), request);
            let late = ms(1 + self.model.random(10));
            self.later(late, Arrival::AtDiscord(replica, id));
            return id;
        }
        let id = scheduler.enqueue(self.now, request.clone()).unwrap();
        self.requests.insert((replica, id), request);
        id
    }

    /// Goes on until all of so many are done.
    fn finish(&mut self, count: usize) {
        while self.done.len() < count {
            assert!(
                self.now < ms(600_000),
                "{} of {count} done",
                self.done.len()
            );
            self.step(ms(600_000));
        }
    }

    fn until(&mut self, time: Duration) {
        while self.now < time {
            self.step(time);
        }
    }

    fn step(&mut self, most: Duration) {
        let mut wake = Some(most);
        for place in 0..self.replicas.len() {
            if !self.replicas[place].dead {
                let next = self.pump(place);
                wake = [wake, next].into_iter().flatten().min();
            }
        }
        let first = self.arrivals.first_key_value().map(|((time, _), _)| *time);
        let next = [wake, first].into_iter().flatten().min().unwrap();
        self.now = self.now.max(next);
        while let Some(entry) = self.arrivals.first_entry()
            && entry.key().0 <= self.now
        {
            let arrival = entry.remove();
            self.arrive(arrival);
        }
    }

    /// Sends and asks what one replica may.
    fn pump(&mut self, place: usize) -> Option<Duration> {
        let wake = loop {
            let replica = &mut self.replicas[place];
            match replica.scheduler.next(self.now, &mut replica.address) {
                Step::Send(id) => {
                    let late = ms(1 + self.model.random(10));
                    self.later(late, Arrival::AtDiscord(place, id));
                }
                Step::Wait(wake) => break wake,
                Step::Refuse(id, refusal) => panic!("{id:?}: {refusal}"),
            }
        };
        let replica = &mut self.replicas[place];
        let need = replica.scheduler.need(self.now);
        if !replica.reporting && (need == Need::Now || need == Need::Soon && !replica.rests) {
            replica.reporting = true;
            let report = replica.scheduler.report(self.now, 50);
            self.reports += 1;
            let late = ms(self.model.random(3));
            self.later(late, Arrival::AtStore(place, report));
        }
        wake
    }

    fn later(&mut self, late: Duration, arrival: Arrival) {
        self.count += 1;
        self.arrivals.insert((self.now + late, self.count), arrival);
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::AtDiscord(place, id) => {
                let request = self.requests[&(place, id)].clone();
                let answer = self.model.answer(self.now, &request);
                if answer.status == 200 {
                    self.done.push((place, id, self.now));
                }
                let late = ms(1 + self.model.random(10));
                self.later(late, Arrival::Back(place, id, answer));
            }
            Arrival::AtStore(place, report) => {
                let reply = self.ledger.report(self.now, &member(place), &report);
                let reply = Some(reply).filter(|_| !self.away);
                let late = ms(self.model.random(3));
                self.later(late, Arrival::Heard(place, report, reply));
            }
            Arrival::Back(place, id, answer) => {
                let replica = &mut self.replicas[place];
                let _verdict =
                    replica
                        .scheduler
                        .complete(self.now, id, Some(&answer), &mut replica.address);
            }
            Arrival::Heard(place, report, reply) => {
                let replica = &mut self.replicas[place];
                match reply {
                    Some(reply) => replica.scheduler.heard(self.now, &report, &reply),
                    None => replica.scheduler.part(self.now),
                }
                replica.reporting = false;
                replica.rests = true;
                self.later(ms(5), Arrival::Turn(place));
            }
            Arrival::Turn(place) => self.replicas[place].rests = false,
        }
    }

    /// SIGKILL: what is on its way goes on, and nothing else.
    fn kill(&mut self, place: usize) {
        self.replicas[place].dead = true;
        let back = |arrival: &Arrival| matches!(arrival, Arrival::Back(of, ..) | Arrival::Heard(of, ..) if *of == place);
        self.arrivals.retain(|_, arrival| !back(arrival));
    }

    /// What one replica has sent to one bucket was carried out in the order in which it came.
    fn assert_order(&self) {
        let mut last = HashMap::new();
        for (place, id, _) in &self.done {
            let route = &self.requests[&(*place, *id)].route;
            let former = last.insert((*place, route.major.clone()), *id);
            assert!(former.is_none_or(|former| former < *id), "{id:?}");
        }
    }
}

#[test]
fn replicas_that_share_a_store_meet_no_429_and_use_the_limits_to_the_full() {
    for kind in [Kind::Fixed, Kind::Sliding, Kind::Tokens] {
        for seed in 1..=2 {
            let mut fleet = Fleet::new(kind, seed, 3);
            for number in 0..2000 {
                fleet.enqueue(number % 3, post(number as u64 % 20));
            }
            fleet.finish(2000);
            assert_eq!(fleet.model.refused, 0, "{kind:?} {seed}");
            let took = fleet.now;
            assert!(took <= ms(42_000), "{kind:?} {seed}: {took:?}");
            fleet.assert_order();
            println!("{kind:?}: {took:?}, {} reports", fleet.reports);
        }
    }
}

#[test]
fn one_bucket_is_used_to_the_full_by_all_together() {
    for kind in [Kind::Fixed, Kind::Sliding, Kind::Tokens] {
        let mut fleet = Fleet::new(kind, 7, 3);
        for number in 0..150 {
            fleet.enqueue(number % 3, request(Method::Get, "/channels/1/messages"));
        }
        fleet.finish(150);
        assert_eq!(fleet.model.refused, 0, "{kind:?}");
        assert!(fleet.now <= ms(31_500), "{kind:?}: {:?}", fleet.now);
        let of_each = (0..3).map(|place| {
            let half = fleet.done[..75].iter();
            half.filter(|(of, ..)| *of == place).count()
        });
        let of_each: Vec<usize> = of_each.collect();
        assert!(of_each.iter().all(|count| *count >= 10), "{of_each:?}");
    }
}

#[test]
fn the_permits_of_a_killed_replica_come_back_after_their_flight_time() {
    let mut fleet = Fleet::new(Kind::Sliding, 3, 3);
    for number in 0..600 {
        fleet.enqueue(number % 3, post(number as u64 % 20));
    }
    fleet.until(ms(3_000));
    fleet.kill(0);
    let before = fleet.done.len();
    let of_others = |fleet: &Fleet| fleet.done.iter().filter(|(of, ..)| *of != 0).count();
    while of_others(&fleet) < 400 {
        assert!(
            fleet.now < ms(60_000),
            "{} before, {}",
            before,
            fleet.done.len()
        );
        fleet.step(ms(60_000));
    }
    assert_eq!(fleet.model.refused, 0);
    // In the last seconds all 50 a second were used by the two that live.
    let last = fleet.now - ms(1_000);
    let rate = fleet
        .done
        .iter()
        .filter(|(_, _, at)| *at > last - ms(2_000) && *at <= last);
    assert!(rate.count() >= 90);
}

#[test]
fn while_the_store_is_away_each_keeps_to_its_part_and_then_all_are_together_again() {
    for kind in [Kind::Fixed, Kind::Sliding, Kind::Tokens] {
        let mut fleet = Fleet::new(kind, 5, 3);
        for number in 0..1500 {
            fleet.enqueue(number % 3, post(number as u64 % 20));
        }
        fleet.until(ms(5_000));
        fleet.away = true;
        fleet.until(ms(6_000));
        let before = fleet.done.len();
        fleet.until(ms(12_000));
        let meanwhile = fleet.done.len() - before;
        // A third of five for each of twenty buckets, at most sixteen of fifty.
        assert!(meanwhile >= 150, "{kind:?}: {meanwhile}");
        fleet.away = false;
        for place in 0..3 {
            fleet.until(ms(12_000 + place as u64 * 300));
            let now = fleet.now;
            fleet.replicas[place].scheduler.join(now);
        }
        fleet.finish(1500);
        assert_eq!(fleet.model.refused, 0, "{kind:?}");
        assert!(fleet.replicas.iter().all(|it| it.scheduler.is_together()));
        assert!(fleet.now <= ms(45_000), "{kind:?}: {:?}", fleet.now);
        fleet.assert_order();
    }
}

#[test]
fn what_one_replica_was_told_to_wait_for_all_wait_for() {
    let mut fleet = Fleet::new(Kind::Fixed, 1, 2);
    fleet.enqueue(0, post(1));
    fleet.until(ms(100));
    // Discord says so to the first replica, and the second one hears of it.
    let id = fleet.enqueue(0, post(1));
    while fleet.replicas[0].scheduler.in_flight() == 0 {
        fleet.step(ms(120));
    }
    let replica = &mut fleet.replicas[0];
    let limited = limited(Scope::User, ms(3_000));
    let address = &mut replica.address;
    replica
        .scheduler
        .complete(fleet.now, id, Some(&limited), address);
    fleet.until(ms(150));
    fleet.enqueue(1, post(1));
    fleet.until(ms(3_000));
    let of_second = |fleet: &Fleet| fleet.done.iter().filter(|(of, ..)| *of == 1).count();
    assert_eq!(of_second(&fleet), 0);
    fleet.until(ms(3_500));
    assert_eq!(of_second(&fleet), 1);
}

#[test]
fn a_token_that_one_replica_found_revoked_stops_all() {
    let mut fleet = Fleet::new(Kind::Fixed, 1, 2);
    let id = fleet.enqueue(0, post(1));
    while fleet.replicas[0].scheduler.in_flight() == 0 {
        fleet.step(ms(1000));
    }
    let refused = Answer {
        status: 401,
        ..Answer::default()
    };
    let (now, first) = (fleet.now, &mut fleet.replicas[0]);
    let (scheduler, address) = (&mut first.scheduler, &mut first.address);
    scheduler.complete(now, id, Some(&refused), address);
    assert_eq!(scheduler.need(now), Need::Now);
    fleet.until(now + ms(50));
    fleet.enqueue(1, request(Method::Post, "/webhooks/5/t"));
    fleet.until(now + ms(100));
    let scheduler = &mut fleet.replicas[1].scheduler;
    assert_eq!(
        scheduler.enqueue(now + ms(100), post(1)),
        Err(Refusal::Unauthorized)
    );
}

#[test]
fn a_replica_that_comes_later_starts_with_what_the_others_know() {
    let mut fleet = Fleet::new(Kind::Fixed, 2, 2);
    for _ in 0..5 {
        fleet.enqueue(0, request(Method::Get, "/channels/1/messages"));
    }
    fleet.until(ms(200));
    assert_eq!(fleet.done.len(), 5);
    // The bucket is empty, and the other one knows it without having asked Discord.
    fleet.enqueue(1, request(Method::Get, "/channels/1/messages"));
    fleet.until(ms(900));
    assert_eq!(fleet.done.len(), 5);
    // Of another channel all may be sent at once: the limit is known.
    for _ in 0..5 {
        fleet.enqueue(1, request(Method::Get, "/channels/2/messages"));
    }
    fleet.until(ms(950));
    assert!(fleet.done.len() >= 9, "{}", fleet.done.len());
    fleet.until(ms(1_200));
    assert_eq!(fleet.done.len(), 11);
    assert_eq!(fleet.model.refused, 0);
}

#[test]
fn permits_that_nobody_needs_are_given_back() {
    let mut fleet = Fleet::new(Kind::Fixed, 2, 2);
    for _ in 0..40 {
        fleet.enqueue(0, request(Method::Get, "/users/1"));
        let pause = fleet.now + ms(20);
        fleet.until(pause);
    }
    let now = fleet.now + ms(2_000);
    fleet.until(now);
    for place in 0..2 {
        let report = fleet.replicas[place].scheduler.report(now, 50);
        assert!(report.lines.iter().all(|line| line.out == 0), "{report:?}");
    }
}
