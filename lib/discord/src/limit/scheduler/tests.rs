//! The scheduler against a model of Discord, on a clock that only the test moves.

mod model;
mod share;

use std::{sync::Arc, time::Duration};

use model::{Kind, Model, Run};

use super::{Refusal, Request, Scheduler, Settings, Step, Verdict};
use crate::{
    limit::{Address, Answer, Quota, Scope},
    route::{Method, Route},
};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A request that has ten minutes.
fn request(method: Method, path: &str) -> Request {
    Request {
        route: Route::new(method, path, 77, 0).unwrap(),
        priority: 0,
        caller: Arc::from("a"),
        deadline: ms(600_000),
        since: Duration::ZERO,
    }
}

fn post(channel: u64) -> Request {
    request(Method::Post, &format!("/channels/{channel}/messages"))
}

fn ok(remaining: u32) -> Answer {
    let quota = Quota {
        bucket: "b".into(),
        limit: 5,
        remaining,
        reset_after: ms(1000),
    };
    Answer {
        status: 200,
        quota: Some(quota),
        ..Answer::default()
    }
}

fn limited(scope: Scope, wait: Duration) -> Answer {
    Answer {
        status: 429,
        limited: Some((scope, wait)),
        ..Answer::default()
    }
}

/// A scheduler with its address.
struct Case {
    scheduler: Scheduler,
    address: Address,
}

impl Case {
    fn new() -> Self {
        Self {
            scheduler: Scheduler::new(Settings::default()),
            address: Address::new(10_000),
        }
    }

    fn next(&mut self, now: Duration) -> Step {
        self.scheduler.next(now, &mut self.address)
    }

    fn enqueue(&mut self, now: Duration, request: Request) -> super::Id {
        self.scheduler.enqueue(now, request).unwrap()
    }

    fn complete(&mut self, now: Duration, id: super::Id, answer: &Answer) -> Verdict {
        self.scheduler
            .complete(now, id, Some(answer), &mut self.address)
    }
}

/// Two thousand requests over twenty buckets of 5 a second, under 50 a second for all: the ideal is 40 s.
#[test]
fn a_burst_meets_no_429_and_takes_hardly_longer_than_the_limits_demand() {
    for kind in [Kind::Fixed, Kind::Sliding, Kind::Tokens] {
        for seed in 1..=3 {
            let mut run = Run::new(Model::new(kind, seed), Settings::default());
            for number in 0..2000 {
                run.enqueue(post(number % 20));
            }
            run.finish();
            assert_eq!(run.model.refused, 0, "{kind:?} {seed}");
            assert_eq!(run.answered.len(), 2000);
            let took = run.now;
            assert!(took <= ms(42_000), "{kind:?} {seed}: {took:?}");
            run.assert_order();
        }
    }
}

/// The bucket's limit alone, with requests that need no order.
#[test]
fn a_single_bucket_is_used_to_the_full() {
    for kind in [Kind::Fixed, Kind::Sliding, Kind::Tokens] {
        let mut run = Run::new(Model::new(kind, 9), Settings::default());
        for _ in 0..200 {
            run.enqueue(request(Method::Get, "/channels/1/messages"));
        }
        run.finish();
        assert_eq!(run.model.refused, 0, "{kind:?}");
        // 200 at 5 a second, and one round trip of at most 40 ms for each window.
        assert!(run.now <= ms(42_000), "{kind:?}: {:?}", run.now);
    }
}

#[test]
fn an_exhausted_bucket_holds_up_nobody_else() {
    let mut run = Run::new(Model::new(Kind::Fixed, 4), Settings::default());
    for _ in 0..10_000 {
        run.enqueue(Request {
            deadline: ms(10_000_000),
            ..post(1)
        });
    }
    run.until(ms(5_000));
    let asked = run.now;
    let id = run.enqueue(post(2));
    while !run.answered.iter().any(|(answered, _)| *answered == id) {
        run.step();
    }
    assert!(run.now - asked <= ms(100), "{:?}", run.now - asked);
    assert_eq!(run.model.refused, 0);
}

