//! A simulated Discord with a webhook, and a `gateway-webhook` that knows no token.

use anyhow::{Context as _, Result};
use prost::Message as _;
use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::{Value, json};
use sim::RestConfig;
use tests::{rabbitmq::Rabbit, service::gateway_webhook};

use crate::api::stage::{Reply, Stage, Worker};

/// A webhook that exists, with the simulator's token.
pub(super) const HOOK: u64 = 55;

/// A Discord with the webhook, and without limits.
pub(super) fn free() -> RestConfig {
    RestConfig {
        global_limit: 0,
        default_limit: 0,
        limits: Vec::new(),
        ..hooked()
    }
}

/// A Discord with the webhook.
pub(super) fn hooked() -> RestConfig {
    RestConfig {
        webhooks: vec![HOOK],
        ..RestConfig::default()
    }
}

/// A stage on which requests come by stdin.
pub(super) async fn stage(rest: RestConfig) -> Result<Stage> {
    Ok(without_token(Stage::new(rest).await?))
}

/// A stage on which requests come by RabbitMQ.
pub(super) async fn over(rabbit: &Rabbit, prefix: &str, rest: RestConfig) -> Result<Stage> {
    Ok(without_token(Stage::over(rabbit, prefix, rest).await?))
}

fn without_token(mut stage: Stage) -> Stage {
    stage.program = gateway_webhook;
    stage.unset("DISCORD_TOKEN");
    let id = stage.application_id.to_string();
    stage.set("DISCORD_APPLICATION_ID", &id);
    stage
}

/// The webhook.
pub(super) fn hook() -> Value {
    json!({"id": HOOK.to_string(), "token": "token"})
}

/// A message to be waited for, with a nonce by which the simulator shows it.
pub(super) fn message(nonce: &str) -> Value {
    json!({"webhook": hook(), "wait": true, "message": {"content": "x", "nonce": nonce}})
}

/// The request message of a method.
pub(super) fn encoded(method: &str, asked: &Value) -> Result<Vec<u8>> {
    let name = format!("gateway.v1.Webhook{method}Request");
    let message = wire::rest::descriptors().get_message_by_name(&name);
    let message = message.context("it is there")?;
    Ok(DynamicMessage::deserialize(message, asked)?.encode_to_vec())
}

/// Publishes a request, to be answered under this id.
pub(super) async fn send(worker: &Worker, method: &str, id: &str, asked: &Value) -> Result<()> {
    let body = encoded(method, asked)?;
    worker.send(&format!("webhook.{method}"), id, &body).await
}

/// Asks for a method, and waits for the answer.
pub(super) async fn ask(worker: &mut Worker, method: &str, asked: &Value) -> Result<Reply> {
    send(worker, method, "one", asked).await?;
    worker.reply().await
}

/// The same; it succeeds.
pub(super) async fn done(worker: &mut Worker, method: &str, asked: &Value) -> Result<Value> {
    let reply = ask(worker, method, asked).await?;
    let expected = format!("gateway.v1.Webhook{method}Response");
    anyhow::ensure!(reply.kind == expected, "{:?}", reply.error());
    let message = wire::rest::descriptors().get_message_by_name(&expected);
    let message = message.context("it is there")?;
    let message = DynamicMessage::decode(message, reply.body.as_slice())?;
    let options = SerializeOptions::new().use_proto_field_name(true);
    Ok(message.serialize_with_options(serde_json::value::Serializer, &options)?)
}
