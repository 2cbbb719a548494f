//! Lists, deletions, interactions and files by address, over RabbitMQ with the client for Rust.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use discord_gateway_client::{CallError, Requests};
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicConsumeOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use prost::Message as _;
use serde_json::Value;
use sim::{Limit, RestConfig};
use tests::{rabbitmq::Rabbit, service::Service};
use tokio::time::{self, Instant};
use wire::{
    discord::v1::InteractionCallbackParams,
    gateway::v1::{
        CallRequest, CallResponse, Code, DeleteMessagesRequest, DeleteMessagesResponse, Error,
        File, InteractionResponse, InteractionsRespondRequest, InteractionsRespondResponse,
        ListMembersRequest, ListMembersResponse,
    },
};

use super::stage::{PATIENCE, Stage, Worker};

/// A Discord without limits but these.
fn limited(limits: Vec<Limit>) -> RestConfig {
    RestConfig {
        global_limit: 0,
        default_limit: 0,
        limits,
        ..RestConfig::default()
    }
}

fn refusal<T>(done: Result<T, CallError>) -> Result<Error> {
    match done {
        Err(CallError::Failed(error)) => Ok(*error),
        Err(error) => Err(error.into()),
        Ok(_) => anyhow::bail!("it should have failed"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_pages_and_messages_go_in_lots() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::over(rabbit, "api-lists", limited(Vec::new())).await?;
    let service = stage.start().await?;
    let requests = Requests::start(rabbit.url(), "api-lists")?;
    let call = || requests.to(stage.application_id).timeout(PATIENCE);
    let asked = ListMembersRequest {
        guild_id: stage.sim.guild_ids()[0],
        page_size: 15,
        ..ListMembersRequest::default()
    };
    let mut pages = call().stream(&asked).await?;
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        let page: ListMembersResponse = page?;
        sizes.push(page.members.len());
    }
    ensure!(sizes == [15, 15, 10], "{sizes:?}");
    let nobody = ListMembersRequest {
        guild_id: 9,
        ..asked
    };
    let mut pages = call().stream::<_, ListMembersResponse>(&nobody).await?;
    let error = refusal(pages.next().await.context("an answer")?)?;
    ensure!(error.code() == Code::NotFound, "{error:?}");

    let now: u64 = stage.sim.guild_ids()[0] | 1 << 62;
    let message_ids: Vec<u64> = (0..150).map(|place| now + place).collect();
    for id in &message_ids {
        stage.sim.put_message(stage.channel, *id);
    }
    let asked = DeleteMessagesRequest {
        channel_id: stage.channel,
        message_ids,
        ..DeleteMessagesRequest::default()
    };
    let done: DeleteMessagesResponse = call().call(&asked).await?;
    ensure!(
        done.deleted_ids.len() == 150 && done.failures.is_empty(),
        "{done:?}"
    );
    ensure!(stage.sim.message_ids(stage.channel).is_empty());
    requests.close().await;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_page_has_the_callers_whole_patience() -> Result<()> {
    let rabbit = Rabbit::shared();
    let patience = Duration::from_secs(5);
    let slow = Limit {
        path: "guilds/*/members".to_owned(),
        limit: 1,
        window_ms: 2000,
        ..Limit::default()
    };
    let stage = Stage::over(rabbit, "api-patience", limited(vec![slow])).await?;
    let service = stage.start().await?;
    let requests = Requests::start(rabbit.url(), "api-patience")?;
    let asked = ListMembersRequest {
        guild_id: stage.sim.guild_ids()[0],
        page_size: 10,
        ..ListMembersRequest::default()
    };
    let began = Instant::now();
    let call = requests.to(stage.application_id).timeout(patience);
    let mut pages = call.stream::<_, ListMembersResponse>(&asked).await?;
    let mut members = 0;
    while let Some(page) = pages.next().await {
        members += page?.members.len();
    }
    ensure!(members == 40, "{members}");
    ensure!(began.elapsed() > patience, "all came too soon to tell");
    requests.close().await;
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_listed_for_a_worker_who_is_gone() -> Result<()> {
    let rabbit = Rabbit::shared();
    let slowly = Limit {
        path: "guilds/*/members".to_owned(),
        limit: 1,
        window_ms: 100,
        ..Limit::default()
    };
    let stage = Stage::over(rabbit, "api-gone", limited(vec![slowly])).await?;
    let service = stage.start().await?;
    let mut worker = Worker::connect(rabbit, "api-gone", &stage).await?;
    let connection = Connection::connect(&rabbit.url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let (options, table) = (QueueDeclareOptions::default(), FieldTable::default());
    channel
        .queue_declare("leaves".into(), options, table.clone())
        .await?;
    let options = BasicConsumeOptions::default();
    let mut pages = channel
        .basic_consume("leaves".into(), "".into(), options, table)
        .await?;
    let asked = ListMembersRequest {
        guild_id: stage.sim.guild_ids()[0],
        page_size: 1,
        ..ListMembersRequest::default()
    };
    let properties = BasicProperties::default().with_reply_to("leaves".into());
    let body = asked.encode_to_vec();
    worker
        .send_with("api.ListMembers", "gone", &body, properties)
        .await?;
    pages.next().await.context("the first page")??;
    channel
        .queue_delete("leaves".into(), QueueDeleteOptions::default())
        .await?;
    unclaimed(&service).await?;
    // What comes behind it is answered, and the list has not gone on.
    worker.call(&stage.get()).await?;
    let asked = stage.sim.requests().into_iter();
    let asked = asked.filter(|it| it.path.ends_with("/members")).count();
    ensure!(asked < 40, "{asked} pages were read for nobody");
    worker.close().await?;
    service.terminate()?;
    stage.rules_kept()
}

/// Waits until a reply has found nobody.
async fn unclaimed(service: &Service) -> Result<()> {
    let url = format!("{}/metrics", service.admin().await?);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = reqwest::get(&url).await?.text().await?;
        let mut lines = metrics.lines();
        let name = "gateway_broker_replies_unclaimed_total ";
        if lines.any(|line| line.strip_prefix(name).is_some_and(|count| count != "0")) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{metrics}");
        time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interactions_are_answered_once() -> Result<()> {
    let rabbit = Rabbit::shared();
    let stage = Stage::over(rabbit, "api-interactions", limited(Vec::new())).await?;
    let service = stage.start().await?;
    let requests = Requests::start(rabbit.url(), "api-interactions")?;
    let call = || requests.to(stage.application_id).timeout(PATIENCE);
    let respond = InteractionsRespondRequest {
        interaction_id: 5,
        token: "very-secret".to_owned(),
        response: Some(InteractionResponse {
            callback: Some(InteractionCallbackParams {
                r#type: Some(5),
                ..InteractionCallbackParams::default()
            }),
            ..InteractionResponse::default()
        }),
        with_response: false,
    };
    let done: InteractionsRespondResponse = call().call(&respond).await?;
    ensure!(done.callback.is_none(), "{done:?}");
    let again = call()
        .call::<_, InteractionsRespondResponse>(&respond)
        .await;
    let error = refusal(again)?;
    ensure!(error.code() == Code::AlreadyExists, "{error:?}");
    ensure!(!format!("{error:?}").contains("very-secret"));
    requests.close().await;
    let ended = service.terminate()?;
    ensure!(!ended.log.contains("very-secret"), "{}", ended.log);
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_read_from_its_address_if_the_operator_allows_it() -> Result<()> {
    let rabbit = Rabbit::shared();
    let mut stage = Stage::over(rabbit, "api-files", limited(Vec::new())).await?;
    let with = |nonce: &str, file: File| CallRequest {
        files: vec![file],
        ..stage.post(nonce)
    };
    let text = File {
        filename: "a.txt".to_owned(),
        data: b"content".to_vec(),
        ..File::default()
    };
    let inline = with("inline", text);
    let fetched = |url: &Value| {
        let url = url.as_str().unwrap_or_default().to_owned();
        let file = File {
            url,
            ..File::default()
        };
        with("by url", file)
    };
    let (first, by_url) = {
        let service = stage.start().await?;
        let requests = Requests::start(rabbit.url(), "api-files")?;
        let call = || requests.to(stage.application_id).timeout(PATIENCE);
        let answer: CallResponse = call().call(&inline).await?;
        let message: Value = serde_json::from_slice(&answer.body)?;
        let by_url = fetched(&message["attachments"][0]["url"]);
        // It is on this machine.
        let error = refusal(call().call::<_, CallResponse>(&by_url).await)?;
        ensure!(error.code() == Code::InvalidArgument, "{error:?}");
        ensure!(error.message.starts_with("`files[0].url`"), "{error:?}");
        requests.close().await;
        service.terminate()?;
        (message, by_url)
    };
    stage.set("API_FILE_URLS", "any");
    let service = stage.start().await?;
    let requests = Requests::start(rabbit.url(), "api-files")?;
    let call = requests.to(stage.application_id).timeout(PATIENCE);
    let answer: CallResponse = call.call(&by_url).await?;
    let message: Value = serde_json::from_slice(&answer.body)?;
    for member in ["filename", "size"] {
        let same = message["attachments"][0][member] == first["attachments"][0][member];
        ensure!(same, "{message}");
    }
    requests.close().await;
    service.terminate()?;
    stage.rules_kept()
}
