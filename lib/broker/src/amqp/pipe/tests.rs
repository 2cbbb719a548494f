//! The pipe against confirms, refusals and sockets that take nothing.

use std::{sync::Arc, time::Duration};

use amq_protocol::{
    frame::{AMQPContentHeader, AMQPFrame},
    protocol::{BasicProperties, channel, confirm, connection},
};
use bytes::Bytes;
use tokio::io::duplex;

use super::*;
use crate::{
    Exchange,
    amqp::{
        fake::Broker,
        link::{CLOSE, WRITING},
    },
};

/// A pipe that is logged in, over a socket with this much room.
fn pipe(room: usize) -> (Pipe, Broker) {
    let (ours, theirs) = duplex(room);
    let link = Link::new(Box::new(ours));
    (Pipe::new(link, Names::new("test"), false), Broker(theirs))
}

fn message(size: usize) -> Message {
    Message {
        group: 0,
        batch: None,
        trace: None,
        wanted: None,
        exchange: Exchange::Events,
        routing_key: "1.A.-.-".to_owned(),
        message_id: "a:1".to_owned(),
        type_name: "gateway.v1.Event",
        app_id: Arc::from("1"),
        timestamp: 0,
        headers: Vec::new(),
        body: Bytes::from(vec![7; size]),
    }
}

fn ack(delivery_tag: u64, multiple: bool) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Ack(basic::Ack {
        delivery_tag,
        multiple,
    }))
}

/// What comes of the next thing that the broker said.
async fn heard(pipe: &mut Pipe) -> Result<(Option<Notice>, usize), Down> {
    let mut done = Vec::new();
    pipe.moved().await?;
    let notice = pipe.hear(&mut done)?;
    Ok((notice, done.len()))
}

