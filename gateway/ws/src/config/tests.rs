//! Every key, right and wrong, without touching the environment.

use super::{Config, KEYS};
use crate::store::Place;
use boot::{Mistakes, Reader};
use std::time::Duration;
use twilight_model::gateway::presence::Status;

const TOKEN: &str = "not-a.real.token-0123456789";

fn read(variables: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut reader = Reader::new(KEYS, variables, None);
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
    assert_eq!(config.stall_timeout, Duration::from_secs(5));
    assert!(matches!(config.sessions, Place::Memory));
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
        ("WS_LEASE_TTL", "2s"),
        ("WS_IDENTIFY_RESERVE", "0"),
        ("WS_SESSION_FILE", "/var/lib/gateway/sessions.json"),
        ("WS_STALL_TIMEOUT", "250ms"),
    ])
    .unwrap();
    assert_eq!(config.lease_ttl, Duration::from_secs(2));
    assert_eq!(config.identify_reserve, 0);
    assert!(matches!(config.sessions, Place::File(_)));
    let application = config.applications.into_iter().next().unwrap();
    assert_eq!(application.id, Some(1_234_567_890));
    assert_eq!(application.shard_count, Some(16));
    assert_eq!(application.presence.unwrap().0.status, Status::Idle);
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
        ("WS_LEASE_TTL", "1s"),
        ("WS_IDENTIFY_RESERVE", "-1"),
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
        "WS_LEASE_TTL",
        "WS_IDENTIFY_RESERVE",
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
