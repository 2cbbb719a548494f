//! Discord's limits, which all replicas keep together.

use std::time::Duration;

use discord::limit::{Learned, Line, Member, Outcome, Report, Shape};
use store::{Application, Error};
use tokio::time::{Instant, sleep};

use crate::{
    bench::{APPLICATION, Bench, LONG, SHORT},
    server::Server,
};

crate::contract! {
    all_together_get_no_more_than_the_limit
    a_permit_comes_back_one_window_after_its_answer
    what_was_not_used_is_there_again_at_once
    the_permits_of_one_that_died_come_back_after_their_flight
    what_one_has_learned_of_a_bucket_all_know
    the_longest_window_holds_and_another_limit_is_believed
    an_unknown_bucket_lets_one_through_at_a_time
    all_wait_where_one_was_told_to
    a_refused_token_stops_those_that_have_it
    those_that_are_alive_are_counted
    invalid_requests_of_an_address_add_up
    odd_numbers_do_no_harm
}

fn member(replica: &str) -> Member {
    Member {
        replica: replica.to_owned(),
        token: "fingerprint".to_owned(),
        flight: LONG,
    }
}

fn line(out: u32, wanted: u32) -> Line {
    Line {
        out,
        wanted,
        ..Line::new("b channels/1".to_owned(), shape(5, LONG))
    }
}

fn shape(limit: u32, length: Duration) -> Shape {
    Shape::Bucket("b".into(), limit, length)
}

async fn report(application: &Application, member: &Member, line: Line) -> Outcome {
    let report = Report {
        lines: vec![line],
        ..Report::default()
    };
    let reply = application.limits(member, &report).await.unwrap();
    assert_eq!(reply.outcomes.len(), 1);
    reply.outcomes.into_iter().next().unwrap()
}

async fn all_together_get_no_more_than_the_limit(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    assert_eq!(report(&a, &member("a"), line(0, 3)).await.granted, 3);
    let rest = report(&b, &member("b"), line(0, 3)).await;
    assert_eq!(rest.granted, 2);
    assert!(
        !rest.wait.is_zero() && rest.wait <= Duration::from_millis(250),
        "{rest:?}"
    );
    assert_eq!(report(&a, &member("a"), line(3, 1)).await.granted, 0);
    // Another channel has permits of its own, and so has another application.
    let other = Line {
        window: "b channels/2".to_owned(),
        ..line(0, 9)
    };
    assert_eq!(report(&a, &member("a"), other).await.granted, 5);
    let stranger = bench.store().application(APPLICATION + 1);
    assert_eq!(report(&stranger, &member("a"), line(0, 9)).await.granted, 5);
}

async fn a_permit_comes_back_one_window_after_its_answer(bench: Bench) {
    let a = bench.application();
    let of = |line: Line| Line {
        shape: Shape::Fixed(2, SHORT),
        ..line
    };
    assert_eq!(report(&a, &member("a"), of(line(0, 2))).await.granted, 2);
    let answered = Instant::now();
    let told = Line {
        answered: vec![Duration::ZERO; 2],
        ..of(line(0, 1))
    };
    let mut refused = report(&a, &member("a"), told).await;
    while refused.granted == 0 {
        let left = SHORT.saturating_sub(answered.elapsed());
        assert!(
            refused.wait <= SHORT + Duration::from_millis(2),
            "{refused:?} {left:?}"
        );
        sleep(refused.wait).await;
        refused = report(&a, &member("a"), of(line(0, 1))).await;
    }
    assert!(answered.elapsed() >= SHORT, "{:?}", answered.elapsed());
    // How long ago the answer was counts, and not when it was told.
    let told = Line {
        answered: vec![SHORT * 2; 2],
        ..of(line(0, 9))
    };
    assert_eq!(report(&a, &member("a"), told).await.granted, 2);
}

async fn what_was_not_used_is_there_again_at_once(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    assert_eq!(report(&a, &member("a"), line(0, 5)).await.granted, 5);
    report(&a, &member("a"), line(2, 0)).await;
    assert_eq!(report(&b, &member("b"), line(0, 5)).await.granted, 3);
}

async fn the_permits_of_one_that_died_come_back_after_their_flight(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let mortal = Member {
        flight: SHORT,
        ..member("a")
    };
    let of = |line: Line| Line {
        shape: Shape::Fixed(5, SHORT),
        ..line
    };
    let asked = Instant::now();
    assert_eq!(report(&a, &mortal, of(line(0, 5))).await.granted, 5);
    while report(&b, &member("b"), of(line(0, 1))).await.granted == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    // Its flight, and then the window.
    assert!(asked.elapsed() >= SHORT * 2, "{:?}", asked.elapsed());
}

fn learned(limit: u32, length: Duration) -> Report {
    Report {
        learned: vec![Learned {
            route: "POST channels/*/messages".into(),
            bucket: "b".into(),
            limit,
            length,
        }],
        ..Report::default()
    }
}

fn of_route(out: u32) -> Line {
    let route = "POST channels/*/messages";
    Line {
        out,
        wanted: 1,
        ..Line::new(format!("{route} channels/9"), Shape::Route(route.into()))
    }
}

async fn what_one_has_learned_of_a_bucket_all_know(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    a.limits(&member("a"), &learned(7, SHORT)).await.unwrap();
    let outcome = report(&b, &member("b"), of_route(0)).await;
    assert_eq!(outcome.granted, 0);
    assert_eq!(outcome.bucket, Some(("b".into(), 7, SHORT)));
    let outcome = report(&b, &member("b"), line(0, 9)).await;
    assert_eq!(outcome.granted, 7);
}

