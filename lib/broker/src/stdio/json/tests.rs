//! What stands on the lines.

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool,
    prost_types::{
        FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
    },
};
use serde_json::{Value as Json, json};
use wire::gateway::v1::{Code, Error, Event};

use super::{call, reply, write_message};
use crate::{Exchange, Message, Value, requests::Reply};

fn message(type_name: &'static str, body: impl Into<Bytes>) -> Message {
    Message {
        exchange: Exchange::Events,
        routing_key: "1.READY.-.-".to_owned(),
        message_id: "s:1".to_owned(),
        type_name,
        app_id: "1".into(),
        timestamp: 7,
        headers: vec![
            ("event", Value::Text("READY".to_owned())),
            ("shard", Value::Number(3)),
        ],
        body: body.into(),
        group: 0,
        batch: None,
        trace: None,
        wanted: None,
    }
}

fn line(message: &Message) -> Json {
    let mut buffer = Vec::new();
    write_message(message, "discord", &mut buffer);
    assert_eq!(buffer.iter().filter(|&&byte| byte == b'\n').count(), 1);
    assert!(buffer.ends_with(b"\n"));
    serde_json::from_slice(&buffer).unwrap()
}

#[test]
fn an_event_is_written_with_the_names_of_the_contract() {
    let event = Event {
        id: "s:1".to_owned(),
        application_id: u64::MAX,
        name: "READY\n".to_owned(),
        ..Event::default()
    };
    assert_eq!(
        line(&message("gateway.v1.Event", event.encode_to_vec())),
        json!({
            "exchange": "discord.events",
            "routing_key": "1.READY.-.-",
            "type": "gateway.v1.Event",
            "message_id": "s:1",
            "timestamp": 7,
            "app_id": "1",
            "headers": {"event": "READY", "shard": 3},
            "body": {
                "id": "s:1",
                "application_id": "18446744073709551615",
                "name": "READY\n",
            },
        })
    );
}

#[test]
fn a_body_that_cannot_be_read_is_written_as_base64() {
    assert_eq!(
        line(&message("unknown.v1.Thing", "foobar"))["body"],
        json!("Zm9vYmFy")
    );
    assert_eq!(
        line(&message("gateway.v1.Event", "foobar"))["body"],
        json!("Zm9vYmFy")
    );
}

#[test]
fn a_reply_goes_to_its_caller() {
    let error = Error {
        code: Code::NotFound.into(),
        message: "no such guild".to_owned(),
        ..Error::default()
    };
    let body = Bytes::from(error.encode_to_vec());
    let mut answer = Reply {
        type_name: "gateway.v1.Error".to_owned(),
        body,
        end: false,
    };
    let read = |answer: &Reply| -> Json {
        serde_json::from_slice(&reply(answer, "me", Some("9"))).unwrap()
    };
    assert_eq!(
        read(&answer),
        json!({
            "exchange": "",
            "routing_key": "me",
            "type": "gateway.v1.Error",
            "correlation_id": "9",
            "headers": {},
            "body": {"code": "CODE_NOT_FOUND", "message": "no such guild"},
        })
    );
    answer.end = true;
    assert_eq!(read(&answer)["headers"], json!({"end": true}));
}

/// A contract with one method, `test.v1.Ws/Send`, which takes an error for want of better.
fn descriptors() -> DescriptorPool {
    let mut pool = wire::descriptors().clone();
    let method = MethodDescriptorProto {
        name: Some("Send".to_owned()),
        input_type: Some(".gateway.v1.Error".to_owned()),
        output_type: Some(".gateway.v1.Error".to_owned()),
        ..MethodDescriptorProto::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("Ws".to_owned()),
        method: vec![method],
        ..ServiceDescriptorProto::default()
    };
    let file = FileDescriptorProto {
        name: Some("test.proto".to_owned()),
        package: Some("test.v1".to_owned()),
        syntax: Some("proto3".to_owned()),
        dependency: vec!["gateway/v1/error.proto".to_owned()],
        service: vec![service],
        ..FileDescriptorProto::default()
    };
    pool.add_file_descriptor_set(FileDescriptorSet { file: vec![file] })
        .unwrap();
    pool
}

#[test]
fn a_request_is_converted_by_its_method() {
    let line = br#"{"type": "test.v1.Ws/Send", "correlation_id": "5", "reply_to": "me",
                    "body": {"code": "CODE_ABORTED", "message": "hm"}}"#;
    let descriptors = descriptors();
    let call = call(line, &["ws"], 42, |_| &descriptors).unwrap();
    assert_eq!(call.method, "test.v1.Ws/Send");
    assert_eq!(call.routing_key, "ws.Send.42");
    assert_eq!(call.correlation_id.as_deref(), Some("5"));
    assert_eq!(call.reply_to.as_deref(), Some("me"));
    let error = Error::decode(call.body).unwrap();
    assert_eq!(
        (error.code(), error.message.as_str()),
        (Code::Aborted, "hm")
    );
}

#[test]
fn what_is_no_request_is_said_to_be_none() {
    let descriptors = descriptors();
    for (line, reason) in [
        ("nonsense", "no request"),
        ("[]", "no request"),
        ("{}", "missing field `type`"),
        (r#"{"type": "Send"}"#, "no method such as"),
        (
            r#"{"type": "test.v1.Ws/Send", "content": {}}"#,
            "unknown field `content`",
        ),
        (r#"{"type": "test.v1.Voice/Play"}"#, "service \"ws\""),
        (r#"{"type": "test.v1.Ws/Play"}"#, "there is no method"),
        (
            r#"{"type": "test.v1.Ws/Send", "body": {"nothing": 1}}"#,
            "cannot be read",
        ),
        (
            r#"{"type": "test.v1.Ws/Send", "body": 5}"#,
            "cannot be read",
        ),
    ] {
        let error = call(line.as_bytes(), &["ws"], 42, |_| &descriptors).unwrap_err();
        assert!(error.contains(reason), "{line}: {error}");
    }
}
