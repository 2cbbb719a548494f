//! Requests of a worker that knows no token: as they are, and typed.

use anyhow::{Context as _, Result, ensure};
use lapin::{BasicProperties, types::ShortString};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use sim::RestConfig;
use tests::{rabbitmq::Rabbit, redis::Redis};
use tokio::time::{Duration, Instant, sleep};
use wire::gateway::v1::{
    CallRequest, Code, File, Form, FormField, QueryParameter, call_request::Body,
};

use super::stage::{PATIENCE, Reply, Stage, Worker};

/// A typed request from its JSON.
fn request(operation: &str, json: &Value) -> Result<Vec<u8>> {
    let service = wire::rest::service();
    let mut methods = service.methods();
    let method = methods
        .find(|it| it.name() == operation)
        .context("it is there")?;
    Ok(DynamicMessage::deserialize(method.input(), json)?.encode_to_vec())
}

/// A typed response as JSON.
fn response(reply: &Reply) -> Result<Value> {
    let message = wire::rest::descriptors().get_message_by_name(&reply.kind);
    let message = message.with_context(|| format!("{:?}", reply.error()))?;
    let message = DynamicMessage::decode(message, reply.body.as_slice())?;
    let options = prost_reflect::SerializeOptions::new().use_proto_field_name(true);
    Ok(message.serialize_with_options(serde_json::value::Serializer, &options)?)
}

