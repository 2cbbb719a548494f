//! Takes requests from their queue, over as many connections as it needs.

use std::{fmt, time::Duration};

use boot::{Backoff, Check};
use futures_util::{StreamExt as _, future::BoxFuture};
use lapin::{
    Channel,
    options::{
        BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions, QueueBindOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::{sync::watch, time};

use rabbitmq::{Channels, Down, Stage, answer};

use super::{Links, delivery::Delivery, topology::Names};
use crate::{Exchange, message::short, requests::Call};

/// How many requests a service may have in hand at once.
const PREFETCH: u16 = 64;
/// The highest priority that a request can have.
pub(super) const PRIORITY: u8 = 9;
/// The waits between attempts to consume on a connection that is there.
const WAIT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// The requests to one service of one application.
pub(crate) struct Consumer {
    links: Links,
    check: Check,
    queue: ShortString,
    binding: ShortString,
    backoff: Backoff,
    /// What is being consumed, while there is a connection.
    open: Option<Open>,
    /// The attempt to begin, which outlives a cancelled `next`.
    opening: Option<BoxFuture<'static, Result<Open, Down>>>,
}

#[derive(Debug)]
struct Open {
    channel: Channel,
    deliveries: lapin::Consumer,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl Consumer {
    pub(crate) fn new(
        links: Links,
        check: Check,
        prefix: &str,
        service: &str,
        application_id: u64,
    ) -> Self {
        let queue = format!("{prefix}.requests.{service}.{application_id}");
        let binding = format!("{service}.*.{application_id}.#");
        Self {
            links,
            check,
            queue: short(&queue).into(),
            binding: short(&binding).into(),
            backoff: Backoff::new(WAIT.0, WAIT.1),
            open: None,
            opening: None,
        }
    }

    /// The next message: a call, or why it is none. Cancel safe.
    pub(crate) async fn next(&mut self) -> (Result<Call, String>, Delivery) {
        loop {
            let Some(open) = &mut self.open else {
                self.connect().await;
                continue;
            };
            match open.deliveries.next().await {
                Some(Ok(taken)) => {
                    let names = &self.links.names;
                    return Delivery::new(taken, open.channel.clone(), names);
                }
                Some(Err(error)) => self.lost(&Down::from_error(&error, Stage::Run)),
                None => self.lost(&Down::Lost("the consumer was cancelled".to_owned())),
            }
        }
    }

    /// Begins to consume, or prepares for another attempt.
    async fn connect(&mut self) {
        let opening = match &mut self.opening {
            Some(opening) => opening,
            None => self.opening.insert(self.open(Duration::ZERO)),
        };
        let result = opening.await;
        self.opening = None;
        match result {
            Ok(open) => {
                self.open = Some(open);
                self.backoff.reset();
                self.check.up();
            }
            Err(down) => self.lost(&down),
        }
    }

    /// Opens a consumer after this wait, as soon as there is a connection.
    fn open(&self, wait: Duration) -> BoxFuture<'static, Result<Open, Down>> {
        let (mut links, queue, binding) =
            (self.links.clone(), self.queue.clone(), self.binding.clone());
        Box::pin(async move {
            time::sleep(wait).await;
            let channels = current(&mut links.current).await;
            consume(&channels, &links.names, &queue, &binding).await
        })
    }

    fn lost(&mut self, down: &Down) {
        self.open = None;
        let wait = self.backoff.next();
        self.opening = Some(self.open(wait));
        // A lost connection is the publisher's to report, and it is back soon.
        let text = match down {
            Down::Forbidden(text) | Down::Topology(text) => text,
            _ => "there is no connection to RabbitMQ",
        };
        self.check.down(format!(
            "no requests are taken from the queue {}: {text}",
            self.queue
        ));
    }
}

/// The connection of the moment; waits until there is one.
async fn current(links: &mut watch::Receiver<Option<Channels>>) -> Channels {
    loop {
        if let Some(channels) = links.borrow_and_update().clone() {
            return channels;
        }
        if links.changed().await.is_err() {
            // The broker has ended, and with it all requests.
            std::future::pending::<()>().await;
        }
    }
}

async fn consume(
    channels: &Channels,
    names: &Names,
    queue: &ShortString,
    binding: &ShortString,
) -> Result<Open, Down> {
    match declare(channels, names, queue, binding).await {
        // The operator may have declared it for a user that may not.
        Err(Down::Forbidden(_)) => {}
        result => result?,
    }
    let channel = channels.open().await?;
    let qos = channel.basic_qos(PREFETCH, BasicQosOptions::default());
    answer("limiting deliveries", Stage::Declare, qos).await?;
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    answer("switching confirms on", Stage::Declare, confirms).await?;
    let options = BasicConsumeOptions::default();
    let arguments = FieldTable::default();
    let consuming = channel.basic_consume(queue.clone(), "".into(), options, arguments);
    let deliveries = answer("consuming", Stage::Declare, consuming).await?;
    Ok(Open {
        channel,
        deliveries,
    })
}

async fn declare(
    channels: &Channels,
    names: &Names,
    queue: &ShortString,
    binding: &ShortString,
) -> Result<(), Down> {
    let channel = channels.open().await?;
    let options = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-priority".into(), AMQPValue::LongInt(PRIORITY.into()));
    let declaring = channel.queue_declare(queue.clone(), options, arguments);
    answer("declaring a queue", Stage::Declare, declaring).await?;
    let binding = channel.queue_bind(
        queue.clone(),
        names.of(Exchange::Requests).clone(),
        binding.clone(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    answer("binding a queue", Stage::Declare, binding).await?;
    answer(
        "closing a channel",
        Stage::Declare,
        channel.close(200, "done".into()),
    )
    .await
}
