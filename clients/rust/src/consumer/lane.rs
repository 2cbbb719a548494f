//! Events that are handled one after the other.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use backoff::Backoff;
use futures_util::FutureExt as _;
use tokio::{sync::mpsc, time};
use tokio_util::sync::CancellationToken;
use transcode::{Scratch, Transcoder};

use super::{Known, Taken, no_event, note, refuse};
use crate::{Envelope, Event, EventHandler, Options, decode::decode, handler::dispatch};

/// The longest pause between two attempts to handle an event.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// One of the lanes over which events are spread.
pub(super) struct Lane<H> {
    handler: Arc<H>,
    options: Arc<Options>,
    transcoder: Arc<Transcoder>,
    scratch: Scratch,
    stop: CancellationToken,
}

impl<H: EventHandler> Lane<H> {
    pub(super) fn new(
        handler: &Arc<H>,
        options: &Arc<Options>,
        transcoder: Arc<Transcoder>,
        stop: &CancellationToken,
    ) -> Self {
        Self {
            handler: Arc::clone(handler),
            options: Arc::clone(options),
            transcoder,
            scratch: Scratch::default(),
            stop: stop.clone(),
        }
    }

    /// Handles what comes until it is told to stop. What is left goes back to the queue.
    pub(super) async fn run(mut self, mut events: mpsc::Receiver<Taken>) {
        let stop = self.stop.clone();
        while let Some(Some(taken)) = stop.run_until_cancelled(events.recv()).await {
            // When the connection is gone, the event comes again over the next one.
            if taken.receipt.usable()
                && let Some(known) = taken.examined().await
            {
                self.handle(known).await;
            }
        }
    }

    /// Tries to handle an event as often as the options say.
    async fn handle(&mut self, known: Known) {
        let Known { envelope, receipt } = known;
        let mut backoff = Backoff::new(self.options.pause, LONGEST_PAUSE);
        for attempt in 1.. {
            let scratch = &mut self.scratch;
            let event = match decode(&envelope.name, receipt.body(), &self.transcoder, scratch) {
                Ok(event) => event,
                Err(error) => return refuse(receipt, &no_event(&error)).await,
            };
            let Err(reason) = self.attempt(&envelope, event).await else {
                return note(receipt.ack(&envelope.id).await);
            };
            let (id, event) = (&envelope.id, &envelope.name);
            if attempt >= self.options.attempts {
                tracing::error!(
                    id,
                    event,
                    reason,
                    attempt,
                    "an event cannot be handled: refused"
                );
                return note(receipt.bury(&envelope.id, &reason).await);
            }
            let pause = backoff.next();
            tracing::warn!(
                id,
                event,
                reason,
                attempt,
                ?pause,
                "a handler failed: once more"
            );
            let rested = self.stop.run_until_cancelled(time::sleep(pause)).await;
            if rested.is_none() || !receipt.usable() {
                return;
            }
        }
    }

    async fn attempt(&self, envelope: &Envelope, event: Event) -> Result<(), String> {
        let handling = dispatch(&*self.handler, envelope, event);
        match AssertUnwindSafe(handling).catch_unwind().await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(panic) => Err(format!("the handler panicked: {}", words(&*panic))),
        }
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it did not say why")
}
