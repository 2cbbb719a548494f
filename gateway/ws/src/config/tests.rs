//! Every key, right and wrong, without touching the environment.

use super::{Config, KEYS};
use boot::{ExposeSecret as _, Mistakes, Reader};
use std::time::Duration;
use store::Place;

const TOKEN: &str = "not-a.real.token-0123456789";

fn read(variables: &[(&str, &str)]) -> Result<Config, Mistakes> {
    read_with(variables, None)
}

fn read_with(variables: &[(&str, &str)], file: Option<&str>) -> Result<Config, Mistakes> {
    let file = file.map(|text| ("gateway.toml", text));
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut reader = Reader::of("ws", KEYS, variables, file);
    let config = Config::read(&mut reader);
    reader.finish(config)
}

#[test]
fn token_and_intents_are_enough() {
    let config = read(&[("DISCORD_TOKEN", TOKEN), ("DISCORD_INTENTS", "GUILDS")]).unwrap();
    assert_eq!(config.api_url, "https://discord.com/api/v10");
    let [application] = &*config.applications else {
        panic!("one application is configured")
    };
    assert_eq!(application.intents, 1);
    assert_eq!(application.id, None);
    assert_eq!(application.shard_count, None);
    assert_eq!(application.shard_ids, None);
    assert_eq!(application.events, None);
    assert_eq!(application.presence, None);
    assert_eq!(config.lease_ttl, Duration::from_secs(10));
    assert_eq!(config.identify_reserve, 10);
    assert!((config.reshard_threshold - 1.5).abs() < f64::EPSILON);
    assert_eq!(config.reshard_interval, Duration::from_secs(600));
    assert_eq!(config.stall_timeout, Duration::from_secs(5));
    assert!(application.batches.is_empty());
    assert_eq!(config.broker.spool, None);
    assert!(matches!(config.store.place, Place::Memory));
}

