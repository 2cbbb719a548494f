//! Webhook events: what Discord tells an application by HTTP, on its way to the workers.
//!
//! An event is answered 204 when RabbitMQ has confirmed it, and not before: what is answered otherwise Discord sends
//! again, for up to ten minutes, and it comes with the same id.
//!
//! See [Discord Docs/Webhook Events](https://docs.discord.com/developers/events/webhook-events).

mod event;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use boot::{Context, Traces};
use broker::{Broker, Lane, Message};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::body::Incoming;
use listener::{Answer, Bodies, Listener, Protocols, Signed};
use tokio::{sync::Semaphore, time};
use transcode::{Lanes, Scratch, Transcoder};

use self::event::{Event, Notice, Odd};
use crate::{Error, config::Inbound, metrics::Metrics};

/// Where events come in.
const PATH: &str = "/events";
/// The largest body; Discord's events have some kilobytes.
const LARGEST: usize = 1 << 20;
/// How much all bodies may take together.
const BODIES: usize = 16 << 20;
/// How long a body may take to come: Discord waits 3 s for the answer.
const BODY: Duration = Duration::from_secs(2);
/// How old a signature may be. Discord sends an event again for ten minutes, and does not say whether it signs it
/// anew; who sends an old one again gains nothing, as it has the same id.
const TOLERANCE: Duration = Duration::from_secs(15 * 60);
/// How long RabbitMQ may take to confirm: Discord is to hear before its 3 s are over.
const CONFIRM: Duration = Duration::from_millis(2500);
/// How many events may wait for RabbitMQ at once. Discord sends those again that are too many.
const AT_ONCE: usize = 1000;

/// Opens the address, if there is to be one, and takes events there until the shutdown.
pub(crate) async fn start(
    config: &Inbound,
    broker: &Broker,
    metrics: Metrics,
    context: &Context,
) -> Result<(), Error> {
    if config.events.is_empty() {
        tracing::info!(
            "no webhook events are taken at HTTP_ADDRESS, as no application has a DISCORD_PUBLIC_KEY"
        );
        return Ok(());
    }
    let events = config.events.iter();
    let keys = events
        .map(|(id, events)| (*id, events.keys.clone()))
        .collect();
    let bodies = Bodies::new(LARGEST, BODIES);
    let endpoint = Endpoint {
        signed: Signed::new(PATH, keys, bodies, TOLERANCE, BODY),
        broker: broker.clone(),
        _open: broker.lane(),
        transcoder: Transcoder::new(),
        places: Semaphore::new(AT_ONCE),
        metrics,
        lanes: config
            .events
            .iter()
            .map(|(id, events)| (*id, events.lanes))
            .collect(),
        traces: context.traces.clone(),
    };
    let address = config.address;
    let listener = Listener::bind(address, &config.open, Protocols::Http1And2, context).await?;
    tracing::info!(http = %listener.address(), "webhook events are taken over HTTP");
    context
        .tasks
        .spawn("events", listener.run(Arc::new(endpoint)));
    Ok(())
}

/// What answers Discord.
#[derive(Debug)]
struct Endpoint {
    signed: Signed,
    broker: Broker,
    /// Keeps the broker open until the last answer.
    _open: Lane,
    transcoder: Transcoder,
    places: Semaphore,
    /// What the events of each application carry.
    lanes: BTreeMap<u64, Lanes>,
    metrics: Metrics,
    traces: Traces,
}

impl Answer for Endpoint {
    async fn answer(
        &self,
        request: Request<Incoming>,
        _caller: SocketAddr,
    ) -> Response<Full<Bytes>> {
        let Ok(_place) = self.places.try_acquire() else {
            self.metrics.refused("busy");
            return status(StatusCode::SERVICE_UNAVAILABLE);
        };
        let verified = match self.signed.take(request).await {
            Ok(verified) => verified,
            Err(refusal) => {
                self.metrics.refused(refusal.word());
                return refusal.response();
            }
        };
        let application_id = verified.application_id;
        match Notice::read(application_id, &verified.body.bytes) {
            Ok(Notice::Ping) => {
                self.metrics.pinged(application_id);
                done()
            }
            Ok(Notice::Event(event)) => self.publish(&event).await,
            Err(odd) => {
                self.metrics.refused(match odd {
                    Odd::Application => "application",
                    Odd::Shape => "shape",
                });
                tracing::warn!(
                    application_id,
                    ?odd,
                    "Discord has signed a body that is no webhook event"
                );
                status(StatusCode::BAD_REQUEST)
            }
        }
    }
}

impl Endpoint {
    /// Publishes an event, and waits until RabbitMQ has it.
    async fn publish(&self, event: &Event<'_>) -> Response<Full<Bytes>> {
        let mut scratch = Scratch::default();
        let lanes = self.lanes.get(&event.application_id);
        let lanes = lanes.copied().unwrap_or_default();
        let (message, lane) = event.message(lanes, &self.transcoder, &mut scratch, &self.traces);
        let confirming = self.confirmed(message);
        let is_kept = time::timeout(CONFIRM, confirming).await.unwrap_or(false);
        self.metrics
            .event(event.application_id, &event.name, lane, is_kept);
        match is_kept {
            true => done(),
            false => status(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// Whether RabbitMQ has it. What is given up may reach it all the same, later.
    async fn confirmed(&self, message: Message) -> bool {
        let mut lane = self.broker.lane();
        // Who waits for room would only make Discord wait.
        if !matches!(lane.offer(1, message), Ok(None)) {
            return false;
        }
        lane.confirmed_past(1).await;
        lane.confirmed() == 1
    }
}

/// Discord wants a type even where there is no body.
fn done() -> Response<Full<Bytes>> {
    let mut response = status(StatusCode::NO_CONTENT);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