#[test]
fn who_turns_out_to_be_too_late_is_told_so_at_once() {
    let mut case = Case::new();
    // Nothing is known of the bucket, so the others wait for the answer to the first.
    let soon = |seconds: u64| Request {
        deadline: ms(seconds * 1000),
        ..post(1)
    };
    let first = case.enqueue(ms(0), soon(60));
    let late = [60, 1800].map(|seconds| case.enqueue(ms(0), soon(seconds)));
    let patient = case.enqueue(ms(0), soon(7200));
    assert_eq!(case.next(ms(0)), Step::Send(first));
    assert!(matches!(case.next(ms(0)), Step::Wait(_)));
    let mut answer = ok(0);
    let quota = answer.quota.as_mut().unwrap();
    (quota.limit, quota.reset_after) = (1, ms(3_600_000));
    case.complete(ms(40), first, &answer);
    let mut told = Vec::new();
    while let Step::Refuse(id, Refusal::Deadline { retry_after }) = case.next(ms(40)) {
        assert!(retry_after >= ms(3_600_000), "{retry_after:?}");
        told.push(id);
    }
    told.sort_unstable();
    assert_eq!(told, late);
    assert_eq!(case.scheduler.waiting(), 1);
    assert_eq!(case.next(ms(3_600_100)), Step::Send(patient));
}

#[test]
fn a_caller_that_floods_takes_no_turns_from_another() {
    let mut case = Case::new();
    for _ in 0..100 {
        case.enqueue(ms(0), post(1));
    }
    let Step::Send(first) = case.next(ms(0)) else {
        panic!()
    };
    case.complete(ms(10), first, &ok(4));
    let late = case.enqueue(
        ms(10),
        Request {
            caller: "b".into(),
            ..post(1)
        },
    );
    let mut sent = Vec::new();
    for at in [10, 20] {
        let Step::Send(id) = case.next(ms(at)) else {
            panic!()
        };
        case.complete(ms(at + 5), id, &ok(3));
        sent.push(id);
    }
    assert!(sent.contains(&late), "{sent:?}");

    // The same when all go to buckets of their own.
    let mut case = Case::new();
    for channel in 0..100 {
        case.enqueue(ms(0), post(channel));
    }
    for _ in 0..10 {
        assert!(matches!(case.next(ms(0)), Step::Send(_)));
    }
    let late = Request {
        caller: "b".into(),
        ..post(100)
    };
    let late = case.enqueue(ms(1), late);
    let next = [case.next(ms(1)), case.next(ms(1))];
    assert!(next.contains(&Step::Send(late)), "{next:?}");
}

#[test]
fn higher_priority_goes_first_and_the_lowest_goes_too() {
    let mut case = Case::new();
    let low = case.enqueue(ms(0), request(Method::Get, "/channels/1/messages"));
    for _ in 0..1000 {
        let high = request(Method::Get, "/channels/1/messages");
        case.enqueue(
            ms(0),
            Request {
                priority: 9,
                ..high
            },
        );
    }
    let (mut now, mut sent) = (ms(0), Vec::new());
    while !sent.contains(&low) {
        match case.next(now) {
            Step::Send(id) => {
                case.complete(now, id, &ok(4));
                sent.push(id);
            }
            Step::Wait(Some(time)) => now = time,
            step => panic!("{step:?}"),
        }
    }
    assert!(sent.len() > 10, "priority meant nothing");
    assert!(now <= ms(20_000), "{now:?}");
}

#[test]
fn nothing_is_sent_after_its_deadline_and_what_cannot_make_it_is_refused_at_once() {
    let mut case = Case::new();
    let first = case.enqueue(ms(0), post(1));
    assert_eq!(case.next(ms(0)), Step::Send(first));
    let short = case.enqueue(
        ms(0),
        Request {
            deadline: ms(50),
            ..post(1)
        },
    );
    assert_eq!(case.next(ms(0)), Step::Wait(Some(ms(50))));
    assert!(matches!(case.next(ms(50)), Step::Refuse(id, Refusal::Deadline { .. }) if id == short));
    case.complete(ms(60), first, &ok(4));
    for _ in 0..9 {
        case.enqueue(ms(60), post(1));
    }
    // Four go now, five a second later.
    let refused = case.scheduler.enqueue(
        ms(60),
        Request {
            deadline: ms(900),
            ..post(1)
        },
    );
    let Err(Refusal::Deadline { retry_after }) = refused else {
        panic!("{refused:?}")
    };
    assert!(retry_after >= ms(990), "{retry_after:?}");
}

