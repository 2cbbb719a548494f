//! The command line and the configuration of all services, as their operator sees them.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Result, ensure};
use boot::{
    Key,
    config::{Each, SERVICES},
};
use tests::service::{
    Ended, Service, gateway_api, gateway_http, gateway_voice, gateway_webhook, gateway_ws,
};

/// Where the program of a service is.
type Program = fn() -> Result<&'static Path>;

/// The services: the name of each, its program and its keys.
const ALL: [(&str, Program, &[&[Key]]); 5] = [
    ("api", gateway_api, gateway_api::KEYS),
    ("http", gateway_http, gateway_http::KEYS),
    ("voice", gateway_voice, gateway_voice::KEYS),
    ("webhook", gateway_webhook, gateway_webhook::KEYS),
    ("ws", gateway_ws, gateway_ws::KEYS),
];

/// What boot's list says of a key: its name, whether it is secret, and where it stands in an array.
fn fact(key: &Key) -> (&str, bool, Option<(&str, &str)>) {
    let place = |Each { list, name, .. }| (list, name);
    (key.name, key.secret, key.each.map(place))
}

fn facts(keys: impl IntoIterator<Item = &'static Key>) -> BTreeSet<String> {
    let facts = keys.into_iter().map(|key| format!("{:?}", fact(key)));
    facts.collect()
}

#[test]
fn each_service_passes_over_exactly_what_is_for_another() {
    let all = ALL.map(|(name, _, keys)| (name, facts(keys.iter().copied().flatten())));
    for service in SERVICES {
        let own = all.iter().find(|(name, _)| *name == service.name);
        let own = own.map(|(_, keys)| keys.clone()).unwrap_or_default();
        let for_some = |key: &&String| !all.iter().all(|(_, keys)| keys.contains(*key));
        let for_some: BTreeSet<String> = own.iter().filter(for_some).cloned().collect();
        assert_eq!(
            facts(service.keys),
            for_some,
            "lib/boot/src/config/services.rs, {}",
            service.name
        );
    }
    for (name, _) in all {
        assert!(SERVICES.iter().any(|service| service.name == name));
    }
}

/// Lets each service look at this file, with these variables set.
fn check(file: &str, variables: &[(&str, &str)]) -> Result<[Ended; 5]> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("gateway.toml");
    fs::write(&path, file)?;
    let path = path.to_string_lossy();
    let arguments = ["--config", &path, "--check"];
    let [api, http, voice, webhook, ws] = ALL.map(|(_, program, _)| {
        let service = Service::start(program()?, variables, &arguments)?;
        service.finish()
    });
    Ok([api?, http?, voice?, webhook?, ws?])
}

/// Of RFC 8032.
const PUBLIC_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

const FILE: &str = r#"
amqp_url = "amqp://user:password@rabbitmq.example"
discord_intents = ["GUILDS"]
event_batch = "PRESENCE_UPDATE=64/5ms"
ws_lease_ttl = "5s"
api_timeout = "20s"
http_address = "0.0.0.0:8080"
http_secret = "a-secret-of-16-letters"
interaction_defer_after = "1500ms"

[ws]
admin_address = "127.0.0.1:9091"

[api]
admin_address = "127.0.0.1:9092"

[webhook]
admin_address = "127.0.0.1:9093"

[[applications]]
token = "music.token"
intents = ["GUILDS", "GUILD_VOICE_STATES"]
shard_count = 2
global_limit = 60
application_id = "1234567890123456789"
public_key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

[[applications]]
token = "moderation.token"
"#;

#[test]
fn one_file_and_one_environment_are_for_all_services() -> Result<()> {
    for ended in check(FILE, &[])? {
        ensure!(ended.status.success(), "{}", ended.log);
    }
    let variables = [
        ("DISCORD_TOKEN", "a.token"),
        ("DISCORD_INTENTS", "GUILDS"),
        ("API_TIMEOUT", "20s"),
        ("WS_LEASE_TTL", "5s"),
        ("DISCORD_APPLICATION_ID", "1234567890123456789"),
        ("DISCORD_PUBLIC_KEY", PUBLIC_KEY),
    ];
    for ended in check("", &variables)? {
        ensure!(ended.status.success(), "{}", ended.log);
    }
    Ok(())
}

#[test]
fn a_key_that_no_service_has_is_refused_by_all_with_the_one_that_is_meant() -> Result<()> {
    let slips = [
        ("discord_intents", "discord_intnets"),
        ("ws_lease_ttl", "ws_leese_ttl"),
        ("api_timeout", "api_timeouts"),
        ("http_secret", "http_sceret"),
        ("interaction_defer_after", "interaction_defer_aftr"),
        ("public_key", "pulbic_key"),
        ("shard_count", "shard_cuont"),
        ("global_limit", "global_limits"),
    ];
    let file = slips.iter().fold(FILE.to_owned(), |file, (meant, slip)| {
        file.replace(meant, slip)
    });
    for ended in check(&file, &[])? {
        ensure!(ended.status.code() == Some(64), "{}", ended.log);
        for (meant, slip) in slips {
            let said = ended.log.lines().any(|line| {
                line.contains(slip)
                    && line.ends_with(&format!("is not a known key; did you mean {meant}?"))
            });
            ensure!(said, "{slip} is missing in\n{}", ended.log);
        }
        ensure!(
            !ended.log.contains("a-secret-of-16-letters"),
            "{}",
            ended.log
        );
    }
    Ok(())
}

#[test]
fn a_mistake_is_told_by_the_service_that_it_is_for() -> Result<()> {
    let file = FILE
        .replace("ws_lease_ttl = \"5s\"", "ws_lease_ttl = \"5\"")
        .replace("global_limit = 60", "global_limit = 0");
    let [api, _, _, _, ws] = check(&file, &[])?;
    for (ended, own, other) in [
        (api, "global_limit", "ws_lease_ttl"),
        (ws, "ws_lease_ttl", "global_limit"),
    ] {
        ensure!(ended.status.code() == Some(64), "{}", ended.log);
        ensure!(ended.log.contains(own), "{}", ended.log);
        ensure!(!ended.log.contains(other), "{}", ended.log);
    }
    Ok(())
}

#[test]
fn help_has_every_key_and_version_the_program() -> Result<()> {
    for (name, program, keys) in ALL {
        let said = |argument| {
            let ended = Service::start(program()?, &[], &[argument])?.finish()?;
            ensure!(ended.status.success(), "{}", ended.log);
            Ok(ended.output.join("\n"))
        };
        let help = said("--help")?;
        for key in keys.iter().chain(boot::KEYS).copied().flatten() {
            ensure!(
                help.contains(key.name),
                "{} is missing in\n{help}",
                key.name
            );
        }
        let version = said("--version")?;
        let right = format!("gateway-{name} {}", env!("CARGO_PKG_VERSION"));
        ensure!(version == right, "{version}");
    }
    Ok(())
}