#[tokio::test(start_paused = true)]
async fn confirms_are_counted_and_frames_written() {
    let (mut pipe, mut broker) = pipe(1 << 20);
    for _ in 0..3 {
        pipe.send(&message(5), Instant::now());
    }
    broker.say(1, ack(2, true)).await;
    assert_eq!(heard(&mut pipe).await.unwrap(), (None, 2));
    broker.say(1, ack(3, false)).await;
    assert_eq!(heard(&mut pipe).await.unwrap(), (None, 1));
    for _ in 0..3 {
        assert!(matches!(broker.take().await, AMQPFrame::Method(1, _)));
        assert!(matches!(broker.take().await, AMQPFrame::Header(1, _)));
        assert_eq!(broker.take().await, AMQPFrame::Body(1, vec![7; 5]));
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_unconfirmed_messages_hold_up_the_rest_until_there_are_few() {
    let (mut pipe, mut broker) = pipe(1 << 20);
    let mut sent = 0;
    while pipe.has_room() {
        pipe.send(&message(0), Instant::now());
        sent += 1;
        pipe.link.outgoing.advance(usize::MAX);
    }
    assert_eq!(sent, UNCONFIRMED);
    broker.say(1, ack(1, false)).await;
    heard(&mut pipe).await.unwrap();
    assert!(!pipe.has_room());
    let few = (UNCONFIRMED - FEW) as u64;
    broker.say(1, ack(few, true)).await;
    heard(&mut pipe).await.unwrap();
    assert!(pipe.has_room());
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_takes_nothing_holds_up_messages_and_bounds_the_buffer() {
    let (mut pipe, mut broker) = pipe(1_000);
    while pipe.has_room() {
        pipe.send(&message(5_000), Instant::now());
    }
    assert!(pipe.link.outgoing.len() < WRITING + 6_000);
    let reading = async {
        loop {
            broker.take().await;
        }
    };
    tokio::select! {
        moved = pipe.moved() => moved.unwrap(),
        () = reading => {}
    }
    assert!(pipe.has_room());
}

#[tokio::test(start_paused = true)]
async fn a_blocked_connection_takes_no_messages_until_it_is_unblocked() {
    let (mut pipe, mut broker) = pipe(1 << 20);
    let blocked = connection::Blocked {
        reason: "low on memory".into(),
    };
    let blocked = connection::AMQPMethod::Blocked(blocked);
    broker.say(0, AMQPClass::Connection(blocked)).await;
    let notice = Notice::Blocked("low on memory".to_owned());
    assert_eq!(heard(&mut pipe).await.unwrap(), (Some(notice), 0));
    assert!(!pipe.has_room());
    let unblocked = connection::AMQPMethod::Unblocked(connection::Unblocked {});
    broker.say(0, AMQPClass::Connection(unblocked)).await;
    let notice = Notice::Unblocked;
    assert_eq!(heard(&mut pipe).await.unwrap(), (Some(notice), 0));
    assert!(pipe.has_room());
}

#[tokio::test(start_paused = true)]
async fn the_flow_of_a_channel_is_obeyed_and_answered() {
    let (mut pipe, mut broker) = pipe(1 << 20);
    for active in [false, true] {
        let flow = channel::AMQPMethod::Flow(channel::Flow { active });
        broker.say(1, AMQPClass::Channel(flow)).await;
        heard(&mut pipe).await.unwrap();
        assert_eq!(pipe.has_room(), active);
        broker.say(1, ack(0, false)).await;
        heard(&mut pipe).await.unwrap();
        let answer = channel::AMQPMethod::FlowOk(channel::FlowOk { active });
        let answer = AMQPFrame::Method(1, AMQPClass::Channel(answer));
        assert_eq!(broker.take().await, answer);
    }
}

#[tokio::test(start_paused = true)]
async fn what_ends_a_connection_is_told_apart() {
    let close = |code, text: &str| {
        AMQPClass::Channel(channel::AMQPMethod::Close(channel::Close {
            reply_code: code,
            reply_text: text.into(),
            class_id: 60,
            method_id: 40,
        }))
    };
    let nack = basic::Nack {
        delivery_tag: 1,
        multiple: false,
        requeue: false,
    };
    let shutdown = connection::Close {
        reply_code: 320,
        reply_text: "CONNECTION_FORCED".into(),
        class_id: 0,
        method_id: 0,
    };
    let shutdown = AMQPClass::Connection(connection::AMQPMethod::Close(shutdown));
    let select = AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(confirm::SelectOk {}));
    let lost = || Down::Lost(String::new());
    let large = "message size 9 is larger than configured max size 8";
    for (channel, method, expected) in [
        (1, close(404, "NOT_FOUND"), Down::Gone(String::new())),
        (
            1,
            close(403, "ACCESS_REFUSED"),
            Down::Forbidden(String::new()),
        ),
        (1, close(406, large), Down::TooLarge(8)),
        (
            1,
            AMQPClass::Basic(basic::AMQPMethod::Nack(nack)),
            Down::Nacked,
        ),
        (0, shutdown, lost()),
        (1, ack(2, false), lost()),
        (1, select.clone(), lost()),
        (0, select, lost()),
        (2, ack(1, false), lost()),
    ] {
        let (mut pipe, mut broker) = pipe(1 << 20);
        pipe.send(&message(1), Instant::now());
        broker.say(channel, method).await;
        let down = heard(&mut pipe).await.unwrap_err();
        assert_eq!(down.kind(), expected.kind(), "{down:?}");
    }
    let (mut pipe, broker) = pipe(1 << 20);
    drop(broker);
    let down = heard(&mut pipe).await.unwrap_err();
    assert_eq!(down.kind(), lost().kind(), "{down:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_costs_none_of_those_before_it() {
    let (mut pipe, mut broker) = pipe(1 << 20);
    for _ in 0..4 {
        pipe.send(&message(1), Instant::now());
    }
    let nack = basic::Nack {
        delivery_tag: 3,
        multiple: false,
        requeue: false,
    };
    broker
        .say(1, AMQPClass::Basic(basic::AMQPMethod::Nack(nack)))
        .await;
    assert_eq!(heard(&mut pipe).await.unwrap(), (None, 0));
    assert!(!pipe.has_room());
    broker.say(1, ack(4, false)).await;
    assert_eq!(heard(&mut pipe).await.unwrap(), (None, 0));
    broker.say(1, ack(2, true)).await;
    let mut done = Vec::new();
    pipe.moved().await.unwrap();
    let down = pipe.hear(&mut done).unwrap_err();
    assert_eq!(down.kind(), Down::Nacked.kind());
    assert_eq!(done.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_is_waited_for_but_not_for_ever() {
    let (pipe, mut broker) = pipe(1 << 20);
    let answered = async {
        broker.take().await;
        // What was still under way comes first.
        broker.say(1, ack(1, false)).await;
        let goodbye = connection::AMQPMethod::CloseOk(connection::CloseOk {});
        broker.say(0, AMQPClass::Connection(goodbye)).await;
    };
    let began = Instant::now();
    tokio::join!(pipe.close(), answered);
    assert_eq!(began.elapsed(), Duration::ZERO);

    let (silent, _broker) = self::pipe(1 << 20);
    silent.close().await;
    assert_eq!(began.elapsed(), CLOSE);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_not_expected_and_not_shown() {
    for frame in [
        AMQPFrame::Header(
            1,
            AMQPContentHeader {
                class_id: 60,
                body_size: 1,
                properties: BasicProperties::default(),
            },
        ),
        AMQPFrame::Body(1, b"secret".to_vec()),
    ] {
        let (mut pipe, mut broker) = pipe(1 << 20);
        broker.frame(&frame).await;
        let down = heard(&mut pipe).await.unwrap_err();
        let text = format!("{down:?}");
        assert!(
            text.contains("nobody asked for") && !text.contains("secret"),
            "{text}"
        );
    }
}