#[test]
fn who_cannot_outlast_a_known_wait_is_refused_at_once_and_told_how_long_it_is() {
    for scope in [Scope::Shared, Scope::User, Scope::Global] {
        let mut case = Case::new();
        let first = case.enqueue(ms(0), post(1));
        assert_eq!(case.next(ms(0)), Step::Send(first));
        case.complete(ms(10), first, &limited(scope, ms(10_000)));
        let short = Request {
            deadline: ms(5_000),
            ..post(1)
        };
        let refused = case.scheduler.enqueue(ms(10), short);
        let wait = Refusal::Deadline {
            retry_after: ms(10_000),
        };
        assert_eq!(refused, Err(wait), "{scope:?}");
        let later = Request {
            deadline: ms(10_005),
            ..request(Method::Post, "/channels/1/typing")
        };
        // Only the global limit covers another route.
        let other = case.scheduler.enqueue(ms(10), later);
        assert_eq!(other.is_err(), scope == Scope::Global, "{scope:?}");
    }
}

#[test]
fn a_request_whose_fate_is_unknown_counts_as_sent() {
    let mut case = Case::new();
    let first = case.enqueue(ms(0), post(1));
    assert_eq!(case.next(ms(0)), Step::Send(first));
    case.complete(ms(10), first, &ok(4));
    let get = || request(Method::Get, "/channels/1/messages");
    let pins = request(Method::Get, "/channels/1/pins");
    case.enqueue(ms(10), pins);
    for _ in 0..60 {
        case.enqueue(ms(20), get());
    }
    // The bucket is known after one answer; then four more of five, of which nothing is heard.
    let mut sent = Vec::new();
    while let Step::Send(id) = case.next(ms(20)) {
        sent.push(id);
    }
    case.complete(ms(30), sent[0], &ok(3));
    case.complete(ms(30), sent[1], &ok(2));
    let mut lost = 0;
    while let Step::Send(id) = case.next(ms(30)) {
        case.scheduler.complete(ms(40), id, None, &mut case.address);
        lost += 1;
    }
    assert_eq!(lost, 2);
    let Step::Wait(Some(when)) = case.next(ms(50)) else {
        panic!("five were sent")
    };
    assert!(when >= ms(1_000), "{when:?}");
    assert_eq!(case.scheduler.in_flight(), 0);
}

#[test]
fn a_full_queue_refuses_at_once_and_says_when_to_come_again() {
    let settings = Settings {
        waiting: 4,
        waiting_per_bucket: 3,
        ..Settings::default()
    };
    let mut case = Case::new();
    case.scheduler = Scheduler::new(settings);
    for _ in 0..3 {
        case.enqueue(ms(0), post(1));
    }
    let refused = case.scheduler.enqueue(ms(0), post(1));
    assert!(matches!(refused, Err(Refusal::Full { retry_after }) if retry_after > ms(0)));
    case.enqueue(ms(0), post(2));
    // Now all of the application are too many.
    let refused = case.scheduler.enqueue(ms(0), post(3));
    assert!(matches!(refused, Err(Refusal::Full { retry_after }) if retry_after > ms(0)));
}

#[test]
fn each_429_stops_exactly_what_it_covers() {
    let second = ms(1000);
    let other = || request(Method::Post, "/channels/1/typing");
    let callback = || request(Method::Post, "/interactions/1/t/callback");
    for (scope, same, others, exempt) in [
        (Scope::User, false, true, true),
        (Scope::Shared, false, true, true),
        (Scope::Global, false, false, true),
        (Scope::Cloudflare, false, false, false),
    ] {
        let mut case = Case::new();
        let id = case.enqueue(ms(0), post(1));
        assert_eq!(case.next(ms(0)), Step::Send(id));
        assert_eq!(
            case.complete(ms(0), id, &limited(scope, second)),
            Verdict::Again
        );
        let sent = |case: &mut Case, id| case.next(ms(1)) == Step::Send(id);
        assert_eq!(sent(&mut case, id), same, "{scope:?}");
        let id = case.enqueue(ms(1), other());
        assert_eq!(sent(&mut case, id), others, "{scope:?}");
        let id = case.enqueue(ms(1), callback());
        assert_eq!(sent(&mut case, id), exempt, "{scope:?}");
        assert!(matches!(case.next(ms(1000)), Step::Send(_)), "{scope:?}");
    }
}

