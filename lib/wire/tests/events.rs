//! The events of the contract are Discord's: names, intents, and where their payloads name things.

use std::collections::BTreeSet;

use prost_reflect::Kind;
use wire::discord::v1::Intent;
use wire::event::{EventKind, events, own};
use wire::intent;

/// Discord's events by name: the intents under which they are sent, and where the payload has the
/// ids of the guild, the channel and the user. `|` stands between alternatives, `-` for none.
const EVENTS: &str = "\
APPLICATION_AUTHORIZED - guild.id - user.id
APPLICATION_COMMAND_PERMISSIONS_UPDATE - guild_id - -
APPLICATION_DEAUTHORIZED - - - user.id
AUTO_MODERATION_ACTION_EXECUTION AUTO_MODERATION_EXECUTION guild_id channel_id user_id
AUTO_MODERATION_RULE_CREATE AUTO_MODERATION_CONFIGURATION guild_id - -
AUTO_MODERATION_RULE_DELETE AUTO_MODERATION_CONFIGURATION guild_id - -
AUTO_MODERATION_RULE_UPDATE AUTO_MODERATION_CONFIGURATION guild_id - -
CHANNEL_CREATE GUILDS guild_id id -
CHANNEL_DELETE GUILDS guild_id id -
CHANNEL_INFO - guild_id - -
CHANNEL_PINS_UPDATE GUILDS|DIRECT_MESSAGES guild_id channel_id -
CHANNEL_UPDATE GUILDS guild_id id -
ENTITLEMENT_CREATE - guild_id - user_id
ENTITLEMENT_DELETE - guild_id - user_id
ENTITLEMENT_UPDATE - guild_id - user_id
GAME_DIRECT_MESSAGE_CREATE - guild_id channel_id|channel.id author.id
GAME_DIRECT_MESSAGE_DELETE - guild_id channel_id|channel.id author.id
GAME_DIRECT_MESSAGE_UPDATE - guild_id channel_id|channel.id author.id
GUILD_AUDIT_LOG_ENTRY_CREATE GUILD_MODERATION guild_id - user_id
GUILD_BAN_ADD GUILD_MODERATION guild_id - user.id
GUILD_BAN_REMOVE GUILD_MODERATION guild_id - user.id
GUILD_CREATE GUILDS id - -
GUILD_DELETE GUILDS id - -
GUILD_EMOJIS_UPDATE GUILD_EXPRESSIONS guild_id - -
GUILD_INTEGRATIONS_UPDATE GUILD_INTEGRATIONS guild_id - -
GUILD_MEMBERS_CHUNK - guild_id - -
GUILD_MEMBER_ADD GUILD_MEMBERS guild_id - user.id
GUILD_MEMBER_REMOVE GUILD_MEMBERS guild_id - user.id
GUILD_MEMBER_UPDATE GUILD_MEMBERS guild_id - user.id
GUILD_ROLE_CREATE GUILDS guild_id - -
GUILD_ROLE_DELETE GUILDS guild_id - -
GUILD_ROLE_UPDATE GUILDS guild_id - -
GUILD_SCHEDULED_EVENT_CREATE GUILD_SCHEDULED_EVENTS guild_id channel_id -
GUILD_SCHEDULED_EVENT_DELETE GUILD_SCHEDULED_EVENTS guild_id channel_id -
GUILD_SCHEDULED_EVENT_UPDATE GUILD_SCHEDULED_EVENTS guild_id channel_id -
GUILD_SCHEDULED_EVENT_USER_ADD GUILD_SCHEDULED_EVENTS guild_id - user_id
GUILD_SCHEDULED_EVENT_USER_REMOVE GUILD_SCHEDULED_EVENTS guild_id - user_id
GUILD_SOUNDBOARD_SOUNDS_UPDATE GUILD_EXPRESSIONS guild_id - -
GUILD_SOUNDBOARD_SOUND_CREATE GUILD_EXPRESSIONS guild_id - -
GUILD_SOUNDBOARD_SOUND_DELETE GUILD_EXPRESSIONS guild_id - -
GUILD_SOUNDBOARD_SOUND_UPDATE GUILD_EXPRESSIONS guild_id - -
GUILD_STICKERS_UPDATE GUILD_EXPRESSIONS guild_id - -
GUILD_UPDATE GUILDS id - -
INTEGRATION_CREATE GUILD_INTEGRATIONS guild_id - -
INTEGRATION_DELETE GUILD_INTEGRATIONS guild_id - -
INTEGRATION_UPDATE GUILD_INTEGRATIONS guild_id - -
INTERACTION_CREATE - guild_id channel_id member.user.id|user.id
INVITE_CREATE GUILD_INVITES guild_id channel_id inviter.id
INVITE_DELETE GUILD_INVITES guild_id channel_id -
LOBBY_MESSAGE_CREATE - - channel_id author.id
LOBBY_MESSAGE_DELETE - - - -
LOBBY_MESSAGE_UPDATE - - channel_id author.id
MESSAGE_CREATE GUILD_MESSAGES|DIRECT_MESSAGES guild_id channel_id author.id
MESSAGE_DELETE GUILD_MESSAGES|DIRECT_MESSAGES guild_id channel_id -
MESSAGE_DELETE_BULK GUILD_MESSAGES guild_id channel_id -
MESSAGE_POLL_VOTE_ADD GUILD_MESSAGE_POLLS|DIRECT_MESSAGE_POLLS guild_id channel_id user_id
MESSAGE_POLL_VOTE_REMOVE GUILD_MESSAGE_POLLS|DIRECT_MESSAGE_POLLS guild_id channel_id user_id
MESSAGE_REACTION_ADD GUILD_MESSAGE_REACTIONS|DIRECT_MESSAGE_REACTIONS guild_id channel_id user_id
MESSAGE_REACTION_REMOVE GUILD_MESSAGE_REACTIONS|DIRECT_MESSAGE_REACTIONS guild_id channel_id user_id
MESSAGE_REACTION_REMOVE_ALL GUILD_MESSAGE_REACTIONS|DIRECT_MESSAGE_REACTIONS guild_id channel_id -
MESSAGE_REACTION_REMOVE_EMOJI GUILD_MESSAGE_REACTIONS|DIRECT_MESSAGE_REACTIONS guild_id channel_id -
MESSAGE_UPDATE GUILD_MESSAGES|DIRECT_MESSAGES guild_id channel_id author.id
PRESENCE_UPDATE GUILD_PRESENCES guild_id - user.id
QUEST_USER_ENROLLMENT - - - -
RATE_LIMITED - meta.guild_id - -
READY - - - user.id
RESUMED - - - -
SOUNDBOARD_SOUNDS - guild_id - -
STAGE_INSTANCE_CREATE GUILDS guild_id channel_id -
STAGE_INSTANCE_DELETE GUILDS guild_id channel_id -
STAGE_INSTANCE_UPDATE GUILDS guild_id channel_id -
SUBSCRIPTION_CREATE - - - user_id
SUBSCRIPTION_DELETE - - - user_id
SUBSCRIPTION_UPDATE - - - user_id
THREAD_CREATE GUILDS guild_id id -
THREAD_DELETE GUILDS guild_id id -
THREAD_LIST_SYNC GUILDS guild_id - -
THREAD_MEMBERS_UPDATE GUILDS|GUILD_MEMBERS guild_id id -
THREAD_MEMBER_UPDATE GUILDS guild_id id user_id
THREAD_UPDATE GUILDS guild_id id -
TYPING_START GUILD_MESSAGE_TYPING|DIRECT_MESSAGE_TYPING guild_id channel_id user_id
USER_UPDATE - - - id
VOICE_CHANNEL_EFFECT_SEND GUILD_VOICE_STATES guild_id channel_id user_id
VOICE_CHANNEL_START_TIME_UPDATE GUILDS guild_id id -
VOICE_CHANNEL_STATUS_UPDATE GUILDS guild_id id -
VOICE_SERVER_UPDATE - guild_id - -
VOICE_STATE_UPDATE GUILD_VOICE_STATES guild_id channel_id user_id
WEBHOOKS_UPDATE GUILD_WEBHOOKS guild_id channel_id -";

