//! Frames: encoded as the codec does it, and read as they come, in pieces or as garbage.

use std::sync::Arc;

use amq_protocol::{
    frame::AMQPContentHeader,
    protocol::{BasicProperties, basic, channel, connection},
    types::{AMQPValue, FieldTable, LongString},
};
use bytes::Bytes;

use super::*;
use crate::Exchange;

const FRAME_MAX: usize = 4_096;

fn message(body: usize) -> Message {
    Message {
        group: 0,
        batch: None,
        trace: None,
        wanted: None,
        exchange: Exchange::Events,
        routing_key: "1.MESSAGE_CREATE.2.3".to_owned(),
        message_id: "session:7".to_owned(),
        type_name: "gateway.v1.Event",
        app_id: Arc::from("1"),
        timestamp: 1_700_000_000,
        headers: vec![
            ("event", Value::Text("MESSAGE_CREATE".to_owned())),
            ("shard", Value::Number(-3)),
            ("end", Value::Flag(true)),
        ],
        body: (0..body).map(|index| index as u8).collect::<Bytes>(),
    }
}

/// The frames of a message, as the codec reads them.
fn published(message: &Message) -> Vec<AMQPFrame> {
    let mut outgoing = Outgoing::default();
    let envelope = Envelope {
        channel: 1,
        exchange: "discord.events",
        delivery_mode: 2,
        frame_max: FRAME_MAX,
        reply_to: None,
    };
    outgoing.publish(envelope, message);
    let mut rest = outgoing.rest();
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let (after, frame) = parse_frame(rest).unwrap();
        assert!(rest.len() - after.len() <= FRAME_MAX);
        frames.push(frame);
        rest = after;
    }
    frames
}

#[test]
fn a_message_is_what_the_codec_makes_of_it() {
    let message = message(10);
    let mut headers = FieldTable::default();
    let text = AMQPValue::LongString(LongString::from("MESSAGE_CREATE"));
    headers.insert("event".into(), text);
    headers.insert("shard".into(), AMQPValue::LongLongInt(-3));
    headers.insert("end".into(), AMQPValue::Boolean(true));
    let properties = BasicProperties::default()
        .with_content_type("application/x-protobuf".into())
        .with_type("gateway.v1.Event".into())
        .with_message_id("session:7".into())
        .with_app_id("1".into())
        .with_timestamp(1_700_000_000)
        .with_delivery_mode(2)
        .with_headers(headers);
    let publish = basic::Publish {
        exchange: "discord.events".into(),
        routing_key: "1.MESSAGE_CREATE.2.3".into(),
        mandatory: false,
        immediate: false,
    };
    let publish = AMQPClass::Basic(basic::AMQPMethod::Publish(publish));
    let header = AMQPContentHeader {
        class_id: 60,
        body_size: 10,
        properties,
    };
    assert_eq!(
        published(&message),
        [
            AMQPFrame::Method(1, publish),
            AMQPFrame::Header(1, header),
            AMQPFrame::Body(1, message.body.to_vec()),
        ]
    );
}

#[test]
fn a_large_body_is_split_and_an_empty_one_has_no_frame() {
    for size in [0, 1, FRAME_MAX - 8, FRAME_MAX - 7, 3 * FRAME_MAX] {
        let message = message(size);
        let frames = published(&message);
        let mut body = Vec::new();
        for frame in &frames[2..] {
            let AMQPFrame::Body(1, chunk) = frame else {
                panic!("{frame:?}");
            };
            body.extend_from_slice(chunk);
        }
        assert_eq!(body, message.body);
        assert_eq!(frames.len() - 2, size.div_ceil(FRAME_MAX - 8));
    }
}

#[test]
fn what_amqp_cannot_carry_is_cut_and_never_breaks_a_frame() {
    let mut message = message(1);
    message.routing_key = "é".repeat(300);
    message.message_id = "x".repeat(300);
    message.app_id = Arc::from("y".repeat(300));
    message.headers = vec![
        ("huge", Value::Text("z".repeat(FRAME_MAX))),
        ("large", Value::Text("z".repeat(FRAME_MAX / 2))),
        ("larger", Value::Text("z".repeat(FRAME_MAX / 2))),
        ("small", Value::Number(1)),
    ];
    let frames = published(&message);
    let AMQPFrame::Header(1, header) = &frames[1] else {
        panic!("{frames:?}");
    };
    let headers = header.properties.headers().as_ref().unwrap().inner();
    let names: Vec<&str> = headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["large", "small"]);
}

#[test]
fn what_is_written_is_forgotten_and_memory_given_back() {
    let mut outgoing = Outgoing::default();
    let envelope = Envelope {
        channel: 1,
        exchange: "e",
        delivery_mode: 1,
        frame_max: FRAME_MAX,
        reply_to: None,
    };
    outgoing.publish(envelope, &message(4 * KEPT));
    let all = outgoing.rest().to_vec();
    let mut written = Vec::new();
    while !outgoing.is_empty() {
        let count = outgoing.len().min(10_000);
        written.extend_from_slice(&outgoing.rest()[..count]);
        outgoing.advance(count);
        assert!(outgoing.bytes.len() <= 2 * outgoing.len().max(count));
    }
    assert_eq!(written, all);
    assert!(outgoing.bytes.capacity() <= KEPT);
}