#[test]
fn a_hidden_limit_holds_back_only_requests_with_its_member() {
    let mut case = Case::new();
    let patch = |members: &[&'static str]| {
        let request = request(Method::Patch, "/channels/1");
        let route = request.route.with_members(members.iter().copied());
        Request { route, ..request }
    };
    let mut hidden = limited(Scope::User, ms(300_000));
    hidden.quota = ok(3).quota;
    let id = case.enqueue(ms(0), patch(&["name"]));
    assert_eq!(case.next(ms(0)), Step::Send(id));
    assert_eq!(case.complete(ms(5), id, &hidden), Verdict::Again);
    let name = case.enqueue(ms(5), patch(&["name"]));
    let other = case.enqueue(ms(5), patch(&["nsfw"]));
    assert_eq!(case.next(ms(5)), Step::Send(other));
    case.complete(ms(6), other, &ok(2));
    assert!(matches!(case.next(ms(6)), Step::Wait(_)));
    assert_eq!(case.next(ms(300_005)), Step::Send(id));
    case.complete(ms(300_006), id, &ok(4));
    assert_eq!(case.next(ms(300_006)), Step::Send(name));
}

#[test]
fn a_limit_that_only_the_429s_of_a_route_show_is_learned_and_kept() {
    let mut case = Case::new();
    let s = Duration::from_secs;
    let shared = |seconds| limited(Scope::Shared, s(seconds));
    let pass = |case: &mut Case, at, id| {
        assert_eq!(case.next(s(at)), Step::Send(id), "{at}");
        case.complete(s(at), id, &ok(4));
    };
    let id = case.enqueue(ms(0), post(1));
    assert_eq!(case.next(ms(0)), Step::Send(id));
    assert_eq!(case.complete(ms(0), id, &shared(10)), Verdict::Again);
    pass(&mut case, 10, id);
    let id = case.enqueue(s(11), post(1));
    pass(&mut case, 11, id);
    let id = case.enqueue(s(12), post(1));
    assert_eq!(case.next(s(12)), Step::Send(id));
    assert_eq!(case.complete(s(12), id, &shared(58)), Verdict::Again);
    // Two in a minute.
    pass(&mut case, 70, id);
    let id = case.enqueue(s(71), post(1));
    pass(&mut case, 71, id);
    let id = case.enqueue(s(72), post(1));
    assert!(matches!(case.next(s(129)), Step::Wait(_)));
    pass(&mut case, 130, id);
}

#[test]
fn a_revoked_token_stops_the_application_and_a_new_one_starts_it() {
    let mut case = Case::new();
    let (first, second) = (case.enqueue(ms(0), post(1)), case.enqueue(ms(0), post(1)));
    assert_eq!(case.next(ms(0)), Step::Send(first));
    case.complete(
        ms(1),
        first,
        &Answer {
            status: 401,
            ..Answer::default()
        },
    );
    assert_eq!(
        case.next(ms(1)),
        Step::Refuse(second, Refusal::Unauthorized)
    );
    assert_eq!(
        case.scheduler.enqueue(ms(1), post(1)),
        Err(Refusal::Unauthorized)
    );
    // A webhook has its own token.
    case.enqueue(ms(1), request(Method::Post, "/webhooks/5/t"));
    case.scheduler.resume();
    case.enqueue(ms(1), post(1));
}

#[test]
fn near_the_ban_only_what_has_succeeded_goes() {
    let mut case = Case::new();
    let first = case.enqueue(ms(0), post(1));
    assert_eq!(case.next(ms(0)), Step::Send(first));
    case.complete(ms(1), first, &ok(4));
    case.address.count(ms(1), 9_500);
    let proven = case.enqueue(ms(1), post(1));
    let unknown = case.enqueue(ms(1), request(Method::Get, "/guilds/9/members"));
    assert_eq!(case.next(ms(1)), Step::Send(proven));
    let refused = case.next(ms(1));
    assert!(matches!(refused, Step::Refuse(id, Refusal::Invalid { .. }) if id == unknown));
    // What fails has to prove itself again.
    let forbidden = Answer {
        status: 403,
        ..Answer::default()
    };
    case.complete(ms(2), proven, &forbidden);
    let failed = case.enqueue(ms(2), post(1));
    let refused = case.next(ms(2));
    assert!(matches!(refused, Step::Refuse(id, Refusal::Invalid { .. }) if id == failed));
}

