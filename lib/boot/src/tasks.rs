//! The one place that spawns: every task has a name, and its end is never overlooked.

#[cfg(test)]
mod tests;

use std::{
    any::Any,
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use tokio::{task::AbortHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::error::{BoxError, Error, chain};

/// How long aborted tasks have to end. A task that never yields cannot be ended at all.
const ABORT_TIME: Duration = Duration::from_secs(1);

/// The tasks of a service.
///
/// The first one that fails or panics cancels the shutdown token and becomes the service's error;
/// what fails after it is logged.
#[derive(Clone)]
pub struct Tasks {
    inner: Arc<Inner>,
}

struct Inner {
    shutdown: CancellationToken,
    tracker: TaskTracker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    running: BTreeMap<u64, Running>,
    failure: Option<Error>,
}

struct Running {
    name: Name,
    /// Absent for the moment between the naming of a task and its start.
    abort: Option<AbortHandle>,
}

type Name = Cow<'static, str>;

/// What a task may return: nothing, or a result.
pub trait Outcome {
    /// The outcome as a result.
    ///
    /// # Errors
    /// When the task failed.
    fn into_result(self) -> Result<(), BoxError>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

impl Tasks {
    /// No tasks yet; the first failure will cancel `shutdown`.
    #[must_use]
    pub fn new(shutdown: CancellationToken) -> Self {
        let inner = Inner {
            shutdown,
            tracker: TaskTracker::new(),
            state: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Starts a task within the current tracing span. The handle is for those who must end this
    /// one task early; it may be dropped.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn spawn<F>(&self, name: impl Into<Name>, future: F) -> AbortHandle
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
    {
        let name = name.into();
        let entry = self.enter(name.clone());
        let id = entry.id;
        let task = async move {
            match caught(future).await {
                Ok(outcome) => entry.inner.end(&name, outcome.into_result()),
                Err(panic) => entry.inner.fail(Error::Panicked {
                    task: name.into_owned(),
                    message: message(panic.as_ref()),
                }),
            }
        };
        let abort = self.inner.tracker.spawn(task.in_current_span());
        let abort = abort.abort_handle();
        // A task that has already ended has left the map.
        if let Some(running) = self.inner.lock().running.get_mut(&id) {
            running.abort = Some(abort.clone());
        }
        abort
    }

    /// Waits until every task has ended, at most for `grace`; then aborts the rest, and logs which.
    ///
    /// It does not ask the tasks to end: cancel the shutdown token first.
    ///
    /// # Errors
    /// The first failure of a task, or that tasks had to be aborted.
    pub async fn join(&self, grace: Duration) -> Result<(), Error> {
        self.inner.tracker.close();
        if timeout(grace, self.inner.tracker.wait()).await.is_err() {
            let tasks = self.abort();
            tracing::warn!(
                tasks,
                ?grace,
                "tasks had to be aborted at the end of the grace time"
            );
            self.inner.fail(Error::Stuck { grace, tasks });
            if timeout(ABORT_TIME, self.inner.tracker.wait())
                .await
                .is_err()
            {
                let tasks = self.names();
                tracing::warn!(tasks, "tasks go on although they were aborted");
            }
        }
        match self.inner.lock().failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Puts the task on the list before it runs.
    fn enter(&self, name: Name) -> Entry {
        let mut state = self.inner.lock();
        let id = state.next;
        state.next += 1;
        state.running.insert(id, Running { name, abort: None });
        Entry {
            id,
            inner: Arc::clone(&self.inner),
        }
    }

    /// Aborts everything and names it.
    fn abort(&self) -> String {
        let names = self.names();
        for running in self.inner.lock().running.values() {
            if let Some(abort) = &running.abort {
                abort.abort();
            }
        }
        names
    }

    fn names(&self) -> String {
        let state = self.inner.lock();
        let names = state.running.values().map(|running| running.name.as_ref());
        names.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("running", &self.names())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn end(&self, task: &str, result: Result<(), BoxError>) {
        if let Err(source) = result {
            self.fail(Error::Failed {
                task: task.to_owned(),
                source,
            });
        }
    }

    /// Keeps the first failure and logs the others, which nobody would see otherwise.
    fn fail(&self, error: Error) {
        let mut state = self.lock();
        if state.failure.is_none() {
            state.failure = Some(error);
        } else {
            tracing::warn!(error = chain(&error), "another task failed while stopping");
        }
        drop(state);
        self.shutdown.cancel();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the task off the list however it ends: also when it is aborted.
struct Entry {
    id: u64,
    inner: Arc<Inner>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.inner.lock().running.remove(&self.id);
    }
}

/// The output of the future, or what it panicked with.
async fn caught<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    // The future is not polled again after a panic.
    std::future::poll_fn(|context| {
        let poll = AssertUnwindSafe(|| future.as_mut().poll(context));
        match catch_unwind(poll) {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