/// What the broker may say, as bytes.
fn bytes(frame: &AMQPFrame) -> Vec<u8> {
    gen_frame(frame)(WriteContext::from(Vec::new()))
        .unwrap()
        .into_inner()
        .0
}

fn method(channel: u16, method: AMQPClass) -> AMQPFrame {
    AMQPFrame::Method(channel, method)
}

fn close() -> AMQPClass {
    AMQPClass::Channel(channel::AMQPMethod::Close(channel::Close {
        reply_code: 404,
        reply_text: "NOT_FOUND - no exchange 'x'".into(),
        class_id: 60,
        method_id: 40,
    }))
}

fn ack(delivery_tag: u64) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Ack(basic::Ack {
        delivery_tag,
        multiple: true,
    }))
}

fn start(properties: FieldTable) -> AMQPFrame {
    let start = connection::Start {
        version_major: 0,
        version_minor: 9,
        server_properties: properties,
        mechanisms: "PLAIN AMQPLAIN".into(),
        locales: "en_US".into(),
    };
    method(
        0,
        AMQPClass::Connection(connection::AMQPMethod::Start(start)),
    )
}

/// Everything that comes out when these bytes come in, so many at once.
fn read(bytes: &[u8], at_once: usize) -> Result<Vec<Said>, Garbled> {
    let mut incoming = Incoming::new(FRAME_MAX);
    let mut said = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let room = incoming.room();
        let count = room.len().min(at_once).min(rest.len());
        if count == 0 {
            return Err(garbled("no room for the rest of a frame"));
        }
        room[..count].copy_from_slice(&rest[..count]);
        incoming.filled(count);
        rest = &rest[count..];
        while let Some(next) = incoming.next()? {
            said.push(next);
        }
    }
    Ok(said)
}

#[test]
fn frames_come_out_whole_however_they_arrive() {
    let mut stream = Vec::new();
    for _ in 0..300 {
        stream.extend(bytes(&AMQPFrame::Heartbeat));
        stream.extend(bytes(&method(1, ack(7))));
        stream.extend(bytes(&method(1, close())));
    }
    let three = [
        Said::Heartbeat,
        Said::Method(1, ack(7)),
        Said::Method(1, close()),
    ];
    for at_once in [1, 2, 7, 100, FRAME_MAX] {
        let said = read(&stream, at_once).unwrap();
        assert_eq!(said.len(), 900);
        assert!(said.chunks(3).all(|chunk| chunk == three));
    }
}

#[test]
fn tables_of_the_broker_are_skipped_however_deep_they_are() {
    let plain = bytes(&start(FieldTable::default()));
    assert_eq!(
        read(&plain, 100).unwrap(),
        [Said::Start("PLAIN AMQPLAIN".to_owned())]
    );
    // A table in a table in a table…: whoever follows them uses up the stack.
    let mut table = Vec::new();
    while table.len() < FRAME_MAX - 200 {
        let mut outer = vec![0, b'F'];
        outer.extend((table.len() as u32).to_be_bytes());
        outer.extend(table);
        table = outer;
    }
    let mut payload = vec![0, 10, 0, 10, 0, 9];
    payload.extend((table.len() as u32).to_be_bytes());
    payload.extend(table);
    payload.extend([0, 0, 0, 5]);
    payload.extend(b"PLAIN");
    let mut frame = vec![1, 0, 0];
    frame.extend((payload.len() as u32).to_be_bytes());
    frame.extend(payload);
    frame.push(constants::FRAME_END);
    let said = read(&frame, 100).unwrap();
    assert_eq!(said, [Said::Start("PLAIN".to_owned())]);
}

#[test]
fn what_nobody_asked_for_is_refused() {
    let declare = AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}));
    for frame in [AMQPFrame::InvalidHeartbeat(1), method(1, declare)] {
        let error = read(&bytes(&frame), 100).unwrap_err();
        assert!(error.0.contains("not expected"), "{error}");
    }
    let error = read(b"AMQP\x00\x00\x09\x01", 100).unwrap_err();
    assert!(error.0.contains("another version"), "{error}");
    let error = read(&[1, 0, 1, 0, 1, 0, 0], 100).unwrap_err();
    assert!(error.0.contains("65536 bytes is too large"), "{error}");
    let mut open = bytes(&AMQPFrame::Heartbeat);
    open[7] = 0;
    let error = read(&open, 100).unwrap_err();
    assert!(error.0.contains("does not end"), "{error}");
}

#[test]
fn garbage_is_an_error_or_nothing_and_never_a_panic() {
    let valid = [
        bytes(&start(FieldTable::default())),
        bytes(&method(1, close())),
        bytes(&method(1, ack(u64::MAX))),
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let mut bytes = valid[random.usize(..valid.len())].clone();
        match random.u8(..3) {
            0 => bytes = (0..random.usize(..200)).map(|_| random.u8(..)).collect(),
            1 => {
                // A frame of the right shape around an argument that is cut off.
                let cut = random.usize(..bytes.len() - 8);
                bytes.truncate(7 + cut);
                let size = (bytes.len() - 7) as u32;
                bytes[3..7].copy_from_slice(&size.to_be_bytes());
                bytes.push(constants::FRAME_END);
            }
            _ => {
                for _ in 0..random.usize(1..4) {
                    let index = random.usize(..bytes.len());
                    bytes[index] = random.u8(..);
                }
            }
        }
        drop(read(&bytes, random.usize(1..100)));
    }
}