#[test]
fn on_the_way_to_the_ban_what_has_not_succeeded_goes_slowly() {
    let mut case = Case::new();
    let first = case.enqueue(ms(0), post(1));
    assert_eq!(case.next(ms(0)), Step::Send(first));
    case.complete(ms(1), first, &ok(4));
    case.address.count(ms(1), 8_000);
    let unknown = [2, 3].map(|channel| case.enqueue(ms(1), post(channel)));
    assert_eq!(case.next(ms(1)), Step::Send(unknown[0]));
    let Step::Wait(Some(when)) = case.next(ms(1)) else {
        panic!("two at once")
    };
    // A thousand are left until nothing goes, for ten minutes.
    assert_eq!(when, ms(601));
    let proven = case.enqueue(ms(1), post(1));
    assert_eq!(case.next(ms(1)), Step::Send(proven));
    assert_eq!(case.next(when), Step::Send(unknown[1]));
}

#[test]
fn what_is_gone_is_refused_without_asking_and_its_token_is_not_told() {
    let mut case = Case::new();
    let hook = || request(Method::Post, "/webhooks/5/secret");
    let id = case.enqueue(ms(0), hook());
    assert_eq!(case.next(ms(0)), Step::Send(id));
    case.complete(
        ms(1),
        id,
        &Answer {
            status: 404,
            code: Some(10_015),
            ..Answer::default()
        },
    );
    let refused = case.scheduler.enqueue(ms(1), hook());
    let gone = Refusal::Gone {
        status: 404,
        code: 10_015,
        major: "webhooks/5".to_owned(),
    };
    assert_eq!(refused, Err(gone));
}

#[test]
fn routes_that_share_a_bucket_share_its_permits() {
    let mut case = Case::new();
    let first = case.enqueue(ms(0), post(1));
    let other = case.enqueue(ms(0), request(Method::Get, "/channels/1/pins"));
    for id in [first, other] {
        assert_eq!(case.next(ms(0)), Step::Send(id));
    }
    case.complete(ms(1), first, &ok(4));
    case.complete(ms(1), other, &ok(3));
    assert_eq!(case.scheduler.buckets(), 1);
    for _ in 0..4 {
        case.enqueue(ms(2), request(Method::Get, "/channels/1/messages/pins"));
    }
    let probe = case.next(ms(2));
    let Step::Send(probe) = probe else {
        panic!("{probe:?}")
    };
    case.complete(ms(3), probe, &ok(2));
    let sent = std::iter::from_fn(|| match case.next(ms(3)) {
        Step::Send(id) => Some(id),
        Step::Refuse(..) | Step::Wait(_) => None,
    });
    assert_eq!(sent.count(), 2);
}

#[test]
fn idle_buckets_are_forgotten_once_there_are_many() {
    let mut case = Case::new();
    case.scheduler = Scheduler::new(Settings {
        buckets: 100,
        ..Settings::default()
    });
    let mut now = ms(0);
    for channel in 0..1000 {
        let id = case.enqueue(
            now,
            Request {
                deadline: now + ms(5000),
                ..post(channel)
            },
        );
        assert_eq!(case.next(now), Step::Send(id));
        case.complete(now, id, &ok(4));
        now += ms(100);
    }
    assert!(case.scheduler.buckets() <= 100);
    assert_eq!(
        (case.scheduler.waiting(), case.scheduler.in_flight()),
        (0, 0)
    );
}

#[test]
fn random_traffic_meets_no_429_and_everything_is_answered() {
    for seed in 1..=20 {
        let kind = [Kind::Fixed, Kind::Sliding, Kind::Tokens][seed as usize % 3];
        let mut run = Run::new(Model::new(kind, seed), Settings::default());
        for _ in 0..400 {
            let channel = run.model.random(6);
            let caller = ["a", "b", "c"][run.model.random(3) as usize];
            let route = [
                post(channel),
                request(Method::Get, &format!("/channels/{channel}")),
            ];
            let chosen = route[run.model.random(2) as usize].clone();
            run.enqueue(Request {
                caller: caller.into(),
                ..chosen
            });
            let pause = ms(run.model.random(120));
            run.until(run.now + pause);
        }
        run.finish();
        assert_eq!(run.model.refused, 0, "{kind:?} {seed}");
        assert_eq!(run.answered.len(), 400, "{kind:?} {seed}");
        run.assert_order();
    }
}
