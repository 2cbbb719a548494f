//! A few messages, pinned as bytes: what travels today must be readable tomorrow.

use prost::Message as _;
use wire::discord::v1::{
    Guild, Interaction, Invite, Member, Message, MessageDelete, MessageType, Ready, User,
};
use wire::gateway::v1::{Code, DiscordError, Error, Event, Shard, Source, event::Data};

/// An event with every field of the envelope.
fn example() -> Event {
    Event {
        id: "ab:7".to_owned(),
        application_id: 1,
        name: "MESSAGE_CREATE".to_owned(),
        source: Source::Ws.into(),
        shard: Some(Shard { id: 0, count: 2 }),
        sequence: Some(7),
        received_at: Some(prost_types::Timestamp {
            seconds: 1,
            nanos: 2,
        }),
        guild_id: Some(3),
        channel_id: Some(4),
        user_id: Some(5),
        json: "{}".to_owned(),
        data: Some(Data::MessageCreate(Box::new(Message {
            id: Some(6),
            channel_id: Some(4),
            guild_id: Some(3),
            author: Some(User {
                id: Some(5),
                ..Default::default()
            }),
            member: Some(Member {
                roles: vec![8, 9],
                ..Default::default()
            }),
            content: Some(String::new()),
            r#type: Some(MessageType::Default.into()),
            nulls: vec![17],
            empties: vec![14, 15],
            unknown_json: "{\"x\":1}".to_owned(),
            ..Default::default()
        }))),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_event_is_pinned() {
    let event = example();
    let pinned = [
        // id, application_id, name
        "0a0461623a37",
        "110100000000000000",
        "1a0e4d4553534147455f435245415445",
        // source, shard, sequence, received_at
        "2001",
        "2a021002",
        "3007",
        "3a0408011002",
        // guild_id, channel_id, user_id, json
        "410300000000000000",
        "490400000000000000",
        "510500000000000000",
        "5a027b7d",
        // message_create: id, channel_id, guild_id, author, member, content, type
        "c20151",
        "090600000000000000",
        "110400000000000000",
        "190300000000000000",
        "2209090500000000000000",
        "2a121a1008000000000000000900000000000000",
        "3200",
        "4000",
        // unknown_json, nulls, empties
        "c23e077b2278223a317d",
        "ca3e0111",
        "d23e020e0f",
    ]
    .concat();
    assert_eq!(hex(&event.encode_to_vec()), pinned);
    assert_eq!(
        Event::decode(event.encode_to_vec().as_slice()).unwrap(),
        event
    );
}

#[test]
fn a_deleted_message_is_pinned() {
    let message = MessageDelete {
        id: Some(u64::MAX),
        channel_id: Some(0),
        ..Default::default()
    };
    assert_eq!(
        hex(&message.encode_to_vec()),
        "09ffffffffffffffff110000000000000000"
    );
}

#[test]
fn an_error_is_pinned() {
    let error = Error {
        code: Code::ResourceExhausted.into(),
        message: "slow down".to_owned(),
        retry_after: Some(prost_types::Duration {
            seconds: 1,
            nanos: 500_000_000,
        }),
        discord: Some(DiscordError {
            status: 429,
            code: 0,
            body: "{}".to_owned(),
        }),
    };
    assert_eq!(
        hex(&error.encode_to_vec()),
        "08081209736c6f7720646f776e1a0808011080cab5ee01220708ad031a027b7d"
    );
}

#[test]
fn no_message_is_too_large_for_a_stack() {
    for (name, size) in [
        ("Event", size_of::<Event>()),
        ("Guild", size_of::<Guild>()),
        ("Interaction", size_of::<Interaction>()),
        ("Invite", size_of::<Invite>()),
        ("Member", size_of::<Member>()),
        ("Message", size_of::<Message>()),
        ("Ready", size_of::<Ready>()),
    ] {
        assert!(size <= 4096, "{name}: {size} bytes");
    }
}

#[test]
fn repeated_numbers_are_packed() {
    let member = Member {
        roles: vec![1],
        nulls: vec![2],
        ..Default::default()
    };
    assert_eq!(hex(&member.encode_to_vec()), "1a080100000000000000ca3e0102");
    let message = wire::descriptors()
        .get_message_by_name("discord.v1.Member")
        .unwrap();
    assert!(message.get_field_by_name("roles").unwrap().is_packed());
}