async fn the_longest_window_holds_and_another_limit_is_believed(bench: Bench) {
    let a = bench.application();
    for (limit, length, known) in [
        (5, SHORT, (5, SHORT)),
        (5, LONG, (5, LONG)),
        (5, SHORT, (5, LONG)),
        (6, SHORT, (6, SHORT)),
    ] {
        a.limits(&member("a"), &learned(limit, length))
            .await
            .unwrap();
        let outcome = report(&a, &member("a"), line(0, 0)).await;
        assert_eq!(outcome.bucket, Some(("b".into(), known.0, known.1)));
    }
}

async fn an_unknown_bucket_lets_one_through_at_a_time(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    assert_eq!(report(&a, &member("a"), of_route(0)).await.granted, 1);
    let refused = report(&b, &member("b"), of_route(0)).await;
    assert_eq!((refused.granted, refused.bucket), (0, None));
    assert!(!refused.wait.is_zero() && refused.wait <= SHORT);
    let done = Line {
        wanted: 0,
        ..of_route(0)
    };
    report(&a, &member("a"), done).await;
    assert_eq!(report(&b, &member("b"), of_route(0)).await.granted, 1);
}

async fn all_wait_where_one_was_told_to(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let told = Line {
        blocked: LONG,
        holds: vec![("PATCH channels/*|name".into(), LONG)],
        ..line(0, 0)
    };
    report(&a, &member("a"), told).await;
    let outcome = report(&b, &member("b"), line(0, 1)).await;
    let long = LONG - Duration::from_secs(30)..=LONG + Duration::from_millis(1);
    assert_eq!(outcome.granted, 0);
    assert!(long.contains(&outcome.blocked), "{outcome:?}");
    assert!(long.contains(&outcome.wait), "{outcome:?}");
    let [(key, wait)] = &outcome.holds[..] else {
        panic!("{outcome:?}")
    };
    assert_eq!(&**key, "PATCH channels/*|name");
    assert!(long.contains(wait), "{wait:?}");
}

async fn a_refused_token_stops_those_that_have_it(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let refused = Report {
        revoked: true,
        ..Report::default()
    };
    let quiet = Report::default();
    assert!(!b.limits(&member("b"), &quiet).await.unwrap().revoked);
    assert!(a.limits(&member("a"), &refused).await.unwrap().revoked);
    assert!(b.limits(&member("b"), &quiet).await.unwrap().revoked);
    let renewed = Member {
        token: "of the new token".to_owned(),
        ..member("c")
    };
    assert!(!b.limits(&renewed, &quiet).await.unwrap().revoked);
}

async fn those_that_are_alive_are_counted(bench: Bench) {
    let a = bench.application();
    for (replica, count) in [("a", 1), ("b", 2), ("a", 2), ("c", 3)] {
        let reply = a
            .limits(&member(replica), &Report::default())
            .await
            .unwrap();
        assert_eq!(reply.replicas, count, "{replica}");
    }
}

async fn invalid_requests_of_an_address_add_up(bench: Bench) {
    let (a, b) = (bench.store(), bench.store());
    let none = Duration::ZERO;
    assert_eq!(a.address("x", 3, none).await.unwrap(), (3, none));
    assert_eq!(b.address("x", 4, none).await.unwrap(), (7, none));
    assert_eq!(b.address("y", 1, none).await.unwrap(), (1, none));
    a.address("x", 0, LONG).await.unwrap();
    let (invalid, banned) = b.address("x", 0, SHORT).await.unwrap();
    assert_eq!(invalid, 7);
    assert!(banned > LONG / 2 && banned <= LONG, "{banned:?}");
}

async fn odd_numbers_do_no_harm(bench: Bench) {
    let a = bench.application();
    for (limit, length) in [
        (0, Duration::MAX),
        (u32::MAX, Duration::ZERO),
        (0, Duration::ZERO),
    ] {
        let odd = Line {
            out: u32::MAX,
            wanted: u32::MAX,
            answered: vec![Duration::from_secs(3_000_000_000); 3],
            blocked: Duration::ZERO,
            shape: Shape::Fixed(limit, length),
            ..line(0, 0)
        };
        let outcome = report(&a, &member("a"), odd).await;
        assert_eq!(outcome.granted, 0, "{outcome:?}");
    }
}

#[tokio::test]
async fn what_is_no_window_is_named_and_left_alone() {
    let bench = Bench::redis();
    let a = bench.application();
    let key = bench.key("window:b channels/1");
    for (value, set) in [
        ("nonsense", format!("SET '{key}' nonsense")),
        ("{}", format!("SET '{key}' {{}}")),
    ] {
        Server::shared().cli(&set);
        let report = Report {
            lines: vec![line(0, 1)],
            ..Report::default()
        };
        let error = a.limits(&member("a"), &report).await.unwrap_err();
        let Error::Corrupt { key: named, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(*named, key);
        let left = Server::shared().cli(&format!("GET '{key}'"));
        assert_eq!(left.trim(), value);
    }
}

/// All that is kept of a window goes by itself.
#[tokio::test]
async fn nothing_is_kept_for_ever() {
    let bench = Bench::redis();
    let a = bench.application();
    a.limits(&member("a"), &learned(7, SHORT)).await.unwrap();
    report(&a, &member("a"), line(1, 1)).await;
    for name in ["window:b channels/1", "routes", "limits"] {
        let left = Server::shared().cli(&format!("PTTL '{}'", bench.key(name)));
        let left: i64 = left.trim().parse().unwrap();
        assert!(left > 0, "{name}: {left}");
    }
    report(&a, &member("a"), line(0, 0)).await;
    let left = Server::shared().cli(&format!("EXISTS '{}'", bench.key("window:b channels/1")));
    assert_eq!(left.trim(), "0");
}
