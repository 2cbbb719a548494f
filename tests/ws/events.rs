//! What becomes of events: typed, complete, in order, and only those that are wanted.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use sim::{Config, Dispatch};

use super::stage::{Stage, ids, is_own, named};

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_published_once_and_in_order() -> Result<()> {
    let config = Config {
        shards: 4,
        guilds: 12,
        max_concurrency: 4,
        ..Config::default()
    };
    let stage = Stage::new(config).await?;
    let service = stage.start_ready().await?;
    stage.emit(5_000).await?;
    let messages = stage.everything_written(&service).await?;
    ensure!(
        messages.len() == ids(&messages).len(),
        "an event was published twice"
    );
    let mut last = BTreeMap::new();
    for message in &messages {
        let shard = message["headers"]["shard"]
            .as_u64()
            .context("the header shard")?;
        let sequence = message["headers"]["sequence"]
            .as_u64()
            .context("the header sequence")?;
        let before = last.insert(shard, sequence).unwrap_or(0);
        ensure!(sequence == before + 1, "shard {shard}");
    }
    ensure!(last.len() == 4);
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_typed_and_says_where_it_belongs() -> Result<()> {
    let stage = Stage::small().await?;
    let service = stage.start_ready().await?;
    let guild = stage.sim.guild_ids()[0].to_string();
    let data = json!({
        "id": "1234567890123456789",
        "channel_id": "81384788765712384",
        "guild_id": guild,
        "content": "Grüße 👋",
        "author": {"id": "42", "username": "someone", "clan_of_tomorrow": null},
        "edited_timestamp": null,
        "embeds": [],
        "tomorrow": {"a": [1, 2]},
    });
    let event = Dispatch {
        name: "MESSAGE_CREATE".to_owned(),
        data: data.to_string(),
        ..Dispatch::default()
    };
    ensure!(stage.sim.dispatch(&event)? == 1);
    let messages = stage.everything_written(&service).await?;
    let messages = named(&messages, "MESSAGE_CREATE");
    let [message] = messages[..] else {
        bail!("{messages:#?}");
    };
    let application = stage.sim.settings().application_id.to_string();
    ensure!(
        message["routing_key"] == format!("{application}.MESSAGE_CREATE.{guild}.81384788765712384")
    );
    ensure!(message["type"] == "gateway.v1.Event");
    ensure!(message["exchange"] == "discord.events");
    let body = &message["body"];
    ensure!(body["id"] == message["message_id"]);
    ensure!(body["name"] == "MESSAGE_CREATE");
    ensure!(body["application_id"] == application.as_str());
    ensure!(body["guild_id"] == guild.as_str());
    ensure!(body["channel_id"] == "81384788765712384");
    ensure!(body["user_id"] == "42");
    ensure!(body["source"] == "SOURCE_WS");
    ensure!(body["shard"]["count"] == 1);
    ensure!(
        body.get("json").is_none(),
        "typed events carry no JSON unless asked for"
    );
    let typed = &body["message_create"];
    ensure!(typed["content"] == "Grüße 👋");
    ensure!(typed["author"]["username"] == "someone");
    ensure!(typed["author"]["unknown_json"] == r#"{"clan_of_tomorrow":null}"#);
    ensure!(typed["unknown_json"] == r#"{"tomorrow":{"a":[1,2]}}"#);
    ensure!(typed["nulls"].as_array().map(Vec::len) == Some(1));
    ensure!(typed["empties"].as_array().map(Vec::len) == Some(1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interaction_is_routed_by_its_command() -> Result<()> {
    let stage = Stage::small().await?;
    let service = stage.start_ready().await?;
    let data = json!({
        "id": "1", "application_id": "2", "type": 2, "token": "t", "version": 1,
        "guild_id": stage.sim.guild_ids()[0].to_string(), "channel_id": "7",
        "data": {"id": "3", "name": "play", "type": 1, "options": [
            {"name": "radio", "type": 1, "options": []},
        ]},
    });
    let event = Dispatch {
        name: "INTERACTION_CREATE".to_owned(),
        data: data.to_string(),
        ..Dispatch::default()
    };
    stage.sim.dispatch(&event)?;
    let messages = stage.everything_written(&service).await?;
    let key = named(&messages, "INTERACTION_CREATE")[0]["routing_key"]
        .as_str()
        .context("a key")?;
    ensure!(key.ends_with(".7.command.play.radio"), "{key}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lanes_are_those_that_the_operator_asks_for() -> Result<()> {
    for (payload, typed, json) in [
        ("typed", true, false),
        ("json", false, true),
        ("both", true, true),
    ] {
        let mut stage = Stage::small().await?;
        stage.set("EVENT_PAYLOAD", payload);
        let service = stage.start_ready().await?;
        let messages = stage.everything_written(&service).await?;
        let body = &named(&messages, "READY")[0]["body"];
        ensure!(body.get("ready").is_some() == typed, "{payload}: {body}");
        ensure!(body.get("json").is_some() == json, "{payload}: {body}");
        if let Some(text) = body["json"].as_str() {
            let data: Value = serde_json::from_str(text)?;
            ensure!(data["session_id"].is_string(), "{text}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_nobody_asked_for_are_not_published_and_hold_nothing_up() -> Result<()> {
    let mut stage = Stage::small().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sessions.json");
    stage.set("WS_SESSION_FILE", &file.to_string_lossy());
    stage.set("DISCORD_EVENTS", "READY,MESSAGE_CREATE");
    let service = stage.start_ready().await?;
    stage.emit(1_000).await?;
    let newest = stage.dispatched().len();
    let application = stage.sim.settings().application_id.to_string();
    let reached = || {
        let saved: Value = match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(_) => return Ok(false),
        };
        let session = &saved["applications"][&application]["sessions"]["0/1"];
        Ok(session["sequence"].as_u64() == u64::try_from(newest).ok())
    };
    service
        .until("the saved sequence passes what is filtered", reached)
        .await?;
    let ended = service.terminate()?;
    ensure!(ended.status.success(), "{}", ended.log);
    for line in &ended.output {
        let message: Value = serde_json::from_str(line)?;
        if is_own(&message) {
            continue;
        }
        let event = message["headers"]["event"]
            .as_str()
            .context("the header event")?;
        ensure!(["READY", "MESSAGE_CREATE"].contains(&event), "{event}");
    }
    Ok(())
}
