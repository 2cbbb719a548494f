//! Permits out of a store in memory, in paused time.

use super::{Issuer, LOOK, Permits, READY, Ticket, limit};
use crate::{metrics::Metrics, outage::Outage, pulse::Pulse};
use discord::rest::{Rest, SessionStartLimit};
use std::{sync::Arc, time::Duration};
use store::{Config, Place, Shard, Store};
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

const BUCKET: Duration = Duration::from_millis(5_100);
const LEASE: Duration = Duration::from_secs(10);

/// Permits, and the task that gives them out.
struct Office {
    permits: Permits,
    pulse: Pulse,
    _task: JoinSet<()>,
}

fn store() -> Store {
    let config = Config {
        place: Place::Memory,
        tls: Default::default(),
        prefix: "test".to_owned(),
        pace: store::Pace::default(),
    };
    Store::open(&config).unwrap()
}

fn office(store: &Store, total: u32, remaining: u32) -> Office {
    office_until(store, total, remaining, Duration::from_hours(1))
}

/// One that hears that Discord counts anew in so long.
fn office_until(store: &Store, total: u32, remaining: u32, reset_after: Duration) -> Office {
    // It fails when there is a default already.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let permits = Permits::default();
    let pulse = Pulse::new(LEASE);
    let metrics = Arc::new(Metrics::new(&boot::Metrics::new()));
    let issuer = Issuer::new(
        permits.clone(),
        store.application(1),
        Rest::new("http://127.0.0.1:9", &"none".into()).unwrap(),
        limit(
            &SessionStartLimit {
                total,
                remaining,
                reset_after: u64::try_from(reset_after.as_millis()).unwrap(),
                max_concurrency: 1,
            },
            10,
        ),
        pulse.clone(),
        Arc::clone(&metrics),
        Arc::new(Outage::of_rest(metrics)),
    );
    let mut task = JoinSet::new();
    task.spawn(issuer.run(CancellationToken::new()));
    Office {
        permits,
        pulse,
        _task: task,
    }
}

fn wait(permits: &Permits, id: u32) -> (Ticket, oneshot::Receiver<()>) {
    let ticket = permits.queue(Shard { count: 4, id });
    let permit = ticket.enqueue();
    (ticket, permit)
}

#[tokio::test(start_paused = true)]
async fn two_replicas_identify_one_after_the_other() {
    let store = store();
    let (one, other) = (office(&store, 1000, 1000), office(&store, 1000, 1000));
    let began = Instant::now();
    let (first, permit) = wait(&one.permits, 0);
    permit.await.unwrap();
    assert!(began.elapsed() < BUCKET / 2);
    assert!(first.is_spent());
    time::sleep(READY).await;
    assert!(!first.is_spent(), "READY would have come by now");
    let (_second, permit) = wait(&other.permits, 1);
    permit.await.unwrap();
    assert!(began.elapsed() >= BUCKET, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_granted_into_the_reserve_and_the_reason_is_told() {
    let office = office(&store(), 1000, 10);
    let (ticket, permit) = wait(&office.permits, 0);
    let early = time::timeout(Duration::from_secs(1), permit).await;
    assert!(early.is_err(), "the reserve was used");
    assert!(!ticket.is_spent());
    let reason = office.permits.exhausted().unwrap();
    assert!(reason.contains("990 of 1000"), "{reason}");
    let began = Instant::now();
    office.permits.open().await;
    assert!(began.elapsed() > Duration::ZERO && began.elapsed() <= LOOK);
}

#[tokio::test(start_paused = true)]
async fn that_nothing_is_left_is_forgotten_with_the_next_permit() {
    let office = office_until(&store(), 1000, 10, BUCKET);
    let (_ticket, permit) = wait(&office.permits, 0);
    permit.await.unwrap();
    // The next time it is an error again, and said.
    assert!(super::lock(&office.permits.0.exhausted).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_went_away_uses_nothing() {
    let store = store();
    let office = office(&store, 1000, 11);
    drop(wait(&office.permits, 0));
    time::sleep(BUCKET).await;
    let (_ticket, permit) = wait(&office.permits, 1);
    permit.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_process_that_slept_asks_whether_the_shard_is_still_its_own() {
    let office = office(&store(), 1000, 1000);
    time::sleep(LEASE).await;
    let (_ticket, mut permit) = wait(&office.permits, 0);
    let early = time::timeout(LEASE, &mut permit).await;
    assert!(early.is_err(), "it identified without asking");
    office.pulse.beat(Instant::now());
    permit.await.unwrap();
}
