//! What stands in the way is said clearly, once, and without the password.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use broker::Message;
use lapin::{
    Connection, ConnectionProperties, ExchangeKind,
    options::{ExchangeDeclareOptions, ExchangeDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use prost::Message as _;
use tests::{log::Log, rabbitmq::Rabbit, server::free_ports};
use tokio::time;
use wire::gateway::v1::Event;

use super::service::{PATIENCE, Service, Worker, event, publish, until};

const WINDOW: usize = 1024 * 1024;
/// How the lines begin that an operator sees.
const WARNING: &str = "WARN";

#[tokio::test]
async fn a_wrong_password_is_named_but_not_shown() -> Result<()> {
    let rabbit = Rabbit::shared();
    let log = Log::capture();
    let service = Service::start(rabbit.url_as("guest", "hunter2"), "password", WINDOW);
    until("the refusal", || {
        log.count("refused the login of the user `guest`") > 0
    })
    .await?;
    service.not_ready().await?;
    service.stop().await?;
    ensure!(log.count("hunter2") == 0, "{:#?}", log.lines());
    Ok(())
}

#[tokio::test]
async fn a_missing_virtual_host_is_named() -> Result<()> {
    let rabbit = Rabbit::shared();
    let log = Log::capture();
    let url = rabbit.url().replace("/%2f", "/nowhere");
    let service = Service::start(url, "vhost", WINDOW);
    until("the refusal", || {
        log.count("into the virtual host `nowhere`") > 0
    })
    .await?;
    service.stop().await
}

#[tokio::test]
async fn an_unreachable_broker_is_reported_once_and_tried_again() -> Result<()> {
    let log = Log::capture();
    let [port] = free_ports()?;
    let service = Service::start(format!("amqp://127.0.0.1:{port}/%2f"), "nobody", WINDOW);
    let attempts = || log.count("waiting before the next connection");
    until("three attempts", || attempts() >= 3).await?;
    ensure!(log.count(WARNING) == 1, "{:#?}", log.lines());
    ensure!(log.count(&format!("cannot reach RabbitMQ at 127.0.0.1:{port}")) > 0);
    service.stop().await
}

#[tokio::test]
async fn an_exchange_of_another_type_is_named_until_it_is_gone() -> Result<()> {
    let rabbit = Rabbit::shared();
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&rabbit.url(), properties).await?;
    let channel = connection.create_channel().await?;
    let name = "conflict.events";
    let options = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let arguments = FieldTable::default();
    channel
        .exchange_declare(name.into(), ExchangeKind::Fanout, options, arguments)
        .await?;

    let log = Log::capture();
    let service = Service::start(rabbit.url(), "conflict", WINDOW);
    until("the conflict", || {
        log.count("for exchange 'conflict.events'") > 0
    })
    .await?;
    service.not_ready().await?;
    let attempts = || log.count("waiting before the next connection");
    until("three attempts", || attempts() >= 3).await?;
    ensure!(log.count(WARNING) == 1, "{:#?}", log.lines());

    channel
        .exchange_delete(name.into(), ExchangeDeleteOptions::default())
        .await?;
    service.ready().await?;
    service.stop().await?;
    Ok(connection.close(200, "done".into()).await?)
}

#[tokio::test]
async fn a_user_without_rights_can_use_what_was_declared_for_him() -> Result<()> {
    let rabbit = Rabbit::shared();
    let operator = Service::start(rabbit.url(), "declared", WINDOW);
    operator.ready().await?;
    operator.stop().await?;
    rabbit.ctl(&["add_user", "plain", "secret"])?;
    rabbit.ctl(&["set_permissions", "plain", "^$", "^declared\\..*", "^$"])?;

    let log = Log::capture();
    let service = Service::start(rabbit.url_as("plain", "secret"), "declared", WINDOW);
    service.ready().await?;
    let mut lane = service.broker.lane();
    lane.publish(1, event(1, 10)).await?;
    lane.confirmed_past(1).await;
    ensure!(log.count(WARNING) == 0, "{:#?}", log.lines());
    drop(lane);
    service.stop().await
}

#[tokio::test]
async fn nobody_is_ready_to_hear_events_before_they_are_bound() -> Result<()> {
    let rabbit = Rabbit::shared();
    let operator = Service::start(rabbit.url(), "unbound", WINDOW);
    operator.ready().await?;
    operator.stop().await?;
    rabbit.ctl(&["add_user", "deaf", "secret"])?;
    rabbit.ctl(&["set_permissions", "deaf", ".*", ".*", ".*"])?;
    let may_read = |keys| {
        rabbit.ctl(&[
            "set_topic_permissions",
            "deaf",
            "unbound.events",
            ".*",
            keys,
        ])
    };
    may_read("^1\\.TYPING_START\\.")?;

    let log = Log::capture();
    let service = Service::start(rabbit.url_as("deaf", "secret"), "unbound", WINDOW);
    let names = ["MESSAGE_CREATE", "TYPING_START"];
    let mut events = service.broker.events("voice", 1, &names);
    let told = |news: &str| {
        let is_told =
            |line: &String| line.contains(news) && line.contains("events of application 1");
        log.lines().iter().any(is_told)
    };
    tokio::select! {
        heard = events.next() => bail!("{heard:?}"),
        refused = until("the refusal", || told("a health check is down")) => refused?,
    }
    ensure!(!told("a health check is up"), "{:#?}", log.lines());
    service.not_ready().await?;
    may_read(".*")?;
    tokio::select! {
        heard = events.next() => bail!("{heard:?}"),
        ready = service.ready() => ready?,
    }
    let mut lane = service.broker.lane();
    let body = Event {
        id: "a".to_owned(),
        ..Event::default()
    };
    let message = Message {
        body: body.encode_to_vec().into(),
        ..event(1, 0)
    };
    lane.publish(1, message).await?;
    let heard = time::timeout(PATIENCE, events.next()).await?;
    ensure!(heard == [body], "{heard:?}");
    drop((lane, events));
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_connection_is_not_ready_and_goes_on_later() -> Result<()> {
    let rabbit = Rabbit::start()?;
    let url = format!("{}?heartbeat=1", rabbit.url());
    let service = Service::start(url, "blocked", WINDOW);
    service.ready().await?;
    let worker = Worker::connect(&rabbit, "blocked").await?;
    worker.bind("blocked.events", "#").await?;
    worker.close().await?;
    rabbit.ctl(&["set_vm_memory_high_watermark", "0.000001"])?;

    let mut lane = service.broker.lane();
    lane.publish(1, event(1, 10)).await?;
    service
        .metric_is("gateway_broker_blocked", |blocked| blocked == 1.0)
        .await?;
    service.not_ready().await?;
    // Longer than either side bears silence: heartbeats go on while nothing else does.
    time::sleep(Duration::from_secs(4)).await;
    rabbit.ctl(&["set_vm_memory_high_watermark", "0.9"])?;
    lane.confirmed_past(1).await;
    service.ready().await?;
    ensure!(service.metric("gateway_broker_reconnects_total") == 0.0);
    let worker = Worker::connect(&rabbit, "blocked").await?;
    worker.take_all(1).await?;
    drop(lane);
    service.stop().await?;
    worker.close().await
}

#[tokio::test]
async fn an_exchange_that_is_deleted_is_declared_again() -> Result<()> {
    let rabbit = Rabbit::shared();
    let log = Log::capture();
    let service = Service::start(rabbit.url(), "deleted", WINDOW);
    service.ready().await?;
    let mut lane = service.broker.lane();
    lane.publish(1, event(1, 10)).await?;
    lane.confirmed_past(1).await;

    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&rabbit.url(), properties).await?;
    let channel = connection.create_channel().await?;
    channel
        .exchange_delete("deleted.events".into(), ExchangeDeleteOptions::default())
        .await?;
    lane.publish(2, event(2, 10)).await?;
    lane.confirmed_past(2).await;
    service.ready().await?;
    ensure!(lane.confirmed() == 2);
    ensure!(
        log.count("no exchange 'deleted.events'") > 0,
        "{:#?}",
        log.lines()
    );
    drop(lane);
    service.stop().await?;
    Ok(connection.close(200, "done".into()).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_an_operator_closes_come_back_and_nothing_is_lost() -> Result<()> {
    const LAST: u64 = 20_000;
    let rabbit = Rabbit::start()?;
    let service = Service::start(rabbit.url(), "closed", WINDOW);
    service.ready().await?;
    let worker = Worker::connect(&rabbit, "closed").await?;
    worker.bind("closed.events", "#").await?;
    worker.close().await?;
    let mut lane = service.broker.lane();
    tokio::try_join!(publish(&mut lane, 1..=LAST, 500), async {
        service
            .metric_is("gateway_broker_confirmed_total", |count| count > 2_000.0)
            .await?;
        rabbit.ctl(&["close_all_connections", "maintenance"])?;
        service
            .metric_is("gateway_broker_reconnects_total", |count| count >= 1.0)
            .await
    })?;
    lane.confirmed_past(LAST).await;
    ensure!(lane.confirmed() == LAST);
    service.ready().await?;
    let worker = Worker::connect(&rabbit, "closed").await?;
    worker.take_all(LAST).await?;
    drop(lane);
    service.stop().await?;
    worker.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_refuses_messages_holds_them_up_and_loses_none() -> Result<()> {
    let rabbit = Rabbit::shared();
    let service = Service::start(rabbit.url(), "full", WINDOW);
    service.ready().await?;
    let worker = Worker::connect(rabbit, "full").await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(5));
    arguments.insert(
        "x-overflow".into(),
        AMQPValue::LongString("reject-publish".into()),
    );
    worker.bind_with("full.events", "#", arguments).await?;

    let mut lane = service.broker.lane();
    for sequence in 1..=20 {
        lane.publish(sequence, event(sequence, 10)).await?;
    }
    service
        .metric_is("gateway_broker_nacked_total", |count| count >= 2.0)
        .await?;
    service.not_ready().await?;
    ensure!((5..20).contains(&lane.confirmed()), "{}", lane.confirmed());
    worker.take_all(20).await?;
    lane.confirmed_past(20).await;
    service.ready().await?;
    drop(lane);
    service.stop().await?;
    worker.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_leaves_a_notice_and_holds_nothing_up() -> Result<()> {
    let rabbit = Rabbit::configured("max_message_size = 1000000")?;
    let service = Service::start(rabbit.url(), "large", WINDOW);
    service.ready().await?;
    let worker = Worker::connect(&rabbit, "large").await?;
    worker.bind("large.events", "#").await?;
    worker.bind("large.dead-letter", "#").await?;

    let mut lane = service.broker.lane();
    for (sequence, size) in [(1, 10), (2, 2_000_000), (3, 999_000), (4, 10)] {
        lane.publish(sequence, event(sequence, size)).await?;
    }
    lane.confirmed_past(4).await;
    ensure!(service.metric("gateway_broker_oversized_total") == 1.0);
    service.ready().await?;
    let taken = worker
        .take_until(|delivery| {
            delivery
                .properties
                .message_id()
                .as_ref()
                .is_some_and(|id| id.as_str() == "session:4")
        })
        .await?;
    let notice = taken
        .iter()
        .find(|delivery| delivery.exchange.as_str() == "large.dead-letter");
    let notice = notice.context("no notice came")?;
    ensure!(notice.properties.message_id().as_ref().unwrap().as_str() == "session:2");
    ensure!(notice.data.is_empty());
    ensure!(
        notice
            .properties
            .headers()
            .as_ref()
            .unwrap()
            .inner()
            .contains_key("reason")
    );
    drop(lane);
    service.stop().await?;
    worker.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_an_unreachable_broker_ends_with_the_grace_time() -> Result<()> {
    let [port] = free_ports()?;
    let service = Service::start(format!("amqp://127.0.0.1:{port}/%2f"), "away", WINDOW);
    let mut lane = service.broker.lane();
    lane.publish(1, event(1, 10)).await?;
    let (waited, stopped) = tokio::join!(lane.confirmed_past(1), async {
        service.context.shutdown.cancel();
        service.context.tasks.join(Duration::from_secs(1)).await
    });
    let () = waited;
    ensure!(stopped.is_err(), "the task had to be aborted");
    ensure!(lane.confirmed() == 0);
    ensure!(lane.publish(2, event(2, 10)).await.is_err());
    Ok(())
}
