//! Tasks: failures, panics, the grace time.

use std::{future::pending, io, time::Duration};

use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::Tasks;
use crate::error::{Error, chain};

const GRACE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_failure_cancels_the_others() {
    let shutdown = CancellationToken::new();
    let tasks = Tasks::new(shutdown.clone());
    let token = shutdown.clone();
    tasks.spawn("waiting", async move { token.cancelled().await });
    tasks.spawn("failing", async { Err(io::Error::other("no more")) });
    shutdown.cancelled().await;
    let error = tasks.join(GRACE).await.unwrap_err();
    assert_eq!(chain(&error), "failing failed: no more");
    assert_eq!(format!("{tasks:?}"), r#"Tasks { running: "", .. }"#);
}

#[tokio::test]
async fn a_panic_is_the_error() {
    let shutdown = CancellationToken::new();
    let tasks = Tasks::new(shutdown.clone());
    tasks.spawn("reckless", async {
        tokio::task::yield_now().await;
        assert_eq!(1 + 1, 3, "number {}", 7);
    });
    shutdown.cancelled().await;
    let error = tasks.join(GRACE).await.unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("reckless panicked: "), "{error}");
    assert!(error.contains("number 7"), "{error}");
}

#[tokio::test]
async fn the_first_failure_counts() {
    let shutdown = CancellationToken::new();
    let tasks = Tasks::new(shutdown.clone());
    let token = shutdown.clone();
    tasks.spawn("second", async move {
        token.cancelled().await;
        Err(io::Error::other("later"))
    });
    tasks.spawn("first", async { Err(io::Error::other("sooner")) });
    let error = tasks.join(GRACE).await.unwrap_err();
    assert_eq!(chain(&error), "first failed: sooner");
}

#[tokio::test(start_paused = true)]
async fn the_rest_is_aborted_after_the_grace_time() {
    let tasks = Tasks::new(CancellationToken::new());
    tasks.spawn("shard 0", pending::<()>());
    tasks.spawn(format!("shard {}", 1), pending::<()>());
    tasks.spawn("quick", async {});
    let start = Instant::now();
    let error = tasks.join(GRACE).await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), GRACE.as_secs());
    let Error::Stuck { tasks, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(tasks, "shard 0, shard 1");
}

#[tokio::test]
async fn what_ends_well_is_no_error() {
    let tasks = Tasks::new(CancellationToken::new());
    let (sender, receiver) = oneshot::channel();
    tasks.spawn("answering", receiver);
    let inner = tasks.clone();
    tasks.spawn("starting", async move {
        inner.spawn("started", async move {
            sender.send(()).map_err(|()| io::Error::other("gone"))
        });
    });
    tasks.join(GRACE).await.unwrap();
}

#[tokio::test]
async fn tasks_stay_in_the_span_of_their_parent() {
    let _log = tracing::subscriber::set_default(tracing_subscriber::registry());
    let tasks = Tasks::new(CancellationToken::new());
    let span = tracing::info_span!("shard");
    let id = span.id();
    assert!(id.is_some());
    span.in_scope(|| {
        tasks.spawn("child", async move {
            assert_eq!(Span::current().id(), id);
        })
    });
    tasks.join(GRACE).await.unwrap();
}

#[tokio::test]
async fn one_task_can_be_ended_early() {
    let tasks = Tasks::new(CancellationToken::new());
    let handle = tasks.spawn("long", pending::<()>());
    handle.abort();
    tasks.join(GRACE).await.unwrap();
}

#[test]
fn a_dying_runtime_does_not_hang() {
    let tasks = Tasks::new(CancellationToken::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    tasks.spawn("late", pending::<()>());
    assert_eq!(format!("{tasks:?}"), r#"Tasks { running: "", .. }"#);
}