/// A request that the simulator has no route for: it answers what arrived.
fn echo(file: File) -> CallRequest {
    CallRequest {
        method: "PATCH".to_owned(),
        path: "/stickers/heard%20of".to_owned(),
        query: vec![QueryParameter {
            name: "a b".to_owned(),
            value: "1&2=ü".to_owned(),
        }],
        audit_log_reason: "späm\n100%".to_owned(),
        headers: [("X-Discord-Locale".to_owned(), "de".to_owned())].into(),
        body: Some(Body::Form(Form {
            fields: vec![FormField {
                name: "name".to_owned(),
                value: "s".to_owned(),
            }],
            file_parts: vec!["file".to_owned()],
        })),
        files: vec![file],
        ..CallRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_token_calls_discord() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::over(rabbit, "api-raw", RestConfig::default()).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, "api-raw", &stage).await?;

    let file = |name: &str| File {
        filename: name.to_owned(),
        content_type: "image/png".to_owned(),
        data: b"\r\n--not an end\r\n".to_vec(),
        ..File::default()
    };
    let mut with_files = stage.post("n1");
    with_files.files = vec![file("a.png"), file("b\"\r\n.png")];
    let answer = worker.call(&with_files).await?;
    ensure!(answer.status == 200, "{answer:?}");
    let message: Value = serde_json::from_slice(&answer.body)?;
    ensure!(message["content"] == "x", "{message}");
    ensure!(
        message["attachments"][0]["filename"] == "a.png",
        "{message}"
    );
    ensure!(message["attachments"][0]["size"] == 16, "{message}");
    ensure!(
        message["attachments"][1]["filename"].as_str().is_some(),
        "{message}"
    );
    ensure!(
        answer.headers.contains_key("x-ratelimit-bucket"),
        "{answer:?}"
    );

    let answer = worker.call(&echo(file("c.png"))).await?;
    let came: Value = serde_json::from_slice(&answer.body)?;
    ensure!(
        came["method"] == "PATCH" && came["query"] == json!([["a b", "1&2=ü"]]),
        "{came}"
    );
    ensure!(came["reason"] == "sp%C3%A4m%0A100%25", "{came}");
    ensure!(came["files"][0]["name"] == "file", "{came}");
    ensure!(came["files"][0]["content_type"] == "image/png", "{came}");

    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_operations_create_edit_list_and_delete() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::over(rabbit, "api-typed", RestConfig::default()).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, "api-typed", &stage).await?;
    let channel = stage.channel.to_string();

    let create = json!({
        "channel_id": channel,
        "message": {"content": "hello", "nonce": "n7", "enforce_nonce": true},
        "files": [{"filename": "a.txt", "data": "aGVsbG8="}],
    });
    let reply = worker
        .ask("rest.CreateMessage", &request("CreateMessage", &create)?)
        .await?;
    let created = response(&reply)?;
    ensure!(created["message"]["content"] == "hello", "{created}");
    ensure!(
        created["message"]["attachments"][0]["size"] == "5",
        "{created}"
    );
    let id = created["message"]["id"].clone();

    let edit = json!({"channel_id": channel, "message_id": id, "message": {"content": "bye"}});
    let reply = worker
        .ask("rest.UpdateMessage", &request("UpdateMessage", &edit)?)
        .await?;
    ensure!(response(&reply)?["message"]["content"] == "bye");

    let list = json!({"channel_id": channel, "limit": 10});
    let reply = worker
        .ask("rest.ListMessages", &request("ListMessages", &list)?)
        .await?;
    let listed = response(&reply)?;
    ensure!(listed["messages"][0]["id"] == id, "{listed}");

    let delete = request(
        "DeleteMessage",
        &json!({"channel_id": channel, "message_id": id}),
    )?;
    let reply = worker.ask("rest.DeleteMessage", &delete).await?;
    ensure!(response(&reply)? == json!({}));
    let error = worker.ask("rest.DeleteMessage", &delete).await?.error()?;
    let discord = error.discord.clone().context("Discord's own words")?;
    ensure!((error.code(), discord.status, discord.code) == (Code::NotFound, 404, 10_008));

    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn discords_errors_keep_their_structure() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::over(rabbit, "api-errors", RestConfig::default()).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, "api-errors", &stage).await?;
    let long = json!({"content": "x".repeat(2001)});
    let raw = stage.post_json(&long).encode_to_vec();
    let typed = json!({"channel_id": stage.channel.to_string(), "message": long});
    let typed = request("CreateMessage", &typed)?;
    for (method, body) in [("api.Call", raw), ("rest.CreateMessage", typed)] {
        let error = worker.ask(method, &body).await?.error()?;
        let discord = error.discord.clone().context("Discord's own words")?;
        ensure!(error.code() == Code::InvalidArgument, "{error:?}");
        ensure!(
            (discord.status, discord.code) == (400, 50_035),
            "{discord:?}"
        );
        let tree: Value = serde_json::from_str(&discord.body)?;
        ensure!(
            tree["errors"]["content"]["_errors"][0]["code"].is_string(),
            "{tree}"
        );
    }
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_nobody_is_there_to_take_is_counted() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::over(rabbit, "api-nobody", RestConfig::default()).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, "api-nobody", &stage).await?;
    let gone = BasicProperties::default().with_reply_to(ShortString::from("a queue that is gone"));
    let body = stage.get().encode_to_vec();
    worker.send_with("api.Call", "lost", &body, gone).await?;
    let metrics = format!("{}/metrics", service.admin().await?);
    let is_counted = |text: &str| text.contains("gateway_broker_replies_unclaimed_total 1");
    let deadline = Instant::now() + PATIENCE;
    while !is_counted(&reqwest::get(&metrics).await?.text().await?) {
        ensure!(Instant::now() < deadline, "{}", service.log());
        sleep(Duration::from_millis(10)).await;
    }
    ensure!(worker.call(&stage.get()).await?.status == 200);
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_shows_nowhere() -> Result<()> {
    let rabbit = Rabbit::shared();
    let redis = Redis::start()?;
    let mut stage = Stage::over(rabbit, "api-secrets", RestConfig::default()).await?;
    stage.set("REDIS_URL", &redis.url());
    stage.set("LOG", "trace,lapin=off");
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, "api-secrets", &stage).await?;
    let mut said = String::new();
    stage.sim.change_faults(|faults| {
        faults.rest_status = Some(401);
        faults.rest_path = Some("/webhooks/5/".to_owned());
    });
    let hook = CallRequest {
        method: "POST".to_owned(),
        path: "/webhooks/5/hook.token".to_owned(),
        body: Some(Body::Json("{}".to_owned())),
        ..CallRequest::default()
    };
    let bearer = CallRequest {
        bearer_token: "bearer.token".to_owned(),
        ..stage.get()
    };
    for request in [hook, bearer, stage.get()] {
        let reply = worker.ask("api.Call", &request.encode_to_vec()).await?;
        said += &format!("{} {}\n", reply.kind, String::from_utf8_lossy(&reply.body));
    }
    let admin = service.admin().await?;
    for page in ["metrics", "readyz"] {
        said += &reqwest::get(format!("{admin}/{page}"))
            .await?
            .text()
            .await?;
    }
    worker.close().await?;
    said += &service.terminate()?.log;
    let journal = redis.journal()?;
    // What is kept for the other replicas: also which token, webhook and route it is about.
    ensure!(journal.contains("window:"), "{journal}");
    said += &journal;
    for secret in ["sim.token", "hook.token", "bearer.token"] {
        ensure!(!said.contains(secret), "{secret} shows in:\n{said}");
    }
    Ok(())
}
