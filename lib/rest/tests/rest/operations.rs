//! Requests and responses of all operations, by their descriptors alone.

use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MethodDescriptor, Value};
use rest::{Body, Operations, Request, RequestError, ResponseError};
use transcode::{Mistake, Scratch};

const APPLICATION: u64 = 81_384_788_765_712_384;

fn method(name: &str) -> MethodDescriptor {
    let mut methods = wire::rest::service().methods().collect::<Vec<_>>();
    methods.retain(|method| method.name() == name);
    methods.pop().unwrap()
}

/// The request message of a method, from protobuf's own JSON.
fn message(name: &str, json: &str) -> Vec<u8> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let message = DynamicMessage::deserialize(method(name).input(), &mut deserializer).unwrap();
    message.encode_to_vec()
}

fn request(name: &str, json: &str) -> Result<Request, RequestError> {
    let operations = Operations::new();
    let operation = operations.find(name).unwrap();
    let message = message(name, json);
    operation.request(&operations, APPLICATION, &message, &mut Scratch::default())
}

/// The response message, as protobuf's own JSON with the field names of the contract.
fn response(name: &str, status: u16, body: &str) -> Result<serde_json::Value, ResponseError> {
    let operations = Operations::new();
    let operation = operations.find(name).unwrap();
    let mut scratch = Scratch::default();
    let bytes = operation.response(&operations, status, body.as_bytes(), &mut scratch)?;
    let message = DynamicMessage::decode(method(name).output(), &*bytes).unwrap();
    let options = prost_reflect::SerializeOptions::new().use_proto_field_name(true);
    let json = message.serialize_with_options(serde_json::value::Serializer, &options);
    Ok(json.unwrap())
}

