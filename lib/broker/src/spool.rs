//! Messages wait on disk while the broker takes fewer than come.
//!
//! The order is: the ring (oldest), the files, what is on its way to them (newest). One task
//! moves messages, in chunks: to the files what the window cannot hold, and from the files into
//! the ring as it empties. A message counts as confirmed when the broker has confirmed it, not
//! when it is on disk; so files need no `fsync`: what a machine loses with its power comes again
//! from Discord. What a former process has left is published first.

mod disk;
mod overflow;
mod record;

use std::{future, io, panic, sync::Arc, time::Duration};

use boot::{Backoff, CancellationToken, Context};
use tokio::{
    select, task,
    time::{self, Instant},
};

use self::disk::Disk;
use crate::{Error, Spool, metrics::SpoolMetrics, queue::Queue};

pub(crate) use self::{
    disk::{Found, Reading, Segment},
    overflow::Overflow,
};

/// The shortest and the longest wait before another attempt with a folder that takes nothing.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Starts the task that moves messages to disk and back.
pub(crate) fn start(config: Spool, queue: &Arc<Queue>, metrics: SpoolMetrics, context: &Context) {
    metrics.limit.set(signed(config.limit));
    let spooler = Spooler {
        config,
        queue: Arc::clone(queue),
        metrics,
        disk: None,
        backoff: Backoff::new(WAIT.0, WAIT.1),
        retry: Some(Instant::now()),
        failing: false,
    };
    let shutdown = context.shutdown.clone();
    context.tasks.spawn("spool", async move {
        spooler.run(&shutdown).await;
        Ok::<(), Error>(())
    });
}

/// The task's state.
struct Spooler {
    config: Spool,
    queue: Arc<Queue>,
    metrics: SpoolMetrics,
    /// The folder, when it is open and nobody works with it.
    disk: Option<Disk>,
    backoff: Backoff,
    /// When to try again what failed; `None` while all is well.
    retry: Option<Instant>,
    /// Whether the failure has been logged.
    failing: bool,
}

impl Spooler {
    /// Moves messages until the service stops and everything is confirmed.
    async fn run(mut self, shutdown: &CancellationToken) {
        let queue = Arc::clone(&self.queue);
        let finished = async {
            shutdown.cancelled().await;
            queue.finished().await;
        };
        let mut finished = std::pin::pin!(finished);
        loop {
            self.step().await;
            let retry = self.retry;
            let retry = async {
                match retry {
                    Some(at) => time::sleep_until(at).await,
                    None => future::pending().await,
                }
            };
            select! {
                biased;
                () = &mut finished => break,
                () = queue.spool_work() => {}
                () = retry => {}
            }
        }
        self.clean().await;
    }

    /// Does whatever there is to do.
    async fn step(&mut self) {
        if self.disk.is_none() && self.is_time() {
            self.open().await;
        }
        if self.failing && self.disk.is_some() && self.is_time() {
            self.probe().await;
        }
        loop {
            let cleaned = self.clean().await;
            let read = self.read().await;
            let written = self.write().await;
            if !cleaned && !read && !written {
                return;
            }
        }
    }

    /// Opens the folder. Without it everything goes on as if there was no spool.
    async fn open(&mut self) {
        let dir = self.config.dir.clone();
        match blocking(move || Disk::open(dir)).await {
            Ok(disk) => {
                self.queue.spool_opened(disk.has_unread(), disk.bytes());
                self.disk = Some(disk);
                self.well();
            }
            Err(error) => {
                self.queue.spool_failed(Vec::new(), false);
                self.failed(&error);
            }
        }
    }

    /// Sees whether a folder that took nothing does now.
    async fn probe(&mut self) {
        match self.with_disk(|disk| disk.probe()).await {
            Some(Ok(())) => {
                self.queue.spool_recovered();
                self.well();
            }
            Some(Err(error)) => self.failed(&error),
            None => {}
        }
    }

    /// Deletes the files whose messages are all confirmed.
    async fn clean(&mut self) -> bool {
        let cleaned = self.with_disk(Disk::clean).await.unwrap_or_default();
        if cleaned {
            self.observe();
        }
        cleaned
    }

    /// Moves messages from the files into the ring, if it has room.
    async fn read(&mut self) -> bool {
        let budget = self.queue.ring().read_budget();
        if budget == 0 {
            return false;
        }
        let read = move |disk: &mut Disk| (disk.read(budget), disk.has_unread(), disk.bytes());
        let Some((found, unread, bytes)) = self.with_disk(read).await else {
            return false;
        };
        self.queue.spool_read(found, unread, bytes);
        self.observe();
        unread
    }

    /// Moves messages from memory to the files, or straight into the ring.
    async fn write(&mut self) -> bool {
        let ready = self.disk.is_some() && self.is_time();
        let items = self.queue.spool_chunk(ready);
        if items.is_empty() {
            return false;
        }
        let write = move |disk: &mut Disk| (disk.append(&items), items, disk.bytes());
        let Some((result, items, bytes)) = self.with_disk(write).await else {
            return false;
        };
        match result {
            Ok(()) => {
                self.queue.spool_written(&items, bytes);
                self.well();
                true
            }
            Err(error) => {
                let unread = self.disk.as_ref().is_some_and(Disk::has_unread);
                self.queue.spool_failed(items, unread);
                self.failed(&error);
                false
            }
        }
    }

    /// Lets a thread that may block work with the folder.
    async fn with_disk<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Disk) -> T + Send + 'static,
    ) -> Option<T> {
        let mut disk = self.disk.take()?;
        let (disk, result) = blocking(move || {
            let result = work(&mut disk);
            (disk, result)
        })
        .await;
        self.disk = Some(disk);
        Some(result)
    }

    /// Whether what failed may be tried again.
    fn is_time(&self) -> bool {
        self.retry.is_none_or(|at| at <= Instant::now())
    }

    fn well(&mut self) {
        self.retry = None;
        self.backoff.reset();
        self.metrics.up.set(1);
        self.observe();
        if std::mem::take(&mut self.failing) {
            tracing::info!(dir = %self.config.dir.display(), "the spool takes messages again");
        }
    }

    fn failed(&mut self, error: &io::Error) {
        self.metrics.up.set(0);
        self.metrics.failures.inc();
        self.retry = Some(Instant::now() + self.backoff.next());
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(
                dir = %self.config.dir.display(),
                %error,
                "the spool takes no messages: when the window is full, shards disconnect; trying on"
            );
        }
    }

    fn observe(&self) {
        let bytes = self.disk.as_ref().map_or(0, Disk::bytes);
        self.queue.spool_size(bytes);
        self.metrics.used.set(signed(bytes));
    }
}

/// Runs what may block on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => panic::resume_unwind(panic),
            // The runtime ends, and this task with it.
            Err(_) => future::pending().await,
        },
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
