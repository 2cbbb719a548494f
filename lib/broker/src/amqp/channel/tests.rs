//! What goes over the channel, and what comes, against a broker that says what the test wants.

use std::sync::Arc;

use amq_protocol::{
    frame::AMQPFrame,
    protocol::{BasicProperties, channel, connection},
    types::AMQPValue,
};
use bytes::Bytes;
use tokio::{io::duplex, join, sync::oneshot};

use super::*;
use crate::{
    AskError, Exchange, Message,
    amqp::{fake::Broker, frames::Word},
    message::Value,
};

type Told = oneshot::Receiver<Result<(), AskError>>;

/// A channel that takes from the queue `q`, and what it has asked for.
async fn scene() -> (Channel, Broker, Vec<AMQPClass>) {
    let (ours, theirs) = duplex(1 << 22);
    let mut broker = Broker(theirs);
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), AMQPValue::LongInt(7));
    let inbox = Inbox {
        queue: "q",
        arguments,
        exchanges: &[Exchange::Replies],
        at_once: 256,
    };
    let (link, names) = (Link::new(Box::new(ours)), Names::new("test"));
    let (channel, asked) = join!(Channel::on(link, &names, true, inbox), broker.consumed());
    (channel.unwrap(), broker, asked)
}

fn question(id: u64) -> (Order, Told) {
    let (done, told) = oneshot::channel();
    let message = Message {
        group: 0,
        batch: None,
        trace: None,
        wanted: None,
        exchange: Exchange::Events,
        routing_key: "1.INTERACTION_CREATE.-.-".to_owned(),
        message_id: id.to_string(),
        type_name: "gateway.v1.Event",
        app_id: Arc::from("1"),
        timestamp: 5,
        headers: vec![("deadline", Value::Number(9))],
        body: Bytes::from_static(b"body"),
    };
    let what = What::Question(message);
    (Order { what, done }, told)
}

fn answer(delivery_tag: u64, is_confirm: bool, multiple: bool) -> AMQPClass {
    AMQPClass::Basic(match is_confirm {
        true => basic::AMQPMethod::Ack(basic::Ack {
            delivery_tag,
            multiple,
        }),
        false => basic::AMQPMethod::Nack(basic::Nack {
            delivery_tag,
            multiple,
            requeue: false,
        }),
    })
}

/// Takes in everything that the broker has said.
async fn hear(channel: &mut Channel) -> Result<Option<Notice>, Down> {
    channel.moved().await?;
    channel.hear()
}

#[tokio::test(start_paused = true)]
async fn the_inbox_is_there_before_anything_is_taken_from_it() {
    let (_channel, _broker, asked) = scene().await;
    let [qos, declare, bind, consume] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    let AMQPClass::Basic(basic::AMQPMethod::Qos(qos)) = qos else {
        panic!("{qos:?}");
    };
    assert_eq!((qos.prefetch_count, qos.global), (256, false));
    let AMQPClass::Queue(queue::AMQPMethod::Declare(declare)) = declare else {
        panic!("{declare:?}");
    };
    assert_eq!(declare.queue.as_str(), "q");
    assert!(declare.durable && !declare.exclusive && !declare.auto_delete);
    assert!(declare.arguments.inner().contains_key("x-expires"));
    let AMQPClass::Queue(queue::AMQPMethod::Bind(bind)) = bind else {
        panic!("{bind:?}");
    };
    assert_eq!(bind.exchange.as_str(), "test.replies");
    assert_eq!(bind.routing_key.as_str(), "q");
    let AMQPClass::Basic(basic::AMQPMethod::Consume(consume)) = consume else {
        panic!("{consume:?}");
    };
    assert!(!consume.no_ack);
}

