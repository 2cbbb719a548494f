//! Requests of workers, here by stdin: sent to Discord, or refused with a reason.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sim::Times;
use tests::service::Service;

use super::stage::{Stage, named};

/// Writes a request to the service's stdin, and waits for the answer.
async fn ask(service: &mut Service, id: &str, body: &Value) -> Result<Value> {
    let request = json!({
        "type": "gateway.v1.Ws/Send",
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
