//! Every operation of the contract, through the service to Discord and back.

use anyhow::{Result, ensure};
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value as Field};
use serde_json::{Value, json};
use sim::RestConfig;

use super::stage::{Stage, tell};

/// The least that an operation can do with: its path, a body that is no message of its own, and a file.
fn least(input: &MessageDescriptor, path: &str, number: u64) -> Result<Value> {
    let mut message = DynamicMessage::new(input.clone());
    for field in input.fields() {
        let in_path = path.contains(&format!("{{{}}}", field.name()));
        match field.kind() {
            // Each has its own, so that what is gone for one is not gone for the next.
            Kind::Fixed64 if in_path && field.name() != "application_id" => {
                message.set_field(&field, Field::U64(1_000_000 + number));
            }
            Kind::Uint32 if in_path => message.set_field(&field, Field::U32(1)),
            Kind::Int32 if in_path => message.set_field(&field, Field::I32(1)),
            Kind::String if in_path => {
                message.set_field(&field, Field::String(format!("text{number}")));
            }
            Kind::Message(file) if file.full_name() == "discord.v1.FileUpload" => {
                let mut upload = DynamicMessage::new(file);
                upload.set_field_by_name("filename", Field::String("a.png".to_owned()));
                let upload = Field::Message(upload);
                let value = match field.is_list() {
                    true => Field::List(vec![upload]),
                    false => upload,
                };
                message.set_field(&field, value);
            }
            Kind::Message(item) if field.is_list() => {
                let item = Field::Message(DynamicMessage::new(item));
                message.set_field(&field, Field::List(vec![item]));
            }
            _ => {}
        }
    }
    let mut message = serde_json::to_value(message)?;
    for field in input.fields() {
        // A body that may be anything, or have any members.
        if field.is_map() || field.name() == "body" {
            message[field.json_name()] = json!({"text": "x"});
        }
    }
    Ok(message)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_reaches_discord_and_is_answered() -> Result<()> {
    let rest = RestConfig {
        global_limit: 0,
        ..RestConfig::default()
    };
    let mut stage = Stage::new(rest).await?;
    stage.set("API_GLOBAL_LIMIT", "1000");
    let mut service = stage.start().await?;
    let operations = rest::Operations::new();
    let mut count = 0;
    for (number, method) in (0..).zip(wire::rest::service().methods()) {
        let Some(operation) = operations.find(method.name()) else {
            continue;
        };
        let before = stage.sim.state().rest.requests;
        let body = least(&method.input(), &operation.template(), number)?;
        let name = format!("discord.v1.Rest/{}", method.name());
        let answer = tell(&mut service, &name, method.name(), &body).await?;
        let is_answer = answer["type"] == operation.response_name();
        let is_discords = answer["body"]["discord"]["status"].is_u64();
        ensure!(is_answer || is_discords, "{name}: {body}: {answer}");
        ensure!(
            stage.sim.state().rest.requests == before + 1,
            "{name}: {answer}"
        );
        let came = stage.sim.requests().pop();
        let came = came.map(|it| it.method).unwrap_or_default();
        ensure!(came == operation.method(), "{name} came as {came}");
        count += 1;
    }
    ensure!(count == 242, "there are {count} operations");
    let metrics = reqwest::get(format!("{}/metrics", service.admin().await?)).await?;
    let metrics = metrics.text().await?;
    let counted = metrics
        .lines()
        .filter(|line| line.starts_with("gateway_api_requests_total{"));
    ensure!(counted.clone().count() == 242, "{}", counted.count());
    ensure!(!metrics.contains("operation=\"other\""));
    service.terminate()?;
    Ok(())
}
