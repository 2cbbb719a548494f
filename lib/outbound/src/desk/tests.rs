//! Turns in paused time, without sockets.

use super::{Desk, Left};
use crate::metrics::Metrics;
use boot::CancellationToken;
use discord::{
    limit::{Answer, Quota, Refusal, Request, Scope, Settings, Verdict},
    route::{Method, Route},
};
use futures_util::FutureExt as _;
use std::time::Duration;
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

const APPLICATION: u64 = 7;

fn desk(settings: Settings) -> Desk {
    let desk = Desk::new(10_000, Metrics::new(&boot::Metrics::new()));
    desk.open(APPLICATION, settings);
    desk
}

fn request(path: &str) -> Request {
    Request {
        route: Route::new(Method::Post, path, APPLICATION, 0).unwrap(),
        priority: 0,
        caller: "worker".into(),
        deadline: Duration::ZERO,
        since: Duration::ZERO,
    }
}

fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn ok(limit: u32, remaining: u32) -> Answer {
    Answer {
        status: 200,
        quota: Some(Quota {
            bucket: "b".into(),
            limit,
            remaining,
            reset_after: Duration::from_secs(2),
        }),
        ..Answer::default()
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_a_clear_way_goes_at_once() {
    let desk = desk(Settings::default());
    let mut place = desk
        .enter(APPLICATION, request("/channels/1/messages"), in_a_minute())
        .unwrap();
    assert_eq!(place.turn().now_or_never(), Some(Ok(())));
    assert_eq!(place.answered(Some(&ok(5, 4))), Verdict::Done);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_woken_by_the_answer_before_and_by_the_timer() {
    let desk = desk(Settings::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(desk.clone().run(CancellationToken::new()));
    let enter = || desk.enter(APPLICATION, request("/channels/1/messages"), in_a_minute());
    let (mut first, mut second) = (enter().unwrap(), enter().unwrap());
    assert_eq!(first.turn().await, Ok(()));
    assert_eq!(
        second.turn().now_or_never(),
        None,
        "nothing is known of the bucket"
    );
    first.answered(Some(&ok(1, 0)));
    let since = Instant::now();
    assert_eq!(second.turn().await, Ok(()));
    assert!(
        since.elapsed() >= Duration::from_secs(2),
        "{:?}",
        since.elapsed()
    );
    second.answered(Some(&ok(1, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_429_puts_a_request_back_into_the_line() {
    let desk = desk(Settings::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(desk.clone().run(CancellationToken::new()));
    let mut place = desk
        .enter(APPLICATION, request("/channels/1/messages"), in_a_minute())
        .unwrap();
    place.turn().await.unwrap();
    let limited = Answer {
        status: 429,
        limited: Some((Scope::Global, Duration::from_secs(3))),
        ..Answer::default()
    };
    let since = Instant::now();
    assert_eq!(place.answered(Some(&limited)), Verdict::Again);
    assert_eq!(place.turn().await, Ok(()));
    assert!(since.elapsed() >= Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_makes_room_for_the_next() {
    let desk = desk(Settings::default());
    let enter = || {
        desk.enter(APPLICATION, request("/channels/1/messages"), in_a_minute())
            .unwrap()
    };
    let (first, second, mut third) = (enter(), enter(), enter());
    drop(second);
    // Its fate is unknown, as it had its turn.
    drop(first);
    assert_eq!(third.turn().now_or_never(), Some(Ok(())));
    drop(third);
    let state = desk.0.lock();
    let seat = &state.seats[&APPLICATION];
    assert!(seat.waiting.is_empty());
    assert_eq!(
        (seat.scheduler.waiting(), seat.scheduler.in_flight()),
        (0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_sent_in_time_is_told_so() {
    let desk = desk(Settings::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(desk.clone().run(CancellationToken::new()));
    let until = Instant::now() + Duration::from_secs(1);
    let enter = || desk.enter(APPLICATION, request("/channels/1/messages"), until);
    let (_first, mut second) = (enter().unwrap(), enter().unwrap());
    let left = second.turn().await.unwrap_err();
    assert!(
        matches!(left, Left::Refused(Refusal::Deadline { .. })),
        "{left:?}"
    );
    let past = Instant::now() - Duration::from_millis(1);
    let late = desk.enter(APPLICATION, request("/channels/2/messages"), past);
    assert!(
        matches!(late, Err(Left::Refused(Refusal::Deadline { .. }))),
        "{late:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_line_refuses_at_once() {
    let desk = desk(Settings {
        waiting_per_bucket: 2,
        ..Settings::default()
    });
    let enter = || desk.enter(APPLICATION, request("/channels/1/messages"), in_a_minute());
    let _places: Vec<_> = (0..3).map(|_| enter().unwrap()).collect();
    let full = enter();
    assert!(
        matches!(full, Err(Left::Refused(Refusal::Full { .. }))),
        "{full:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn after_the_shutdown_nobody_is_sent() {
    let desk = desk(Settings::default());
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(desk.clone().run(stop.clone()));
    let enter = || desk.enter(APPLICATION, request("/channels/1/messages"), in_a_minute());
    let (mut first, mut second) = (enter().unwrap(), enter().unwrap());
    stop.cancel();
    tasks.join_next().await;
    assert_eq!(second.turn().await, Err(Left::Stopping));
    assert!(matches!(enter(), Err(Left::Stopping)));
    // What was sent may still be answered, but is not sent again.
    assert_eq!(first.turn().await, Ok(()));
    let limited = Answer {
        status: 429,
        limited: Some((Scope::Shared, Duration::ZERO)),
        ..Answer::default()
    };
    assert_eq!(first.answered(Some(&limited)), Verdict::Again);
    assert_eq!(first.turn().await, Err(Left::Stopping));
    time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_application_that_is_not_served_is_nobody() {
    let desk = desk(Settings::default());
    let nobody = desk.enter(8, request("/channels/1/messages"), in_a_minute());
    assert!(matches!(nobody, Err(Left::Nobody)));
}