/// How many events each intent stands for.
const COUNTS: &str = "\
GUILDS 21
GUILD_MEMBERS 4
GUILD_MODERATION 3
GUILD_EXPRESSIONS 6
GUILD_INTEGRATIONS 4
GUILD_WEBHOOKS 1
GUILD_INVITES 2
GUILD_VOICE_STATES 2
GUILD_PRESENCES 1
GUILD_MESSAGES 4
GUILD_MESSAGE_REACTIONS 4
GUILD_MESSAGE_TYPING 1
DIRECT_MESSAGES 4
DIRECT_MESSAGE_REACTIONS 4
DIRECT_MESSAGE_TYPING 1
MESSAGE_CONTENT 0
GUILD_SCHEDULED_EVENTS 5
AUTO_MODERATION_CONFIGURATION 3
AUTO_MODERATION_EXECUTION 1
GUILD_MESSAGE_POLLS 2
DIRECT_MESSAGE_POLLS 2";

/// An event as a line of [`EVENTS`].
fn line(event: &EventKind) -> String {
    let column = |words: Vec<String>| match words.join("|") {
        empty if empty.is_empty() => "-".to_owned(),
        words => words,
    };
    let paths = |paths: &[Vec<String>]| column(paths.iter().map(|path| path.join(".")).collect());
    let names = event.intents.iter().map(|intent| {
        let name = intent::name(intent::bits(*intent));
        name.expect("not the one that means none").to_owned()
    });
    [
        event.name.clone(),
        column(names.collect()),
        paths(&event.guild_id),
        paths(&event.channel_id),
        paths(&event.user_id),
    ]
    .join(" ")
}