fn json(body: &Body) -> &str {
    match body {
        Body::Json(json) => json,
        _ => panic!("{body:?}"),
    }
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn a_message_becomes_a_request() {
    let made = request(
        "CreateMessage",
        r#"{"channel_id":"41","message":{"content":"hi","nulls":"flags","empties":"embeds"}}"#,
    )
    .unwrap();
    assert_eq!(
        (made.method, made.path.as_str()),
        ("POST", "/channels/41/messages")
    );
    assert!(made.query.is_empty() && made.headers.is_empty());
    let body: serde_json::Value = serde_json::from_str(json(&made.body)).unwrap();
    let expected = serde_json::json!({"content": "hi", "flags": null, "embeds": []});
    assert_eq!(body, expected);
    // A body of which nothing is said is an empty object.
    let made = request("CreateMessage", r#"{"channel_id":"41"}"#).unwrap();
    assert_eq!(json(&made.body), "{}");
    let made = request("GetMyUser", "{}").unwrap();
    assert_eq!((made.path.as_str(), made.body), ("/users/@me", Body::None));
}

#[test]
fn files_become_parts() {
    let files = r#"{"channel_id":"41","message":{"content":"hi"},
        "files":[{"filename":"a.png","content_type":"image/png","data":"AAE="},{"filename":"b"}]}"#;
    let Body::Form(fields, parts) = request("CreateMessage", files).unwrap().body else {
        panic!("it has files");
    };
    assert_eq!(fields, [pair("payload_json", r#"{"content":"hi"}"#)]);
    let names: Vec<_> = parts.iter().map(|it| (&*it.name, &*it.filename)).collect();
    assert_eq!(names, [("files[0]", "a.png"), ("files[1]", "b")]);
    assert_eq!(
        (&*parts[0].content_type, &*parts[0].data),
        ("image/png", &[0, 1][..])
    );

    let elsewhere =
        r#"{"channel_id":"41","files":[{"filename":"b"},{"url":"https://a.example/b"}]}"#;
    let Body::Form(_, parts) = request("CreateMessage", elsewhere).unwrap().body else {
        panic!("it has files");
    };
    let urls: Vec<_> = parts.iter().map(|it| &*it.url).collect();
    assert_eq!(urls, ["", "https://a.example/b"]);
    let both = r#"{"channel_id":"41","files":[{"data":"AA==","url":"https://a.example/b"}]}"#;
    let error = request("CreateMessage", both).unwrap_err();
    assert_eq!(error, RequestError::File("files[0]".to_owned()));

    let sticker = r#"{"guild_id":"1","sticker":{"name":"n","tags":"t"},"file":{"data":"AA=="}}"#;
    let Body::Form(fields, parts) = request("CreateGuildSticker", sticker).unwrap().body else {
        panic!("it is a form");
    };
    assert_eq!(fields, [pair("name", "n"), pair("tags", "t")]);
    assert_eq!(parts[0].name, "file");
    for (name, without) in [
        ("CreateGuildSticker", r#"{"guild_id":"1"}"#),
        ("UpdateInviteTargetUsers", r#"{"code":"x"}"#),
    ] {
        assert!(
            matches!(request(name, without), Err(RequestError::Missing(_))),
            "{name}"
        );
    }
}

#[test]
fn a_list_is_empty_only_on_purpose() {
    let name = "BulkSetApplicationCommands";
    let error = request(name, "{}").unwrap_err();
    assert_eq!(error, RequestError::List("commands".to_owned()));
    let made = request(name, r#"{"empties":"commands"}"#).unwrap();
    assert_eq!(json(&made.body), "[]");
    assert_eq!(made.path, format!("/applications/{APPLICATION}/commands"));
    let made = request(name, r#"{"application_id":"2","commands":[{"name":"a"}]}"#).unwrap();
    assert_eq!(json(&made.body), r#"[{"name":"a"}]"#);
    assert_eq!(made.path, "/applications/2/commands");
}

#[test]
fn what_is_left_is_the_query() {
    let made = request(
        "GuildSearch",
        r#"{"guild_id":"1","content":"a b","author_id":["2","3"],"pinned":true,
            "unknown_json":"{\"newer\":[1,\"x\"]}"}"#,
    )
    .unwrap();
    let expected = [
        pair("author_id", "2"),
        pair("author_id", "3"),
        pair("content", "a b"),
        pair("newer", "1"),
        pair("newer", "x"),
        pair("pinned", "true"),
    ];
    assert_eq!(made.query, expected);
    let made = request("GetEntitlements", r#"{"sku_ids":["2","3"]}"#).unwrap();
    assert_eq!(made.query, [pair("sku_ids", "2,3")]);
    let made = request(
        "ListPins",
        r#"{"channel_id":"1","before":"2024-01-02T03:04:05Z"}"#,
    );
    assert!(made.unwrap().query[0].1.starts_with("2024-01-02T03:04:05"));
    for wrong in [r#"{\"x\":null}"#, r#"{\"x\":{}}"#, r#"{\"x\":[[1]]}"#] {
        let error = request("GetMyUser", &format!(r#"{{"unknown_json":"{wrong}"}}"#));
        assert_eq!(
            error.unwrap_err(),
            RequestError::Query("x".to_owned()),
            "{wrong}"
        );
    }
}

#[test]
fn headers_hold_reasons_and_tokens() {
    let made = request(
        "DeleteChannel",
        r#"{"channel_id":"1","audit_log_reason":"späm 100%\r\nX: y"}"#,
    )
    .unwrap();
    let reason = "sp%C3%A4m%20100%25%0D%0AX%3A%20y";
    assert_eq!(made.headers, [pair("X-Audit-Log-Reason", reason)]);
    let made = request("GetMyUser", r#"{"bearer_token":"abc"}"#).unwrap();
    assert_eq!(made.headers, [pair("Authorization", "Bearer abc")]);
    assert!(!format!("{made:?}").contains("abc"));
    let error = request("GetMyUser", r#"{"bearer_token":"a\r\nX: y"}"#).unwrap_err();
    assert_eq!(error, RequestError::Header("bearer_token".to_owned()));
}

#[test]
fn paths_are_kept() {
    let react = |emoji: &str| {
        let json = format!(r#"{{"channel_id":"1","message_id":"2","emoji_name":"{emoji}"}}"#);
        request("AddMyMessageReaction", &json)
    };
    let path = "/channels/1/messages/2/reactions/";
    assert_eq!(react("🔥").unwrap().path, format!("{path}%F0%9F%94%A5/@me"));
    assert_eq!(react("a:3").unwrap().path, format!("{path}a%3A3/@me"));
    assert_eq!(
        react("x/../y?z").unwrap().path,
        format!("{path}x%2F..%2Fy%3Fz/@me")
    );
    assert_eq!(
        react("..").unwrap_err(),
        RequestError::Path("emoji_name".to_owned())
    );
    assert_eq!(
        react("").unwrap_err(),
        RequestError::Missing("emoji_name".to_owned())
    );
    let error = request("GetChannel", "{}").unwrap_err();
    assert_eq!(error, RequestError::Missing("channel_id".to_owned()));
    assert!(error.to_string().contains("`channel_id`"));
}

#[test]
fn a_message_that_is_none_is_refused() {
    let operations = Operations::new();
    let refusal = |name: &str, message: &[u8]| {
        let operation = operations.find(name).unwrap();
        let made = operation.request(&operations, 1, message, &mut Scratch::default());
        match made.unwrap_err() {
            RequestError::Message(error) => (error.path, error.mistake),
            error => panic!("{error}"),
        }
    };
    let unknown = |field| (String::new(), Mistake::Unknown(field));
    // Field 99.
    assert_eq!(refusal("GetChannel", &[0x98, 0x06, 1]), unknown(99));
    assert_eq!(refusal("CreateMessage", &[0x98, 0x06, 1]), unknown(99));
    // A file, cut off; and one with a field 9.
    assert_eq!(
        refusal("CreateMessage", &[0x1a, 5, 1]).1,
        Mistake::Truncated
    );
    let file = ("files".to_owned(), Mistake::Unknown(9));
    assert_eq!(refusal("CreateMessage", &[0x1a, 2, 0x48, 1]), file);
    let wrong = message(
        "CreateMessage",
        r#"{"channel_id":"1","message":{"nulls":"nope"}}"#,
    );
    let (path, mistake) = refusal("CreateMessage", &wrong);
    assert_eq!(
        (path.as_str(), mistake),
        ("message.nulls", Mistake::NoField("nope".to_owned()))
    );
}

#[test]
fn answers_become_messages() {
    let message = response("GetMessage", 200, r#"{"id":"5","new":1}"#).unwrap();
    assert_eq!(message["message"]["id"], "5");
    assert_eq!(message["message"]["unknown_json"], r#"{"new":1}"#);
    let several = response("ListMessages", 200, r#" [{"id":"5"},{"id":"6"}] "#).unwrap();
    assert_eq!(several["messages"][1]["id"], "6");
    let counts = response("GuildRoleMemberCounts", 200, r#"{"7":3}"#).unwrap();
    assert_eq!(counts["counts"]["7"], 3);
    let empty = response("ListMessages", 200, "[]").unwrap();
    assert_eq!(empty, serde_json::json!({"empties": [1]}));
    assert_eq!(
        response("DeleteMessage", 204, "").unwrap(),
        serde_json::json!({})
    );
    let typing = response("TriggerTypingIndicator", 200, r#"{"x":1}"#).unwrap();
    assert_eq!(typing["unknown_json"], r#"{"x":1}"#);
    let png = response("GetGuildWidgetPng", 200, "\u{1}png").unwrap();
    assert_eq!(png["image"], "AXBuZw==");
}

#[test]
fn another_status_has_another_body() {
    let found = response("GuildSearch", 200, r#"{"total_results":1}"#).unwrap();
    assert_eq!(found["message_search"]["total_results"], 1);
    let wait = response("GuildSearch", 202, r#"{"retry_after":2}"#).unwrap();
    assert_eq!(wait, serde_json::json!({"not_ready": {"retry_after": 2}}));
}

#[test]
fn an_odd_answer_is_kept_as_it_is() {
    for odd in [r#"{"id":"1"}"#, r#"[{"id":"1"},null]"#, "7"] {
        let message = response("ListMessages", 200, odd).unwrap();
        assert_eq!(message["unknown_json"], format!(r#"{{"messages":{odd}}}"#));
    }
    let message = response("GetMessage", 200, "null").unwrap();
    assert_eq!(message, serde_json::json!({"nulls": [1]}));
    for wrong in ["", "nope", r#"7,"not_ready":{}"#, r#"{"id":"#, "{}}"] {
        let made = response("GuildSearch", 200, wrong);
        assert_eq!(made.is_err(), !wrong.is_empty(), "{wrong}");
    }
}

/// A value for a field, in whatever way.
fn some(field: &FieldDescriptor) -> Value {
    let value = match field.kind() {
        Kind::Fixed64 => Value::U64(5),
        Kind::Uint64 => Value::U64(6),
        Kind::Uint32 => Value::U32(7),
        Kind::Int32 => Value::I32(8),
        Kind::Bool => Value::Bool(true),
        Kind::String => Value::String("text".to_owned()),
        Kind::Enum(_) => Value::EnumNumber(1),
        Kind::Message(entry) if field.is_map() => {
            assert_eq!(entry.map_entry_key_field().kind(), Kind::String);
            let value = some(&entry.map_entry_value_field());
            return Value::Map([(MapKey::String("key".to_owned()), value)].into());
        }
        Kind::Message(message) if message.full_name() == "google.protobuf.Value" => {
            let mut value = DynamicMessage::new(message);
            value.set_field_by_name("bool_value", Value::Bool(true));
            Value::Message(value)
        }
        Kind::Message(message) => Value::Message(DynamicMessage::new(message)),
        kind => panic!("{}: {kind:?}", field.full_name()),
    };
    match field.is_list() {
        true => Value::List(vec![value]),
        false => value,
    }
}

/// Each field of each request goes somewhere, and none goes to two places.
#[test]
fn every_field_of_every_operation_goes_somewhere() {
    let operations = Operations::new();
    assert_eq!(operations.all().count(), 242);
    let mut scratch = Scratch::default();
    for operation in operations.all() {
        let input = method(operation.name()).input();
        let mut message = DynamicMessage::new(input.clone());
        let fields: Vec<_> = input
            .fields()
            .filter(|field| field.number() < 1000)
            .collect();
        for field in &fields {
            message.set_field(field, some(field));
        }
        let bytes = message.encode_to_vec();
        let made = operation.request(&operations, 1, &bytes, &mut scratch);
        let made = made.unwrap_or_else(|error| panic!("{}: {error}", operation.name()));
        let in_path = operation.template().matches('{').count();
        assert!(!made.path.contains(['{', '}']), "{}", made.path);
        let (body, files) = match &made.body {
            Body::None => (0, 0),
            Body::Json(_) => (1, 0),
            Body::Form(fields, parts) => {
                let alone = matches!(
                    operation.name(),
                    "UploadApplicationAttachment" | "UpdateInviteTargetUsers"
                );
                assert_eq!(
                    fields.is_empty(),
                    alone || operation.name() == "CreateGuildSticker"
                );
                (usize::from(!alone), parts.len())
            }
        };
        let placed = in_path + made.query.len() + made.headers.len() + body + files;
        assert_eq!(placed, fields.len(), "{}", operation.name());
    }
}

#[test]
fn every_answer_of_every_operation_can_be_held() {
    let operations = Operations::new();
    let mut scratch = Scratch::default();
    for operation in operations.all() {
        let output = method(operation.name()).output();
        for body in ["{}", "[]", "[{}]", "null", "1", r#""x""#] {
            let held = operation.response(&operations, 200, body.as_bytes(), &mut scratch);
            let is_typed = output.get_field(1).is_some();
            assert_eq!(
                held.is_ok(),
                is_typed || body == "{}",
                "{}: {body}",
                operation.name()
            );
            if let Ok(held) = held {
                DynamicMessage::decode(output.clone(), &*held).unwrap();
            }
        }
    }
}
