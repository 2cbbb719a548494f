//! Payloads that are not as they should be: counted, logged once, and nothing breaks.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sim::Dispatch;
use tests::service::Service;

use super::stage::{Stage, named};

/// Dispatches an event whatever the intents, and waits for it.
async fn dispatch(stage: &Stage, service: &Service, name: &str, data: &str) -> Result<Value> {
    let event = Dispatch {
        name: name.to_owned(),
        data: data.to_owned(),
        force: true,
        shard: Some(0),
        ..Dispatch::default()
    };
    stage.sim.dispatch(&event)?;
    let messages = stage.everything_written(service).await?;
    Ok((*named(&messages, name).last().context("the event")?).clone())
}

async fn metrics(service: &Service) -> Result<String> {
    let url = format!("{}/metrics", service.admin().await?);
    Ok(reqwest::get(url).await?.error_for_status()?.text().await?)
}

/// Whether a metric of the service has this at the end of its labels, and as its value if that is given.
fn shows(page: &str, name: &str, end: &str) -> bool {
    let mut lines = page.lines();
    lines.any(|line| line.starts_with(&format!("gateway_ws_{name}{{")) && line.contains(end))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_schema_does_not_know_travels_as_json() -> Result<()> {
    let stage = Stage::small().await?;
    let service = stage.start_ready().await?;
    let data = json!({"guild_id": "5", "channel_id": "6", "user_id": "7", "new": [null]});
    let message = dispatch(&stage, &service, "EVENT_OF_TOMORROW", &data.to_string()).await?;
    let body = &message["body"];
    ensure!(body["name"] == "EVENT_OF_TOMORROW");
    ensure!(serde_json::from_str::<Value>(body["json"].as_str().context("json")?)? == data);
    ensure!(body["guild_id"] == "5");
    ensure!(body["channel_id"] == "6");
    ensure!(body["user_id"] == "7");
    let key = message["routing_key"].as_str().context("a key")?;
    ensure!(key.ends_with(".EVENT_OF_TOMORROW.5.6"), "{key}");
    dispatch(&stage, &service, "EVENT_OF_TOMORROW", "{}").await?;
    let log = service.log();
    ensure!(log.matches("EVENT_OF_TOMORROW").count() == 1, "{log}");
    let text = metrics(&service).await?;
    ensure!(
        shows(&text, "events_total", r#"lane="unknown"} 2"#),
        "{text}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_that_make_no_sense_are_skipped_and_the_connection_stays() -> Result<()> {
    let stage = Stage::small().await?;
    let service = stage.start_ready().await?;
    for text in [
        "",
        "{",
        "null",
        "[]",
        "{}",
        r#"{"op":"eleven"}"#,
        r#"{"op":99,"d":null,"s":null,"t":null}"#,
        r#"{"op":99,"d":null,"s":null,"t":null}"#,
        r#"{"op":0,"d":{},"s":null,"t":"MESSAGE_CREATE"}"#,
        r#"{"op":0,"d":{},"s":7,"t":null}"#,
        r#"{"op":11,"d":null}"#,
    ] {
        stage.sim.raw(Some(0), text)?;
    }
    dispatch(
        &stage,
        &service,
        "TYPING_START",
        r#"{"user_id":"1","timestamp":2}"#,
    )
    .await?;
    ensure!(stage.sim.state().connections == 1, "{}", service.log());
    let text = metrics(&service).await?;
    ensure!(
        shows(&text, "odd_payloads_total", r#"kind="opcode"} 2"#),
        "{text}"
    );
    ensure!(
        shows(&text, "odd_payloads_total", r#"kind="malformed"}"#),
        "{text}"
    );
    let log = service.log();
    ensure!(log.matches("opcode").count() == 1, "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_payload_is_broken_travels_as_it_came() -> Result<()> {
    let stage = Stage::small().await?;
    let service = stage.start_ready().await?;
    let next = stage.dispatched().len() + 1;
    let frame = format!(r#"{{"t":"TYPING_START","s":{next},"op":0,"d":{{"user_id":nonsense}}}}"#);
    stage.sim.raw(Some(0), frame)?;
    let arrived = || Ok(!named(&service.messages()?, "TYPING_START").is_empty());
    service.until("the event", arrived).await?;
    let messages = service.messages()?;
    let body = &named(&messages, "TYPING_START")[0]["body"];
    ensure!(body["json"] == r#"{"user_id":nonsense}"#);
    ensure!(body.get("typing_start").is_none());
    ensure!(
        service.log().contains("cannot be read"),
        "{}",
        service.log()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_payload_is_an_event_like_any_other() -> Result<()> {
    let stage = Stage::small().await?;
    let service = stage.start_ready().await?;
    let content = "long ".repeat(2_000_000);
    let data = json!({"id": "1", "channel_id": "2", "content": content});
    let message = dispatch(&stage, &service, "MESSAGE_CREATE", &data.to_string()).await?;
    ensure!(message["body"]["message_create"]["content"] == content.as_str());
    ensure!(stage.sim.state().connections == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_do_not_fit_are_kept_beside_the_typed_fields() -> Result<()> {
    let stage = Stage::small().await?;
    let service = stage.start_ready().await?;
    let data = r#"{"id":12,"channel_id":"2","content":["no text"],"tts":true}"#;
    let message = dispatch(&stage, &service, "MESSAGE_CREATE", data).await?;
    let typed = &message["body"]["message_create"];
    ensure!(typed["tts"] == true);
    ensure!(typed["id"] == "12", "a number is an id all the same");
    let kept: Value = serde_json::from_str(typed["unknown_json"].as_str().context("unknown")?)?;
    ensure!(kept == json!({"id": 12, "content": ["no text"]}));
    Ok(())
}
