//! Takes events from a queue, over as many connections as it needs.

mod intake;
mod lane;
mod run;

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, future::BoxFuture};
use rabbitmq::{Down, Place, Stage};
use tokio::time;
use transcode::{Scratch, Transcoder};
use wire::routing::TYPE_EVENT;

use self::intake::Intake;
use crate::{
    Delivery, Envelope, Error, Options, amqp::Trouble, decode::decode, receipt::Receipt, seen::Seen,
};

/// The events of one queue.
///
/// It connects when it is first asked for an event, and again whenever the connection is lost; it
/// never gives up. Why there is no connection is logged.
pub struct Consumer {
    options: Arc<Options>,
    place: Place,
    transcoder: Arc<Transcoder>,
    scratch: Scratch,
    seen: Seen,
    trouble: Trouble,
    /// The rest of the events that came in one message.
    rest: VecDeque<Taken>,
    /// The connection, while there is one.
    open: Option<Box<Intake>>,
    /// The attempt to connect, which outlives a cancelled `next`.
    opening: Option<BoxFuture<'static, Result<Intake, Down>>>,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("place", &self.place)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Consumer {
    /// A consumer with these options.
    ///
    /// # Errors
    /// The options cannot be used. RabbitMQ is not asked yet.
    pub fn new(options: Options) -> Result<Self, Error> {
        let place = options.check()?;
        Ok(Self {
            place,
            transcoder: Arc::new(Transcoder::new()),
            scratch: Scratch::default(),
            seen: Seen::new(options.remembered),
            trouble: Trouble::new(format!("events from the queue {}", options.queue)),
            options: Arc::new(options),
            rest: VecDeque::new(),
            open: None,
            opening: None,
        })
    }

    /// Returns once RabbitMQ has the queue and its bindings, so that no event can miss it; waits as
    /// long as that takes. [`next`](Self::next) and [`run`](Self::run) do so by themselves. Cancel
    /// safe.
    pub async fn connect(&mut self) {
        self.intake().await;
    }

    /// The next event; it waits for ever when none comes. Cancel safe.
    ///
    /// What is no event at all has been put into the dead-letter exchange by then, and what was
    /// dealt with before has been dropped if [`Options::drop_duplicates`] says so.
    pub async fn next(&mut self) -> Delivery {
        loop {
            let taken = self.take().await;
            if let Some(taken) = taken.examined().await
                && let Some(delivery) = taken.decoded(&self.transcoder, &mut self.scratch).await
            {
                return delivery;
            }
        }
    }

    /// Says goodbye to RabbitMQ. Events that were not settled go back to the queue.
    pub async fn close(mut self) {
        self.rest.clear();
        if let Some(intake) = self.open.take() {
            intake.close().await;
        }
    }

    /// The next event of a message, or the next message. Cancel safe.
    async fn take(&mut self) -> Taken {
        loop {
            while let Some(taken) = self.rest.pop_front() {
                // When the connection is gone, the whole message comes again over the next one.
                if taken.receipt.usable() {
                    return taken;
                }
            }
            let seen = self.seen.clone();
            let intake = self.intake().await;
            let down = match intake.deliveries.next().await {
                Some(Ok(message)) => {
                    let (receipts, broken) = Receipt::all(message, intake.graveyard.clone(), seen);
                    let taken = |receipt| Taken::new(receipt, broken.clone());
                    self.rest.extend(receipts.into_iter().map(taken));
                    continue;
                }
                Some(Err(error)) => Down::from_error(&error, Stage::Run),
                None => Down::Lost("RabbitMQ has ended the consumer".to_owned()),
            };
            self.lost(&down);
        }
    }

    /// The connection; waits until there is one. Cancel safe.
    async fn intake(&mut self) -> &mut Intake {
        let intake = match self.open.take() {
            Some(intake) => intake,
            None => self.opened().await,
        };
        self.open.insert(intake)
    }

    /// A new connection; tries until there is one. Cancel safe.
    async fn opened(&mut self) -> Box<Intake> {
        loop {
            let opening = match &mut self.opening {
                Some(opening) => opening,
                None => self.opening.insert(self.attempt(Duration::ZERO)),
            };
            let result = opening.await;
            self.opening = None;
            match result {
                Ok(intake) => {
                    self.trouble.up(&self.place);
                    return Box::new(intake);
                }
                Err(down) => self.lost(&down),
            }
        }
    }

    fn lost(&mut self, down: &Down) {
        let wait = self.trouble.down(down, &self.place);
        self.open = None;
        self.opening = Some(self.attempt(wait));
    }

    /// Connects after this wait.
    fn attempt(&self, wait: Duration) -> BoxFuture<'static, Result<Intake, Down>> {
        let (place, options) = (self.place.clone(), Arc::clone(&self.options));
        Box::pin(async move {
            time::sleep(wait).await;
            Intake::open(&place, &options).await
        })
    }
}

/// An event whose envelope has been read, or the reason why it is none.
#[derive(Debug)]
pub(crate) struct Taken {
    envelope: Result<Envelope, String>,
    receipt: Receipt,
}

impl Taken {
    fn new(receipt: Receipt, broken: Option<String>) -> Self {
        let read = || {
            Envelope::read(receipt.body()).map(|envelope| Envelope {
                traceparent: receipt.traceparent(),
                ..envelope
            })
        };
        let envelope = match broken {
            None => read().map_err(|error| no_event(&error)),
            Some(reason) => Err(reason),
        };
        Self { envelope, receipt }
    }

    /// The message, if it is an event, and a new one as far as is known. If not, it is settled.
    async fn examined(self) -> Option<Known> {
        let Self { envelope, receipt } = self;
        match envelope {
            Ok(envelope) if receipt.is_duplicate(&envelope.id) => {
                tracing::debug!(id = envelope.id, "an event that was dealt with came again");
                note(receipt.ack(&envelope.id).await);
                None
            }
            Ok(envelope) => Some(Known { envelope, receipt }),
            Err(reason) => {
                refuse(receipt, &reason).await;
                None
            }
        }
    }

    /// What tells events apart whose order matters.
    fn group(&self) -> Option<u64> {
        self.envelope.as_ref().ok()?.group()
    }
}

/// An event whose payload has not been read.
#[derive(Debug)]
struct Known {
    envelope: Envelope,
    receipt: Receipt,
}

impl Known {
    /// The event with its payload. If that cannot be read, the event is settled.
    async fn decoded(self, transcoder: &Transcoder, scratch: &mut Scratch) -> Option<Delivery> {
        let Self { envelope, receipt } = self;
        match decode(&envelope.name, receipt.body(), transcoder, scratch) {
            Ok(event) => Some(Delivery {
                envelope,
                event,
                receipt,
            }),
            Err(error) => {
                refuse(receipt, &no_event(&error)).await;
                None
            }
        }
    }
}

/// Why a body is refused that is no event.
fn no_event(error: &prost::DecodeError) -> String {
    format!("not a {TYPE_EVENT}: {error}")
}

/// Puts what is no event where somebody can look at it.
async fn refuse(receipt: Receipt, reason: &str) {
    let id = receipt.message_id().unwrap_or_default().to_owned();
    tracing::error!(id, reason, "a message in the queue is no event: refused");
    note(receipt.bury(&id, reason).await);
}

/// An event that was not settled comes again; nobody has to do anything.
fn note(result: Result<(), Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "an event was not settled");
    }
}
