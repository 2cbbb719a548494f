//! Requests of workers, here by stdin: sent to Discord, or refused with a reason.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sim::{Config, Times};
use tests::service::Service;

use super::stage::{Stage, named};

/// Asks for a payload to be sent, and waits for the answer.
async fn ask(service: &mut Service, id: &str, body: &Value) -> Result<Value> {
    call(service, "Send", id, body).await
}

/// Writes a request to the service's stdin, and waits for the answer.
pub(crate) async fn call(
    service: &mut Service,
    method: &str,
    id: &str,
    body: &Value,
) -> Result<Value> {
    let request = json!({
        "type": format!("gateway.v1.Ws/{method}"),
        "reply_to": "me",
        "correlation_id": id,
        "body": body,
    });
    service.tell(&request.to_string())?;
    let answer = || -> Result<Option<Value>> {
        Ok(service
            .messages()?
            .into_iter()
            .find(|message| message["correlation_id"] == id))
    };
    service
        .until("an answer", || Ok(answer()?.is_some()))
        .await?;
    answer()?.context("it was there")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_reaches_the_guilds_connection() -> Result<()> {
    let stage = Stage::small().await?;
    let mut service = stage.start_ready().await?;
    let guild = stage.sim.guild_ids()[0].to_string();
    let payload = json!({"op": 8, "d": {"guild_id": guild, "query": "", "limit": 0}});
    let body = json!({"guild_id": guild, "payload": payload.to_string()});
    let answer = ask(&mut service, "members", &body).await?;
    ensure!(answer["type"] == "gateway.v1.SendResponse", "{answer}");
    let came = || Ok(!named(&service.messages()?, "GUILD_MEMBERS_CHUNK").is_empty());
    service.until("the members", came).await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_discord_would_not_take_is_refused_and_nothing_is_sent() -> Result<()> {
    let stage = Stage::small().await?;
    let mut service = stage.start_ready().await?;
    let long = "x".repeat(5_000);
    for (id, body, code, words) in [
        (
            "a",
            json!({"shard_id": 0, "payload": "{"}),
            "CODE_INVALID_ARGUMENT",
            "no JSON object",
        ),
        (
            "b",
            json!({"shard_id": 0, "payload": long}),
            "CODE_INVALID_ARGUMENT",
            "5000 bytes",
        ),
        (
            "c",
            json!({"payload": r#"{"op":3,"d":{}}"#}),
            "CODE_INVALID_ARGUMENT",
            "guild_id",
        ),
        (
            "d",
            json!({"shard_id": 0, "payload": r#"{"op":2,"d":{}}"#}),
            "CODE_INVALID_ARGUMENT",
            "opcode 2",
        ),
        (
            "e",
            json!({"shard_id": 7, "payload": r#"{"op":3,"d":{}}"#}),
            "CODE_NOT_FOUND",
            "shard 7",
        ),
    ] {
        let answer = ask(&mut service, id, &body).await?;
        ensure!(answer["type"] == "gateway.v1.Error", "{answer}");
        ensure!(answer["body"]["code"] == code, "{answer}");
        let message = answer["body"]["message"].as_str().context("a message")?;
        ensure!(message.contains(words), "{message}");
    }
    ensure!(stage.sim.state().connections == 1);
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_shard_is_not_connected_the_worker_is_told_so() -> Result<()> {
    let stage = Stage::small().await?;
    let mut service = stage.start_ready().await?;
    stage
        .sim
        .change_faults(|faults| faults.refuse_connections = Times::Always);
    stage.sim.drop_connections(None)?;
    let lost = || Ok(service.log().contains("connection lost"));
    service.until("the loss of the connection", lost).await?;
    let body = json!({"shard_id": 0, "payload": r#"{"op":3,"d":{}}"#});
    let answer = ask(&mut service, "away", &body).await?;
    ensure!(answer["body"]["code"] == "CODE_UNAVAILABLE", "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presence_goes_to_all_shards_or_to_those_that_are_named() -> Result<()> {
    let config = Config {
        shards: 3,
        max_concurrency: 3,
        ..Config::default()
    };
    let stage = Stage::new(config).await?;
    let mut service = stage.start_ready().await?;
    for (id, shard_ids, reached) in [
        ("all", json!([]), json!([0, 1, 2])),
        ("one", json!([2]), json!([2])),
    ] {
        let body = json!({
            "presence": {"status": "idle", "activities": [{"name": "chess", "type": 0}]},
            "shard_ids": shard_ids,
        });
        let answer = call(&mut service, "UpdatePresence", id, &body).await?;
        ensure!(
            answer["type"] == "gateway.v1.UpdatePresenceResponse",
            "{answer}"
        );
        ensure!(answer["body"]["shard_ids"] == reached, "{answer}");
    }
    let body = json!({"presence": {"status": "busy"}});
    let answer = call(&mut service, "UpdatePresence", "bad", &body).await?;
    ensure!(
        answer["body"]["code"] == "CODE_INVALID_ARGUMENT",
        "{answer}"
    );
    let body = json!({"shard_ids": [1, 3]});
    let answer = call(&mut service, "UpdatePresence", "none", &body).await?;
    ensure!(answer["body"]["code"] == "CODE_NOT_FOUND", "{answer}");
    ensure!(stage.sim.state().connections == 3);
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voice_state_joins_a_channel_and_leaves_it() -> Result<()> {
    let stage = Stage::small().await?;
    let mut service = stage.start_ready().await?;
    let guild = stage.sim.guild_ids()[0].to_string();
    let states = |service: &Service| -> Result<Vec<Value>> {
        Ok(named(&service.messages()?, "VOICE_STATE_UPDATE")
            .iter()
            .map(|message| message["body"]["voice_state_update"].clone())
            .collect())
    };
    for (id, channel, count) in [
        ("join", json!("81384788765712384"), 1),
        ("leave", Value::Null, 2),
    ] {
        let mut body = json!({"guild_id": guild, "self_deaf": true});
        if !channel.is_null() {
            body["channel_id"] = channel.clone();
        }
        let answer = call(&mut service, "UpdateVoiceState", id, &body).await?;
        ensure!(
            answer["type"] == "gateway.v1.UpdateVoiceStateResponse",
            "{answer}"
        );
        service
            .until("the voice state", || Ok(states(&service)?.len() == count))
            .await?;
        let state = states(&service)?[count - 1].clone();
        ensure!(state["channel_id"] == channel, "{state}");
    }
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_payloads_go_in_a_minute_than_discord_takes() -> Result<()> {
    let stage = Stage::small().await?;
    let mut service = stage.start_ready().await?;
    let guild = stage.sim.guild_ids()[0].to_string();
    let payload = json!({"op": 31, "d": {"guild_ids": [guild]}});
    let body = json!({"guild_id": guild, "payload": payload.to_string()});
    let mut sent = 0;
    let refused = loop {
        let answer = ask(&mut service, &format!("payload-{sent}"), &body).await?;
        if answer["type"] != "gateway.v1.SendResponse" {
            break answer;
        }
        sent += 1;
        ensure!(sent < 120, "more than Discord takes were sent");
    };
    ensure!(sent >= 100, "only {sent} were sent");
    let code = &refused["body"]["code"];
    ensure!(code == "CODE_DEADLINE_EXCEEDED", "{refused}");
    service.terminate()?;
    stage.rules_kept()
}