#[test]
fn every_key_is_read() {
    let config = read(&[
        ("DISCORD_TOKEN", TOKEN),
        ("DISCORD_INTENTS", "33026"),
        ("DISCORD_APPLICATION_ID", "1234567890"),
        ("DISCORD_API_URL", "http://127.0.0.1:4000/api/v10"),
        ("DISCORD_EVENTS", "message_create, PRESENCE_UPDATE"),
        ("DISCORD_SHARD_COUNT", "16"),
        ("DISCORD_SHARD_IDS", "0-3, 8"),
        ("DISCORD_PRESENCE", r#"{"status":"idle"}"#),
        ("EVENT_PAYLOAD", "both"),
        ("EVENT_BATCH", "PRESENCE_UPDATE=64/5ms, typing_start = 2/1s"),
        ("WS_SPOOL_DIR", "/var/lib/gateway/spool"),
        ("WS_SPOOL_SIZE", "2GiB"),
        ("WS_LEASE_TTL", "2s"),
        ("WS_IDENTIFY_RESERVE", "0"),
        ("WS_RESHARD_THRESHOLD", "2"),
        ("WS_RESHARD_INTERVAL", "1h"),
        ("WS_SESSION_FILE", "/var/lib/gateway/sessions.json"),
        ("WS_STALL_TIMEOUT", "250ms"),
    ])
    .unwrap();
    assert_eq!(config.lease_ttl, Duration::from_secs(2));
    assert_eq!(config.identify_reserve, 0);
    assert!((config.reshard_threshold - 2.0).abs() < f64::EPSILON);
    assert_eq!(config.reshard_interval, Duration::from_hours(1));
    let spool = config.broker.spool.unwrap();
    assert_eq!(spool.dir.to_str(), Some("/var/lib/gateway/spool"));
    assert_eq!(spool.limit, 2 << 30);
    assert!(matches!(config.store.place, Place::File(_)));
    let application = config.applications.into_iter().next().unwrap();
    assert_eq!(application.batches["PRESENCE_UPDATE"].count, 64);
    assert_eq!(
        application.batches["TYPING_START"].linger,
        Duration::from_secs(1)
    );
    assert_eq!(application.id, Some(1_234_567_890));
    assert_eq!(application.shard_count, Some(16));
    assert_eq!(application.presence.unwrap().0["status"], "idle");
    let shards: Vec<u32> = application.shard_ids.unwrap().into_iter().collect();
    assert_eq!(shards, [0, 1, 2, 3, 8]);
    let events: Vec<String> = application.events.unwrap().iter().cloned().collect();
    assert_eq!(events, ["MESSAGE_CREATE", "PRESENCE_UPDATE"]);
    assert_eq!(application.lanes, transcode::Lanes::Both);
}

#[test]
fn all_mistakes_are_told_at_once_and_name_their_keys() {
    let mistakes = read(&[
        ("DISCORD_TOKEN", "Bot abc"),
        ("DISCORD_INTENTS", "GUILDS,GUILD_MESAGES"),
        ("DISCORD_APPLICATION_ID", "me"),
        ("DISCORD_API_URL", "discord.com"),
        ("DISCORD_EVENTS", "MESSAGE CREATE"),
        ("DISCORD_SHARD_COUNT", "0"),
        ("DISCORD_SHARD_IDS", "3-1"),
        ("DISCORD_PRESENCE", "idle"),
        ("EVENT_PAYLOAD", "xml"),
        ("EVENT_BATCH", "PRESENCE_UPDATE=0/5ms"),
        ("WS_SPOOL_SIZE", "1MiB"),
        ("WS_LEASE_TTL", "1s"),
        ("WS_IDENTIFY_RESERVE", "-1"),
        ("WS_RESHARD_THRESHOLD", "0.5"),
        ("WS_RESHARD_INTERVAL", "0s"),
        ("REDIS_URL", "http://localhost"),
        ("WS_STALL_TIMEOUT", "5"),
        ("AMQP_URL", "http://localhost"),
        ("BROKER_TYPE", "kafka"),
    ])
    .unwrap_err()
    .to_string();
    for key in [
        "DISCORD_TOKEN",
        "DISCORD_INTENTS",
        "DISCORD_APPLICATION_ID",
        "DISCORD_API_URL",
        "DISCORD_EVENTS",
        "DISCORD_SHARD_COUNT",
        "DISCORD_SHARD_IDS",
        "DISCORD_PRESENCE",
        "EVENT_PAYLOAD",
        "EVENT_BATCH",
        "WS_SPOOL_SIZE",
        "WS_LEASE_TTL",
        "WS_IDENTIFY_RESERVE",
        "WS_RESHARD_THRESHOLD",
        "WS_RESHARD_INTERVAL",
        "REDIS_URL",
        "WS_STALL_TIMEOUT",
        "BROKER_TYPE",
    ] {
        assert!(mistakes.contains(key), "{key} is missing in:\n{mistakes}");
    }
}

#[test]
fn contradictions_are_mistakes() {
    let base = [("DISCORD_TOKEN", TOKEN), ("DISCORD_INTENTS", "1")];
    let with = |more: &[(&'static str, &'static str)]| {
        read(&[&base, more].concat()).unwrap_err().to_string()
    };
    let shards = with(&[("DISCORD_SHARD_COUNT", "4"), ("DISCORD_SHARD_IDS", "2-4")]);
    assert!(
        shards.contains("names shard 4, but DISCORD_SHARD_COUNT is 4"),
        "{shards}"
    );
    let batches = with(&[("EVENT_BATCH", "TYPING_START=2/5ms,TYPING_START=4/5ms")]);
    assert!(batches.contains("names TYPING_START twice"), "{batches}");
    let stores = with(&[("REDIS_URL", "redis://localhost"), ("WS_SESSION_FILE", "x")]);
    assert!(stores.contains("set only one"), "{stores}");
}

#[test]
fn secrets_show_neither_in_mistakes_nor_in_the_configuration() {
    let secret = "geheim-0123456789";
    let url = format!("redis://user:{secret}@localhost:6379");
    let good = [
        ("DISCORD_TOKEN", secret),
        ("DISCORD_INTENTS", "1"),
        ("REDIS_URL", &url),
    ];
    let shown = format!("{:?}", read(&good).unwrap());
    assert!(!shown.contains(secret), "{shown}");
    let bad_url = format!("nothing://user:{secret}@localhost");
    let bad_token = format!("Bot {secret}");
    let bad = [
        ("DISCORD_TOKEN", &*bad_token),
        ("DISCORD_INTENTS", "1"),
        ("REDIS_URL", &bad_url),
    ];
    let shown = read(&bad).unwrap_err().to_string();
    assert!(!shown.contains(secret), "{shown}");
}

#[test]
fn several_applications_stand_in_tables() {
    let file = r#"
        discord_intents = "GUILDS"
        event_payload = "both"

        [[applications]]
        token = "first.token"
        application_id = 81384788765712384
        shard_count = 4
        shard_ids = [0, 1]

        [[applications]]
        token = "second.token"
        intents = ["GUILDS", "GUILD_MESSAGES"]
        events = "MESSAGE_CREATE"
        presence = '{"status":"dnd"}'
        event_payload = "json"
    "#;
    let config = read_with(&[], Some(file)).unwrap();
    let [first, second] = &*config.applications else {
        panic!("two applications are configured")
    };
    assert_eq!(first.token.expose_secret(), "first.token");
    assert_eq!(first.id, Some(81_384_788_765_712_384));
    assert_eq!((first.intents, second.intents), (1, 513));
    assert_eq!((first.shard_count, second.shard_count), (Some(4), None));
    assert_eq!(first.lanes, transcode::Lanes::Both);
    assert_eq!(second.lanes, transcode::Lanes::Json);
    assert!(second.presence.is_some() && first.presence.is_none());
    assert!(second.events.is_some() && first.events.is_none());
    let shown = format!("{config:?}");
    assert!(!shown.contains("first.token") && !shown.contains("second.token"));
}

#[test]
fn mistakes_in_tables_name_them() {
    let file = r#"
        [[applications]]
        token = "first.token"
        intents = "GUILD"
        application_id = 1
        [[applications]]
        token = "Bot second.token"
        application_id = 1
        shard_count = 2
        shard_ids = "2"
        [[applications]]
        discord_token = "third.token"
        intents = "GUILDS"
    "#;
    let mistakes = read_with(&[], Some(file)).unwrap_err().to_string();
    let starts = [
        "applications[2].discord_token (gateway.toml line 12): is not a known key; did you mean \
         token?",
        "applications[0].intents (gateway.toml line 4): \"GUILD\" is not a list of intents",
        "applications[1].token (gateway.toml line 7): the value is not a bot token",
        "applications[1].application_id (gateway.toml line 8): is the same as that of \
         applications[0]",
        "applications[1].intents (gateway.toml line 6): is required",
        "applications[1].shard_ids (gateway.toml line 10): names shard 2, but",
        "applications[2].token (gateway.toml line 11): is required",
    ];
    assert_eq!(mistakes.lines().count(), starts.len(), "{mistakes}");
    for (line, start) in mistakes.lines().zip(starts) {
        assert!(line.starts_with(start), "{mistakes}");
    }
    assert!(!mistakes.contains("second.token"), "{mistakes}");
}

#[test]
fn an_application_id_is_written_in_one_way() {
    for id in ["0", "01", "+1", "1.5"] {
        let set = [
            ("DISCORD_TOKEN", TOKEN),
            ("DISCORD_INTENTS", "1"),
            ("DISCORD_APPLICATION_ID", id),
        ];
        assert!(read(&set).is_err(), "{id}");
    }
}
