//! A message taken from a queue, and what becomes of it.

use std::{
    collections::BTreeSet,
    mem,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use boot::metrics::Counter;
use bytes::Bytes;
use lapin::{
    BasicProperties, Channel, Confirmation, PublisherConfirm,
    message::Delivery as Taken,
    options::{BasicAckOptions, BasicPublishOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use rabbitmq::{Down, Returns, Stage, answer, settled};
use tokio::time::{self, Instant};
use wire::routing;

use super::{Links, consumer::PRIORITY};
use crate::{
    Error, Exchange,
    message::short,
    requests::{Call, Reply, fits, short_name, split},
};

/// The header with the moment up to which the caller waits, in milliseconds since 1970.
const DEADLINE: &str = "deadline";
/// The header with the caller's step of a trace.
const TRACEPARENT: &str = "traceparent";
/// What RabbitMQ's own reply queues begin with: a message to one of them that has to be routed counts as returned,
/// although it arrives.
const DIRECT: &str = "amq.rabbitmq.reply-to";

/// How long a request whose reply the broker refused is kept before it goes back to its queue.
const REFUSED: Duration = Duration::from_secs(1);

/// Where messages were taken from, and others are sent.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) channel: Channel,
    pub(super) returns: Returns,
}

/// A message that must be settled: unless it was acknowledged, dropping it puts it back.
#[derive(Debug)]
pub(crate) struct Delivery {
    taken: Taken,
    way: Way,
    dead_letter: ShortString,
    requests: ShortString,
    /// Replies that nobody was there to take.
    unclaimed: Counter,
    /// When the message was taken.
    since: Instant,
}

impl Delivery {
    /// A message of a queue; one that is bound by these keys alone has no others.
    pub(super) fn new(
        mut taken: Taken,
        way: Way,
        links: &Links,
        keys: Option<&BTreeSet<String>>,
    ) -> (Result<Call, String>, Self) {
        let call = match keys {
            Some(keys) if !is_bound(keys, taken.routing_key.as_str()) => Err(format!(
                "nothing is bound by the routing key {:?} here: it came around that",
                taken.routing_key.as_str()
            )),
            _ => call(&mut taken),
        };
        let names = &links.names;
        let dead_letter = names.of(Exchange::DeadLetter).clone();
        (
            call,
            Self {
                taken,
                way,
                dead_letter,
                requests: names.of(Exchange::Requests).clone(),
                unclaimed: links.unclaimed.clone(),
                since: Instant::now(),
            },
        )
    }

    /// Sends a reply, if the caller wants one, and waits for its confirm; whether there was somebody to take it, as
    /// far as that shows.
    pub(crate) async fn send_if_possible(&mut self, reply: &Reply) -> Result<bool, Error> {
        let Some(reply_to) = self.taken.properties.reply_to().clone() else {
            return Ok(false);
        };
        let mut properties = BasicProperties::default()
            .with_content_type(routing::CONTENT_TYPE.into())
            .with_type(short(&reply.type_name).into());
        if let Some(correlation_id) = self.taken.properties.correlation_id() {
            properties = properties.with_correlation_id(correlation_id.clone());
        }
        if reply.end {
            let mut headers = FieldTable::default();
            headers.insert("end".into(), AMQPValue::Boolean(true));
            properties = properties.with_headers(headers);
        }
        let mandatory = !reply_to.as_str().starts_with(DIRECT);
        let exchange = ShortString::default();
        let sending = self.publish(exchange, reply_to, &reply.body, properties, mandatory);
        let is_taken = match sending.await {
            // Most likely the caller's queue is full. The request comes again, and may be carried out again, but
            // not as fast as RabbitMQ can.
            Err(Error::Refused) => {
                time::sleep(REFUSED).await;
                return Err(Error::Refused);
            }
            sent => sent?,
        };
        if !is_taken {
            self.unclaimed.inc();
        }
        Ok(is_taken)
    }

    /// Publishes the request for another routing key; whether somebody has bound a queue to it.
    pub(crate) async fn forward(&self, call: &Call, routing_key: &str) -> Result<bool, Error> {
        let left = call
            .timeout
            .map(|timeout| timeout.saturating_sub(self.since.elapsed()));
        let properties = forwarded(&self.taken.properties, left);
        let (exchange, routing_key) = (self.requests.clone(), short(routing_key).into());
        self.publish(exchange, routing_key, &call.body, properties, true)
            .await
    }

    /// Publishes a copy of the message to the dead-letter exchange, with the reason.
    pub(crate) async fn bury(&mut self, reason: &str) -> Result<(), Error> {
        let properties = rabbitmq::dead_letter(&self.taken.properties, reason);
        let (exchange, routing_key) = (self.dead_letter.clone(), self.taken.routing_key.clone());
        self.publish(exchange, routing_key, &self.taken.data, properties, false)
            .await?;
        Ok(())
    }

    /// Tells the broker that the message is dealt with.
    pub(crate) async fn ack(&mut self) -> Result<(), Error> {
        let acking = self.taken.acker.ack(BasicAckOptions::default());
        settled(acking).await.map_err(|down| failed(&down))
    }

    /// Publishes a message; whether it went to a queue, which only shows if it is mandatory.
    async fn publish(
        &self,
        exchange: ShortString,
        routing_key: ShortString,
        body: &[u8],
        properties: BasicProperties,
        mandatory: bool,
    ) -> Result<bool, Error> {
        let options = BasicPublishOptions {
            mandatory,
            ..Default::default()
        };
        let key = routing_key.clone();
        let id = properties.correlation_id().clone().unwrap_or_default();
        let Way { channel, returns } = &self.way;
        let publishing = channel.basic_publish(exchange, routing_key, options, body, properties);
        match confirmed(publishing).await? {
            Confirmation::Ack(returned) => {
                let routed = returns.is_routed(key.as_str(), id.as_str(), returned.as_ref());
                Ok(routed.await)
            }
            Confirmation::Nack(_) | Confirmation::NotRequested => Err(Error::Refused),
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        rabbitmq::put_back(&self.taken.acker);
    }
}

async fn confirmed(
    publishing: impl Future<Output = lapin::Result<PublisherConfirm>>,
) -> Result<Confirmation, Error> {
    let confirmed = async { publishing.await?.await };
    let confirmation = answer("taking a message", Stage::Run, confirmed).await;
    confirmation.map_err(|down| failed(&down))
}

/// The properties of a request that is handed on: its own, but for the user, who is us now, and with
/// what is left of the caller's time.
fn forwarded(properties: &BasicProperties, left: Option<Duration>) -> BasicProperties {
    let mut headers = rabbitmq::carried(properties);
    let mut copy = BasicProperties::default();
    if let Some(left) = left {
        let deadline = millis(unix_time() + left);
        headers.insert(DEADLINE.into(), AMQPValue::LongLongInt(deadline));
        copy = copy.with_expiration(left.as_millis().to_string().into());
    }
    copy = copy.with_headers(headers);
    if let Some(value) = properties.content_type() {
        copy = copy.with_content_type(value.clone());
    }
    if let Some(value) = properties.kind() {
        copy = copy.with_type(value.clone());
    }
    if let Some(value) = properties.message_id() {
        copy = copy.with_message_id(value.clone());
    }
    if let Some(value) = properties.correlation_id() {
        copy = copy.with_correlation_id(value.clone());
    }
    if let Some(value) = properties.reply_to() {
        copy = copy.with_reply_to(value.clone());
    }
    if let Some(value) = properties.app_id() {
        copy = copy.with_app_id(value.clone());
    }
    if let Some(value) = properties.timestamp() {
        copy = copy.with_timestamp(*value);
    }
    if let Some(value) = properties.priority() {
        copy = copy.with_priority(*value);
    }
    copy
}

fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn failed(down: &Down) -> Error {
    tracing::debug!(?down, "an answer to RabbitMQ failed");
    Error::Disconnected
}

/// Whether one of these binding keys is for such a routing key. RabbitMQ sees to it, but for what the headers `CC` and `BCC` bring:
/// they take a message to other queues than its routing key, by which alone RabbitMQ judges who may send it.
fn is_bound(keys: &BTreeSet<String>, routing_key: &str) -> bool {
    keys.iter().any(|key| {
        let mut words = routing_key.split('.');
        for wanted in key.split('.') {
            match (wanted, words.next()) {
                ("#", _) => return true,
                ("*", Some(_)) => {}
                (wanted, word) if word == Some(wanted) => {}
                _ => return false,
            }
        }
        words.next().is_none()
    })
}

/// Reads what is asked, or says why it cannot be read.
fn call(taken: &mut Taken) -> Result<Call, String> {
    let properties = &taken.properties;
    let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
    let method = text(properties.kind())
        .ok_or("the property `type` is missing: it names the method, as in gateway.v1.Ws/Send")?;
    let (service, name) = split(&method).ok_or_else(|| {
        format!("the property `type` is {method:?}, which is no method such as gateway.v1.Ws/Send")
    })?;
    let routing_key = taken.routing_key.to_string();
    let mut parts = routing_key.split('.');
    if !parts.next().is_some_and(|word| fits(word, service)) || parts.next() != Some(name) {
        return Err(format!(
            "the routing key {routing_key:?} does not fit the method {method}: it should begin \
             with {}.{name}.",
            short_name(service),
        ));
    }
    let timeout = timeout(properties)?;
    Ok(Call {
        reply_to: text(properties.reply_to()),
        correlation_id: text(properties.correlation_id()),
        priority: properties.priority().unwrap_or(0).min(PRIORITY),
        redelivered: taken.redelivered,
        app_id: text(properties.app_id()),
        traceparent: header(properties, TRACEPARENT),
        body: Bytes::from(mem::take(&mut taken.data)),
        method,
        routing_key,
        timeout,
    })
}

/// How long the caller still waits: `expiration` counts from now, the header `deadline` is a moment.
fn timeout(properties: &BasicProperties) -> Result<Option<Duration>, String> {
    let expiration = match properties.expiration() {
        None => None,
        Some(text) => Some(text.as_str().parse().map_err(|_| {
            format!(
                "the expiration {:?} is no number of milliseconds",
                text.as_str()
            )
        })?),
    };
    let deadline = properties
        .headers()
        .as_ref()
        .and_then(|headers| headers.inner().get(DEADLINE));
    let left = match deadline {
        None => None,
        Some(value) => {
            let deadline = number(value).ok_or(
                "the header `deadline` is no number: it is the moment up to which the caller \
                 waits, in milliseconds since 1970",
            )?;
            let left = deadline.saturating_sub(millis(unix_time()));
            Some(u64::try_from(left).unwrap_or_default())
        }
    };
    let limits = expiration.into_iter().chain(left);
    Ok(limits.min().map(Duration::from_millis))
}

/// A header that is a text.
fn header(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// A header as a number, of whatever width a client has chosen.
fn number(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::ShortShortInt(value) => Some((*value).into()),
        AMQPValue::ShortShortUInt(value) => Some((*value).into()),
        AMQPValue::ShortInt(value) => Some((*value).into()),
        AMQPValue::ShortUInt(value) => Some((*value).into()),
        AMQPValue::LongInt(value) => Some((*value).into()),
        AMQPValue::LongUInt(value) => Some((*value).into()),
        AMQPValue::LongLongInt(value) => Some(*value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_deadline(value: AMQPValue) -> BasicProperties {
        let mut headers = FieldTable::default();
        headers.insert(DEADLINE.into(), value);
        BasicProperties::default().with_headers(headers)
    }

    #[test]
    fn the_shorter_of_expiration_and_deadline_holds() {
        let expiring = BasicProperties::default().with_expiration("250".into());
        assert_eq!(timeout(&expiring), Ok(Some(Duration::from_millis(250))));
        assert_eq!(timeout(&BasicProperties::default()), Ok(None));
        let past = with_deadline(AMQPValue::LongInt(1)).with_expiration("250".into());
        assert_eq!(timeout(&past), Ok(Some(Duration::ZERO)));
        let later = AMQPValue::LongLongInt(millis(unix_time()) + 60_000);
        let left = timeout(&with_deadline(later)).unwrap().unwrap();
        assert!(left > Duration::from_secs(30) && left <= Duration::from_secs(60));
    }

    #[test]
    fn times_that_are_no_numbers_are_refused() {
        let expiring = BasicProperties::default().with_expiration("soon".into());
        assert!(timeout(&expiring).unwrap_err().contains("\"soon\""));
        let odd = with_deadline(AMQPValue::Boolean(true));
        assert!(timeout(&odd).unwrap_err().contains("`deadline`"));
    }

    #[test]
    fn a_routing_key_is_bound_or_not() {
        let keys = ["api.*.1.#", "rest.*.1.#", "ws-shard.*.1.16.3"];
        let keys = keys.map(ToOwned::to_owned).into_iter().collect();
        for (key, bound) in [
            ("api.Call.1", true),
            ("api.Call.1.2.3", true),
            ("rest.CreateMessage.1", true),
            ("api.Call.2", false),
            ("api.Call", false),
            ("ws.Send.1", false),
            ("ws-shard.Send.1.16.3", true),
            ("ws-shard.Send.1.16.3.4", false),
            ("", false),
        ] {
            assert_eq!(is_bound(&keys, key), bound, "{key}");
        }
    }

    #[test]
    fn a_forwarded_request_goes_nowhere_else() {
        for name in ["CC", "BCC"] {
            let mut headers = FieldTable::default();
            let text = AMQPValue::LongString("api.Call.1".into());
            headers.insert(name.into(), AMQPValue::FieldArray(vec![text].into()));
            headers.insert("traceparent".into(), AMQPValue::Boolean(true));
            let properties = BasicProperties::default().with_headers(headers);
            let copy = forwarded(&properties, None);
            let headers = copy.headers().as_ref().unwrap().inner();
            assert!(!headers.contains_key(name));
            assert!(headers.contains_key("traceparent"));
        }
    }

    #[test]
    fn a_forwarded_request_keeps_what_the_answer_needs_and_loses_its_user() {
        let properties = BasicProperties::default()
            .with_type("gateway.v1.Ws/Send".into())
            .with_reply_to("amq.rabbitmq.reply-to.x".into())
            .with_correlation_id("7".into())
            .with_priority(4)
            .with_user_id("worker".into())
            .with_expiration("9000".into());
        let copy = forwarded(&properties, Some(Duration::from_millis(1500)));
        assert_eq!(copy.kind(), properties.kind());
        assert_eq!(copy.reply_to(), properties.reply_to());
        assert_eq!(copy.correlation_id(), properties.correlation_id());
        assert_eq!(copy.priority(), &Some(4));
        assert_eq!(copy.user_id(), &None);
        assert_eq!(copy.expiration(), &Some("1500".into()));
        let left = timeout(&copy).unwrap().unwrap();
        assert!(left <= Duration::from_millis(1500));
    }
}
