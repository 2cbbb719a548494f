//! Requests reach a service and answers reach the caller, at least once.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use broker::{CallError, Client, Forwarded, Owned, Requests};
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    message::Delivery,
    options::{
        BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
        QueueDeclareOptions, QueuePurgeOptions,
    },
    types::{AMQPValue, FieldTable},
};
use prost::Message as _;
use tests::rabbitmq::Rabbit;
use tokio::time::{self, Instant};
use wire::gateway::v1::{Code, Error};

use super::service::{PATIENCE, Service, Worker};

const WINDOW: usize = 1024 * 1024;
const METHOD: &str = "gateway.v1.Ws/Send";
const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";

/// A caller with RabbitMQ's direct reply-to.
pub(crate) struct Caller {
    connection: Connection,
    channel: Channel,
    replies: Consumer,
}

impl Caller {
    pub(crate) async fn connect(rabbit: &Rabbit) -> Result<Self> {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&rabbit.url(), properties).await?;
        let channel = connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..Default::default()
        };
        let arguments = FieldTable::default();
        let replies = channel
            .basic_consume(DIRECT_REPLY.into(), "".into(), options, arguments)
            .await?;
        Ok(Self {
            connection,
            channel,
            replies,
        })
    }

    async fn call(&self, exchange: &str, key: &str, method: &str, body: &[u8]) -> Result<()> {
        let properties = BasicProperties::default()
            .with_type(method.into())
            .with_expiration("60000".into())
            .with_delivery_mode(2)
            .with_priority(4);
        self.call_with(exchange, key, body, properties).await
    }

    /// The same with properties of the test's own.
    pub(crate) async fn call_with(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<()> {
        let properties = properties
            .with_reply_to(DIRECT_REPLY.into())
            .with_correlation_id("c-1".into());
        let options = BasicPublishOptions::default();
        self.channel
            .basic_publish(exchange.into(), key.into(), options, body, properties)
            .await?
            .await?;
        Ok(())
    }

    pub(crate) async fn reply(&mut self) -> Result<Delivery> {
        let reply = time::timeout(PATIENCE, self.replies.next())
            .await
            .context("no reply came")?;
        Ok(reply.context("no more replies")??)
    }

    pub(crate) async fn close(self) -> Result<()> {
        Ok(self.connection.close(200, "done".into()).await?)
    }
}

