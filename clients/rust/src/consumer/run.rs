//! Hands events to a handler: several at once, those of one guild in their order.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    pin::pin,
    sync::Arc,
};

use tokio::{select, sync::mpsc, task::JoinSet, time};
use tokio_util::sync::CancellationToken;

use super::{Consumer, Taken, lane::Lane};
use crate::EventHandler;

impl Consumer {
    /// Handles events until `shutdown` is ready.
    ///
    /// An event is acknowledged when its handler has returned. If that was with an error, or the
    /// handler panicked, it is tried again as [`Options::attempts`](crate::Options::attempts) says,
    /// and goes to the dead-letter exchange in the end. When `shutdown` is ready, the handlers at
    /// work have [`Options::grace`](crate::Options::grace) to finish; all other events go back to
    /// the queue.
    pub async fn run(mut self, handler: impl EventHandler, shutdown: impl Future<Output = ()>) {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let handler = Arc::new(handler);
        let lanes: Vec<_> = (0..self.options.lanes)
            .map(|_| {
                // What RabbitMQ sends ahead is bounded by the prefetch, so a lane that is full holds
                // up the others only after connections were lost, or when batches bring many events in
                // few messages: then reading waits.
                let (sender, events) = mpsc::channel(self.options.prefetch.into());
                let transcoder = Arc::clone(&self.transcoder);
                let lane = Lane::new(&handler, &self.options, transcoder, &stop);
                tasks.spawn(lane.run(events));
                sender
            })
            .collect();
        let mut shutdown = pin!(shutdown);
        select! {
            biased;
            () = &mut shutdown => {}
            () = self.distribute(&lanes) => {}
        }
        stop.cancel();
        self.rest.clear();
        let open = self.open.take();
        if let Some(intake) = &open {
            intake.stop().await;
        }
        drop(lanes);
        if time::timeout(self.options.grace, join(&mut tasks))
            .await
            .is_err()
        {
            tracing::warn!("handlers did not end in time: their events go back to the queue");
            tasks.shutdown().await;
        }
        if let Some(intake) = open {
            intake.close().await;
        }
    }

    /// Gives each event to the lane of its guild, for ever.
    async fn distribute(&mut self, lanes: &[mpsc::Sender<Taken>]) {
        loop {
            let taken = self.take().await;
            let index = match taken.group() {
                Some(group) => hash(group) % lanes.len(),
                None => fastrand::usize(..lanes.len()),
            };
            // A lane ends only when all do.
            if lanes[index].send(taken).await.is_err() {
                return;
            }
        }
    }
}

async fn join(tasks: &mut JoinSet<()>) {
    while let Some(result) = tasks.join_next().await {
        if let Err(error) = result {
            tracing::error!(%error, "a lane of events has broken down");
        }
    }
}

/// Ids count up in steps that would leave lanes empty.
fn hash(id: u64) -> usize {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    // Where a `usize` is short, the lower half is as good as all of it.
    hasher.finish() as usize
}