#[tokio::test(start_paused = true)]
async fn a_question_is_mandatory_and_says_where_the_answer_goes() {
    let (mut channel, mut broker, _) = scene().await;
    let (order, mut told) = question(7);
    channel.send(order);
    broker.say(1, answer(1, true, false)).await;
    hear(&mut channel).await.unwrap();
    assert_eq!(told.try_recv(), Ok(Ok(())));
    let AMQPClass::Basic(basic::AMQPMethod::Publish(publish)) = broker.method().await else {
        panic!("no publish");
    };
    assert!(publish.mandatory);
    assert_eq!(publish.exchange.as_str(), "test.events");
    assert_eq!(publish.routing_key.as_str(), "1.INTERACTION_CREATE.-.-");
    let AMQPFrame::Header(1, header) = broker.take().await else {
        panic!("no header");
    };
    let mut headers = FieldTable::default();
    headers.insert("deadline".into(), AMQPValue::LongLongInt(9));
    let expected = BasicProperties::default()
        .with_content_type("application/x-protobuf".into())
        .with_headers(headers)
        .with_delivery_mode(PERSISTENT)
        .with_correlation_id("7".into())
        .with_reply_to("q".into())
        .with_message_id("7".into())
        .with_timestamp(5)
        .with_type("gateway.v1.Event".into())
        .with_app_id("1".into());
    assert_eq!(header.properties, expected);
    assert_eq!(broker.take().await, AMQPFrame::Body(1, b"body".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn a_word_goes_to_a_queue_and_is_not_mandatory() {
    let (mut channel, mut broker, _) = scene().await;
    let (done, mut told) = oneshot::channel();
    let word = Word {
        queue: "worker".to_owned(),
        type_name: "gateway.v1.Error",
        correlation_id: "7".to_owned(),
        body: Bytes::from_static(b"why"),
    };
    let what = What::Word(word);
    channel.send(Order { what, done });
    broker.say(1, answer(1, false, false)).await;
    hear(&mut channel).await.unwrap();
    assert_eq!(told.try_recv(), Ok(Err(AskError::Lost)));
    let AMQPClass::Basic(basic::AMQPMethod::Publish(publish)) = broker.method().await else {
        panic!("no publish");
    };
    assert!(!publish.mandatory && publish.exchange.as_str().is_empty());
    assert_eq!(publish.routing_key.as_str(), "worker");
    let AMQPFrame::Header(1, header) = broker.take().await else {
        panic!("no header");
    };
    let expected = BasicProperties::default()
        .with_content_type("application/x-protobuf".into())
        .with_correlation_id("7".into())
        .with_type("gateway.v1.Error".into());
    assert_eq!(header.properties, expected);
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_had_nobody_and_the_others_had() {
    let (mut channel, mut broker, _) = scene().await;
    let mut told: Vec<Told> = Vec::new();
    for id in 1..=3 {
        let (order, its) = question(id);
        channel.send(order);
        told.push(its);
    }
    let back = basic::AMQPMethod::Return(basic::Return {
        reply_code: 312,
        reply_text: "NO_ROUTE".into(),
        exchange: "test.events".into(),
        routing_key: "1.INTERACTION_CREATE.-.-".into(),
    });
    let properties = BasicProperties::default().with_correlation_id("2".into());
    broker.content(back, properties, &[b"bo", b"dy"]).await;
    broker.say(1, answer(3, true, true)).await;
    hear(&mut channel).await.unwrap();
    let told = told.iter_mut().map(|told| told.try_recv().unwrap());
    let told: Vec<_> = told.collect();
    assert_eq!(told, [Ok(()), Err(AskError::Nobody), Ok(())]);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_is_not_sent() {
    let (mut channel, mut broker, _) = scene().await;
    let (given_up, _) = question(1);
    let (waited_for, _told) = question(2);
    channel.send(given_up);
    channel.send(waited_for);
    broker.say(1, answer(1, true, false)).await;
    hear(&mut channel).await.unwrap();
    broker.take().await;
    let AMQPFrame::Header(1, header) = broker.take().await else {
        panic!("no header");
    };
    let id = header.properties.message_id().as_ref();
    assert_eq!(id.map(ShortString::as_str), Some("2"));
}

#[tokio::test(start_paused = true)]
async fn answers_come_whole_and_are_acknowledged() {
    let (mut channel, mut broker, _) = scene().await;
    broker.deliver(1).await;
    broker.deliver(2).await;
    hear(&mut channel).await.unwrap();
    for id in ["1", "2"] {
        let delivered = channel.take().unwrap();
        assert_eq!(delivered.content.correlation_id.as_deref(), Some(id));
        assert_eq!(delivered.content.type_name.as_deref(), Some("a.B"));
        assert_eq!(delivered.body, "body");
    }
    assert!(!channel.has_arrived());
    channel.acknowledge(2, true);
    channel.stop();
    broker.deliver(3).await;
    hear(&mut channel).await.unwrap();
    assert_eq!(broker.method().await, answer(2, true, true));
    let AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)) = broker.method().await else {
        panic!("no cancel");
    };
    assert_eq!(cancel.consumer_tag.as_str(), "c");
}

#[tokio::test(start_paused = true)]
async fn there_is_room_for_so_many_and_none_while_the_broker_wants_nothing() {
    let (mut channel, mut broker, _) = scene().await;
    let mut told = Vec::new();
    while channel.has_room() {
        let (order, its) = question(1);
        channel.send(order);
        told.push(its);
        channel.link.outgoing.advance(usize::MAX);
    }
    assert_eq!(told.len(), AT_ONCE);
    broker.say(1, answer(0, true, true)).await;
    hear(&mut channel).await.unwrap();
    assert!(channel.has_room());
    let blocked = connection::AMQPMethod::Blocked(connection::Blocked {
        reason: "low on memory".into(),
    });
    broker.say(0, AMQPClass::Connection(blocked)).await;
    let notice = hear(&mut channel).await.unwrap();
    assert_eq!(notice, Some(Notice::Blocked("low on memory".to_owned())));
    assert!(!channel.has_room());
    let unblocked = connection::AMQPMethod::Unblocked(connection::Unblocked {});
    broker.say(0, AMQPClass::Connection(unblocked)).await;
    let notice = hear(&mut channel).await.unwrap();
    assert_eq!(notice, Some(Notice::Unblocked));
    assert!(channel.has_room());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_gone_and_nonsense_end_it() {
    let cancel = basic::AMQPMethod::Cancel(basic::Cancel {
        consumer_tag: "c".into(),
        nowait: true,
    });
    let close = channel::AMQPMethod::Close(channel::Close {
        reply_code: 403,
        reply_text: "ACCESS_REFUSED".into(),
        class_id: 60,
        method_id: 40,
    });
    let open = channel::AMQPMethod::OpenOk(channel::OpenOk {});
    for (method, kind) in [
        (AMQPClass::Basic(cancel), Down::Gone(String::new())),
        (AMQPClass::Channel(close), Down::Forbidden(String::new())),
        (AMQPClass::Channel(open), Down::Lost(String::new())),
        (answer(9, true, false), Down::Lost(String::new())),
    ] {
        let (mut channel, mut broker, _) = scene().await;
        broker.say(1, method).await;
        let down = hear(&mut channel).await.unwrap_err();
        assert_eq!(down.kind(), kind.kind(), "{down:?}");
    }
    let (mut channel, mut broker, _) = scene().await;
    broker.frame(&AMQPFrame::Body(1, b"secret".to_vec())).await;
    let down = hear(&mut channel).await.unwrap_err();
    assert!(!format!("{down:?}").contains("secret"), "{down:?}");
}