#[test]
fn the_events_are_those_of_discord() {
    let lines: Vec<String> = events().iter().map(line).collect();
    assert_eq!(lines, EVENTS.lines().collect::<Vec<_>>());
}

#[test]
fn every_intent_stands_for_its_events() {
    let counts: Vec<String> = intent::names(intent::all())
        .into_iter()
        .map(|name| {
            let bits = intent::parse(name).unwrap();
            let sent = |event: &&EventKind| {
                let mut all = event.intents.iter();
                all.any(|intent| intent::bits(*intent) == bits)
            };
            format!("{name} {}", events().iter().filter(sent).count())
        })
        .collect();
    assert_eq!(counts, COUNTS.lines().collect::<Vec<_>>());
}

#[test]
fn every_event_of_the_envelope_is_described() {
    let envelope = wire::descriptors()
        .get_message_by_name("gateway.v1.Event")
        .unwrap();
    let data = envelope
        .oneofs()
        .find(|oneof| oneof.name() == "data")
        .unwrap();
    let all = || events().into_iter().chain(own());
    let described: BTreeSet<u32> = all().map(|event| event.number).collect();
    let numbers: BTreeSet<u32> = data.fields().map(|field| field.number()).collect();
    assert_eq!(described, numbers);
    assert_eq!(described.len(), all().count());
    assert!(numbers.iter().all(|number| *number >= 20));

    for event in all() {
        let field = envelope.get_field(event.number).unwrap();
        assert_eq!(field.name(), event.name.to_lowercase(), "{}", event.name);
        let intents: BTreeSet<Intent> = event.intents.iter().copied().collect();
        assert_eq!(intents.len(), event.intents.len(), "{}", event.name);
    }
}

/// Discord's events would otherwise meet ours: in numbers, in names, or in what stands for them.
#[test]
fn own_events_keep_apart_from_discords() {
    let names: Vec<String> = own().into_iter().map(|event| event.name).collect();
    let of_calls = [
        "CLIENT_CONNECT",
        "CLIENT_DISCONNECT",
        "RECORDING_END",
        "SPEAKING",
        "TRACK_END",
        "TRACK_ERROR",
        "TRACK_POSITION",
        "TRACK_START",
        "VOICE_CONNECTED",
        "VOICE_DISCONNECTED",
    ];
    let of_shards = ["GATEWAY_RESHARD", "GATEWAY_SHARD_STATUS"];
    let mut known = [&of_calls[..], &of_shards].concat();
    known.sort_unstable();
    assert_eq!(names, known);
    for event in own() {
        assert!(event.number >= 200, "{}", event.name);
        assert_eq!(event.intents, [], "{}", event.name);
        // What is about a call is routed by its guild and channel.
        let is_of_call = of_calls.contains(&event.name.as_str());
        let ids = [&event.guild_id, &event.channel_id];
        assert!(
            ids.iter().all(|paths| paths.is_empty() != is_of_call),
            "{}",
            event.name
        );
    }
    for event in events() {
        assert!(event.number < 200, "{}", event.name);
        assert!(!event.name.starts_with("GATEWAY_"), "{}", event.name);
        assert!(!of_calls.contains(&event.name.as_str()), "{}", event.name);
    }
}

#[test]
fn paths_lead_to_ids() {
    for event in events() {
        for path in event
            .guild_id
            .iter()
            .chain(&event.channel_id)
            .chain(&event.user_id)
        {
            let (last, folders) = path.split_last().unwrap();
            let mut message = event.message.clone();
            for name in folders {
                let field = message.get_field_by_name(name).expect(name);
                message = field.kind().as_message().expect(name).clone();
            }
            let field = message.get_field_by_name(last).expect(last);
            assert_eq!(field.kind(), Kind::Fixed64, "{} {path:?}", event.name);
            assert!(!field.is_list(), "{} {path:?}", event.name);
        }
    }
}
