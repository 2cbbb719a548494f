//! Every key, right and wrong, without touching the environment.

use std::time::Duration;

use boot::Reader;
use transcode::Lanes;

use super::{Config, KEYS};

/// Of RFC 8032.
const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const OTHER: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";

fn read(variables: &[(&str, &str)], file: Option<&str>) -> Result<Config, String> {
    let file = file.map(|text| ("gateway.toml", text));
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut reader = Reader::of("http", KEYS, variables, file);
    let config = Config::read(&mut reader);
    reader.finish(config).map_err(|error| error.to_string())
}

#[test]
fn an_id_and_a_key_are_enough() {
    let config = read(
        &[("DISCORD_PUBLIC_KEY", KEY), ("DISCORD_APPLICATION_ID", "7")],
        None,
    )
    .unwrap();
    let [application] = &*config.applications else {
        panic!("one application is configured")
    };
    assert_eq!((application.id, application.lanes), (7, Lanes::Typed));
    assert_eq!(config.defer_after, Duration::from_secs(2));
    assert_eq!(config.settings.remembered, 100_000);
    assert_eq!(config.address.to_string(), "127.0.0.1:8080");
}

#[test]
fn applications_without_a_key_are_for_others() {
    let file = format!(
        "[[applications]]\ntoken = 'a'\n[[applications]]\napplication_id = 8\npublic_key = ['{KEY}', '{OTHER}']\n\
         event_payload = 'both'"
    );
    let config = read(&[], Some(&file)).unwrap();
    let ids: Vec<_> = config
        .applications
        .iter()
        .map(|it| (it.id, it.lanes))
        .collect();
    assert_eq!(ids, [(8, Lanes::Both)]);
}

#[test]
fn mistakes_are_named() {
    let right = [("DISCORD_PUBLIC_KEY", KEY), ("DISCORD_APPLICATION_ID", "7")];
    let long = "x".repeat(2001);
    for (key, value, said) in [
        ("DISCORD_PUBLIC_KEY", "abc", "64 hex digits"),
        ("DISCORD_APPLICATION_ID", "x", "application's id"),
        ("INTERACTION_DEFER_AFTER", "3s", "out of range"),
        ("INTERACTION_FAILURE_MESSAGE", &long, "1 to 2000"),
        ("INTERACTION_EPHEMERAL", "a..b", "patterns"),
        ("HTTP_PROXIES", "proxy", "networks"),
        ("BROKER_TYPE", "stdio", "amqp"),
        ("EVENT_PAYLOAD", "xml", "typed"),
    ] {
        let mut all: Vec<_> = right
            .iter()
            .copied()
            .filter(|(name, _)| *name != key)
            .collect();
        all.push((key, value));
        let mistake = read(&all, None).unwrap_err();
        assert!(mistake.starts_with(key), "{mistake}");
        assert!(mistake.contains(said), "{mistake}");
    }
    let missing = read(&right[..1], None).unwrap_err();
    assert!(missing.contains("DISCORD_APPLICATION_ID"), "{missing}");
    let missing = read(&[], None).unwrap_err();
    assert!(missing.contains("DISCORD_PUBLIC_KEY"), "{missing}");
}