fn kind(delivery: &Delivery) -> String {
    delivery
        .properties
        .kind()
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// Requests whose queue is there by now.
async fn listen(service: &Service) -> Result<Requests> {
    let mut requests = service.broker.requests("ws", 42);
    // The queue is declared when somebody waits for requests.
    tokio::select! {
        _ = requests.next() => anyhow::bail!("there is no request yet"),
        ready = service.ready() => ready?,
    }
    Ok(requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered() -> Result<()> {
    let rabbit = Rabbit::shared();
    let service = Service::start(rabbit.url(), "asked", WINDOW);
    let mut requests = listen(&service).await?;
    let mut caller = Caller::connect(rabbit).await?;

    caller
        .call("asked.requests", "ws.Send.42.7", METHOD, b"body")
        .await?;
    let mut request = requests.next().await;
    let call = request.call.clone();
    ensure!((call.method.as_str(), call.routing_key.as_str()) == (METHOD, "ws.Send.42.7"));
    ensure!((call.body.as_ref(), call.priority) == (b"body".as_ref(), 4));
    ensure!(call.timeout == Some(Duration::from_secs(60)));
    ensure!(!call.redelivered);
    request.part("gateway.v1.Part", "one".into()).await?;
    request.end("gateway.v1.Part", "two".into()).await?;
    let (one, two) = (caller.reply().await?, caller.reply().await?);
    ensure!((one.data.as_slice(), two.data.as_slice()) == (b"one".as_ref(), b"two".as_ref()));
    ensure!(two.properties.correlation_id().as_ref().unwrap().as_str() == "c-1");
    ensure!(one.properties.headers().is_none());
    ensure!(
        two.properties
            .headers()
            .as_ref()
            .unwrap()
            .inner()
            .contains_key("end")
    );

    caller
        .call("asked.requests", "ws.Send.42", METHOD, b"body")
        .await?;
    let failure = Error {
        code: Code::NotFound.into(),
        ..Error::default()
    };
    requests.next().await.fail(&failure).await?;
    let reply = caller.reply().await?;
    ensure!(kind(&reply) == "gateway.v1.Error");
    ensure!(Error::decode(reply.data.as_slice())?.code() == Code::NotFound);
    drop(requests);
    service.stop().await?;
    caller.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_came_around_its_routing_key_is_refused() -> Result<()> {
    let rabbit = Rabbit::shared();
    let service = Service::start(rabbit.url(), "around", WINDOW);
    let mut requests = listen(&service).await?;
    let mut caller = Caller::connect(rabbit).await?;
    // Who may ask the application 41 alone.
    for name in ["CC", "BCC"] {
        let mut headers = FieldTable::default();
        let others = vec![AMQPValue::LongString("ws.Send.42".into())];
        headers.insert(name.into(), AMQPValue::FieldArray(others.into()));
        let properties = BasicProperties::default()
            .with_type(METHOD.into())
            .with_reply_to(DIRECT_REPLY.into())
            .with_headers(headers);
        let (exchange, key) = ("around.requests".into(), "ws.Send.41".into());
        let options = BasicPublishOptions::default();
        let publishing = caller
            .channel
            .basic_publish(exchange, key, options, b"", properties);
        publishing.await?.await?;
    }
    caller
        .call("around.requests", "ws.Send.42", METHOD, b"body")
        .await?;
    let request = requests.next().await;
    ensure!(
        request.call.routing_key == "ws.Send.42",
        "{:?}",
        request.call
    );
    for _ in 0..2 {
        let reply = caller.reply().await?;
        let failure = Error::decode(reply.data.as_slice())?;
        ensure!(failure.code() == Code::InvalidArgument, "{failure:?}");
        ensure!(failure.message.contains("ws.Send.41"), "{failure:?}");
    }
    request.reply("gateway.v1.Part", "done".into()).await?;
    ensure!(kind(&caller.reply().await?) == "gateway.v1.Part");
    drop(requests);
    service.stop().await?;
    caller.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_request_comes_again() -> Result<()> {
    let rabbit = Rabbit::shared();
    let service = Service::start(rabbit.url(), "dropped", WINDOW);
    let mut requests = listen(&service).await?;
    let mut caller = Caller::connect(rabbit).await?;
    caller
        .call("dropped.requests", "ws.Send.42", METHOD, b"body")
        .await?;
    drop(requests.next().await);
    let request = requests.next().await;
    ensure!(request.call.redelivered);
    request.reply("gateway.v1.Done", "done".into()).await?;
    ensure!(kind(&caller.reply().await?) == "gateway.v1.Done");
    drop(requests);
    service.stop().await?;
    caller.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_settled_only_after_its_reply() -> Result<()> {
    let rabbit = Rabbit::shared();
    let service = Service::start(rabbit.url(), "unsettled", WINDOW);
    let mut requests = listen(&service).await?;
    let caller = Caller::connect(rabbit).await?;
    let (channel, full) = (&caller.channel, "unsettled.full");
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    let overflow = AMQPValue::LongString("reject-publish".into());
    arguments.insert("x-overflow".into(), overflow);
    let exclusive = QueueDeclareOptions {
        exclusive: true,
        ..Default::default()
    };
    channel
        .queue_declare(full.into(), exclusive, arguments)
        .await?;
    let publish = |exchange: &str, key: &str, properties| {
        let options = BasicPublishOptions::default();
        channel.basic_publish(exchange.into(), key.into(), options, b"body", properties)
    };
    publish("", full, BasicProperties::default()).await?.await?;
    let asked = BasicProperties::default()
        .with_type(METHOD.into())
        .with_reply_to(full.into());
    publish("unsettled.requests", "ws.Send.42", asked)
        .await?
        .await?;
    // RabbitMQ has no room for the reply.
    let refused = requests.next().await;
    let since = Instant::now();
    ensure!(
        refused
            .reply("gateway.v1.Done", "done".into())
            .await
            .is_err()
    );
    let again = time::timeout(PATIENCE, requests.next()).await;
    let again = again.context("what nobody was told of does not come again")?;
    // To carry it out again and again is not what a full queue is to bring about.
    ensure!(since.elapsed() >= Duration::from_secs(1));
    ensure!(again.call.redelivered);
    let purged = channel.queue_purge(full.into(), QueuePurgeOptions::default());
    ensure!(purged.await? == 1);
    again.reply("gateway.v1.Done", "done".into()).await?;
    let reply = channel.basic_get(full.into(), BasicGetOptions::default());
    let reply = reply.await?.context("the reply is not there")?;
    ensure!(reply.data == b"done");
    drop(requests);
    service.stop().await?;
    caller.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_looked_at_goes_back_as_new() -> Result<()> {
    let rabbit = Rabbit::shared();
    let service = Service::start(rabbit.url(), "handed-back", WINDOW);
    let mut requests = listen(&service).await?;
    let mut caller = Caller::connect(rabbit).await?;
    for _ in 0..5 {
        caller
            .call("handed-back.requests", "ws.Send.42", METHOD, b"body")
            .await?;
    }
    let (in_hand, given_up) = (requests.next().await, requests.next().await);
    requests.close().await;
    given_up.hand_back().await;
    let mut requests = service.broker.requests("ws", 42);
    for _ in 0..4 {
        let request = time::timeout(PATIENCE, requests.next()).await;
        let request = request.context("a request is gone")?;
        ensure!(
            !request.call.redelivered,
            "it was not carried out by anybody"
        );
        request.reply("gateway.v1.Done", "done".into()).await?;
        caller.reply().await?;
    }
    // What is in hand can still be answered.
    in_hand.reply("gateway.v1.Done", "late".into()).await?;
    ensure!(caller.reply().await?.data == b"late");
    drop(requests);
    service.stop().await?;
    caller.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_and_kept() -> Result<()> {
    let rabbit = Rabbit::shared();
    let service = Service::start(rabbit.url(), "refused", WINDOW);
    let mut requests = listen(&service).await?;
    let keeper = Worker::connect(rabbit, "refused").await?;
    keeper.bind("refused.dead-letter", "#").await?;
    let mut caller = Caller::connect(rabbit).await?;

    for (key, method, reason) in [
        ("ws.Send.42", "Send", "no method such as"),
        ("ws.Other.42", METHOD, "does not fit the method"),
        (
            "ws.Send.42",
            "gateway.v1.Voice/Send",
            "does not fit the method",
        ),
    ] {
        caller
            .call("refused.requests", key, method, b"body")
            .await?;
        caller
            .call("refused.requests", "ws.Send.42", METHOD, b"good")
            .await?;
        let request = requests.next().await;
        ensure!(
            request.call.body.as_ref() == b"good",
            "what is no request is not handed out"
        );
        request.reply("gateway.v1.Done", "done".into()).await?;
        let error = Error::decode(caller.reply().await?.data.as_slice())?;
        ensure!(error.code() == Code::InvalidArgument);
        ensure!(error.message.contains(reason), "{}", error.message);
        ensure!(kind(&caller.reply().await?) == "gateway.v1.Done");

        let dead = keeper.take_until(|_| true).await?;
        ensure!((dead[0].data.as_slice(), dead[0].routing_key.as_str()) == (b"body".as_ref(), key));
        let headers = dead[0].properties.headers().clone().unwrap_or_default();
        let header = headers
            .inner()
            .get("reason")
            .and_then(|value| value.as_long_string());
        ensure!(header.context("no reason")?.to_string().contains(reason));
    }
    drop(requests);
    service.stop().await?;
    keeper.close().await?;
    caller.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_on_after_a_restart_of_the_broker() -> Result<()> {
    let mut rabbit = Rabbit::start()?;
    let service = Service::start(rabbit.url(), "again", WINDOW);
    let mut requests = listen(&service).await?;
    let caller = Caller::connect(&rabbit).await?;
    caller
        .call("again.requests", "ws.Send.42", METHOD, b"before")
        .await?;
    let held = requests.next().await;
    rabbit.kill()?;
    ensure!(held.reply("gateway.v1.Done", "done".into()).await.is_err());
    drop(caller);
    rabbit.restart()?;

    let mut caller = Caller::connect(&rabbit).await?;
    let request = tokio::select! {
        request = requests.next() => request,
        () = time::sleep(PATIENCE) => anyhow::bail!("the consumer did not come back"),
    };
    ensure!(
        request.call.body.as_ref() == b"before",
        "what was not settled comes again"
    );
    ensure!(request.call.redelivered);
    request.reply("gateway.v1.Done", "done".into()).await?;
    caller
        .call("again.requests", "ws.Send.42", METHOD, b"after")
        .await?;
    let request = requests.next().await;
    ensure!(request.call.body.as_ref() == b"after");
    request.reply("gateway.v1.Done", "done".into()).await?;
    ensure!(kind(&caller.reply().await?) == "gateway.v1.Done");
    service.ready().await?;
    drop(requests);
    service.stop().await?;
    caller.close().await
}

/// The routing key of requests to the replica that holds a shard, and what it binds.
const SHARD: (&str, &str) = ("ws-shard.Send.42.16.3", "ws-shard.*.42.16.3");

/// Asks until somebody answers, or until nobody takes such requests, whichever is waited for. The
/// replica answers what reaches it.
async fn until(client: &Client, owned: &mut Owned, answered: bool) -> Result<()> {
    let asking = async {
        loop {
            let asked = client.call(METHOD, SHARD.0, "own".into(), 9, PATIENCE);
            match asked.await {
                Ok(_) if answered => return,
                Err(CallError::Nobody(_)) if !answered => return,
                _ => time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let answering = async {
        loop {
            let request = owned.next().await;
            request.reply("gateway.v1.Done", "done".into()).await.ok();
        }
    };
    tokio::select! {
        () = asking => Ok(()),
        () = answering => Ok(()),
        () = time::sleep(PATIENCE) => anyhow::bail!("the binding is not as it should be"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_handed_on_to_the_replica_that_holds_the_shard() -> Result<()> {
    let rabbit = Rabbit::shared();
    let service = Service::start(rabbit.url(), "handed", WINDOW);
    let mut requests = listen(&service).await?;
    let mut owned = service.broker.owned("ws", 42, "replica");
    owned.bindings().bind(SHARD.1);
    let client = service.broker.client("42");
    until(&client, &mut owned, true).await?;
    let mut caller = Caller::connect(rabbit).await?;
    caller
        .call("handed.requests", "ws.Send.42", METHOD, b"body")
        .await?;
    let forwarded = requests.next().await.forward(SHARD.0);
    ensure!(matches!(forwarded.await?, Forwarded::Taken));
    // The answer to the last request before it may have come back before it was settled.
    let mut request = owned.next().await;
    while request.call.body.as_ref() == b"own" {
        request.reply("gateway.v1.Done", "done".into()).await?;
        request = owned.next().await;
    }
    let call = request.call.clone();
    ensure!((call.method.as_str(), call.body.as_ref()) == (METHOD, b"body".as_ref()));
    ensure!((call.routing_key.as_str(), call.priority) == (SHARD.0, 4));
    ensure!(
        call.timeout
            .is_some_and(|left| left <= Duration::from_secs(60))
    );
    request.reply("gateway.v1.Done", "done".into()).await?;
    let reply = caller.reply().await?;
    ensure!(
        kind(&reply) == "gateway.v1.Done",
        "the caller has its answer"
    );
    drop((requests, owned, client));
    service.stop().await?;
    caller.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_a_shard_that_nobody_holds_comes_back_at_once() -> Result<()> {
    let rabbit = Rabbit::shared();
    let service = Service::start(rabbit.url(), "unheld", WINDOW);
    let mut requests = listen(&service).await?;
    let mut owned = service.broker.owned("ws", 42, "replica");
    let bindings = owned.bindings();
    let client = service.broker.client("42");
    let mut caller = Caller::connect(rabbit).await?;
    bindings.bind(SHARD.1);
    until(&client, &mut owned, true).await?;
    bindings.unbind(SHARD.1);
    until(&client, &mut owned, false).await?;
    for key in [SHARD.0, "ws-shard.Send.42.16.4"] {
        caller
            .call("unheld.requests", "ws.Send.42", METHOD, b"body")
            .await?;
        let Forwarded::Nobody(request) = requests.next().await.forward(key).await? else {
            anyhow::bail!("nobody takes requests for {key}");
        };
        request.reply("gateway.v1.Done", "done".into()).await?;
        ensure!(kind(&caller.reply().await?) == "gateway.v1.Done");
    }
    drop((requests, owned, client));
    service.stop().await?;
    caller.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replicas_own_requests_go_on_after_a_restart_of_the_broker() -> Result<()> {
    let mut rabbit = Rabbit::start()?;
    let service = Service::start(rabbit.url(), "rebound", WINDOW);
    let mut owned = service.broker.owned("ws", 42, "replica");
    owned.bindings().bind(SHARD.1);
    let client = service.broker.client("42");
    until(&client, &mut owned, true).await?;
    rabbit.kill()?;
    rabbit.restart()?;
    until(&client, &mut owned, true).await?;
    drop((owned, client));
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_replies_comes_to_the_one_who_asked() -> Result<()> {
    let rabbit = Rabbit::shared();
    let service = Service::start(rabbit.url(), "streamed", WINDOW);
    let mut requests = listen(&service).await?;
    let client = service.broker.client("42");
    let timeout = Duration::from_secs(60);
    let asking = async {
        loop {
            let mut replies = client
                .stream(METHOD, "ws.Send.42", "body".into(), 0, timeout)
                .await?;
            let mut bodies = Vec::new();
            while let Some(reply) = replies.next().await {
                match reply {
                    Ok(reply) => bodies.push((reply.body, reply.end)),
                    Err(CallError::Away) => break,
                    Err(error) => return Err(anyhow::Error::new(error)),
                }
                if bodies.last().is_some_and(|(_, end)| *end) {
                    return Ok(bodies);
                }
            }
        }
    };
    let answering = async {
        let mut request = requests.next().await;
        request.part("gateway.v1.Part", "one".into()).await?;
        request.part("gateway.v1.Part", "two".into()).await?;
        request.end("gateway.v1.Part", "three".into()).await?;
        let failure = Error {
            code: Code::NotFound.into(),
            ..Error::default()
        };
        requests.next().await.fail(&failure).await?;
        anyhow::Ok(())
    };
    let failing = async {
        let bodies = asking.await?;
        let reply = client.call(METHOD, "ws.Send.42", "body".into(), 0, timeout);
        anyhow::Ok((bodies, reply.await))
    };
    let (outcome, answered) = tokio::join!(failing, answering);
    answered?;
    let (bodies, failed) = outcome?;
    let expected = [("one", false), ("two", false), ("three", true)];
    ensure!(
        bodies == expected.map(|(body, end)| (body.into(), end)),
        "{bodies:?}"
    );
    let Err(CallError::Failed(failure)) = failed else {
        anyhow::bail!("it should have failed");
    };
    ensure!(failure.code() == Code::NotFound);
    drop((requests, client));
    service.stop().await
}
