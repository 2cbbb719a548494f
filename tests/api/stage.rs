//! A simulated Discord, a `gateway-api` or another service beside it, and a worker with a login to RabbitMQ and nothing else.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    options::{BasicConsumeOptions, BasicPublishOptions},
    types::FieldTable,
};
use prost::Message as _;
use serde_json::{Value, json};
use sim::{Config, RestConfig, Sim};
use tests::{
    rabbitmq::Rabbit,
    service::{Service, gateway_api},
};
use tokio::time::{self, Instant};
use wire::gateway::v1::{CallRequest, CallResponse, Error, call_request::Body};

/// How long something may take that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";

/// A simulated Discord, and how to start a service beside it.
pub(crate) struct Stage {
    /// The service's program.
    pub(crate) program: fn() -> Result<&'static Path>,
    pub(crate) sim: Sim,
    pub(crate) application_id: u64,
    /// A channel that exists.
    pub(crate) channel: u64,
    variables: BTreeMap<String, String>,
}

/// What a worker was answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) body: Vec<u8>,
}

/// A worker.
pub(crate) struct Worker {
    connection: Connection,
    channel: Channel,
    replies: Consumer,
    exchange: String,
    application_id: u64,
}

impl Stage {
    /// A stage on which requests come by stdin.
    pub(crate) async fn new(rest: RestConfig) -> Result<Self> {
        tests::crypto();
        let config = Config {
            rest,
            guilds: 3,
            ..Config::default()
        };
        let sim = Sim::start(config).await?;
        let mut stage = Self {
            program: gateway_api,
            application_id: sim.settings().application_id,
            channel: sim.channel_ids(sim.guild_ids()[0])[0],
            variables: BTreeMap::new(),
            sim,
        };
        stage.set("DISCORD_TOKEN", "sim.token");
        stage.set("DISCORD_API_URL", &stage.sim.api_url());
        stage.set("BROKER_TYPE", "stdio");
        stage.set("ADMIN_ADDRESS", "127.0.0.1:0");
        stage.set("NO_COLOR", "1");
        Ok(stage)
    }

    /// A stage on which requests come by RabbitMQ.
    pub(crate) async fn over(rabbit: &Rabbit, prefix: &str, rest: RestConfig) -> Result<Self> {
        let mut stage = Self::new(rest).await?;
        stage.set("BROKER_TYPE", "amqp");
        stage.set("AMQP_URL", &rabbit.url());
        stage.set("AMQP_PREFIX", prefix);
        Ok(stage)
    }

    /// Sets a variable of the services that are started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Leaves a variable out of the services that are started from now on.
    pub(crate) fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// Starts a service with these arguments.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Result<Service> {
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| (name.as_str(), value.as_str()));
        Service::start((self.program)()?, &variables.collect::<Vec<_>>(), arguments)
    }

    /// Starts a service, and waits until it takes requests.
    pub(crate) async fn start(&self) -> Result<Service> {
        let service = self.spawn(&[])?;
        let url = format!("{}/readyz", service.admin().await?);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = reqwest::get(&url).await?;
            if answer.status().is_success() {
                return Ok(service);
            }
            let text = answer.text().await?;
            ensure!(Instant::now() < deadline, "{text}\n{}", service.log());
            time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A request to create a message, with a nonce by which the simulator shows it.
    pub(crate) fn post(&self, nonce: &str) -> CallRequest {
        let body = json!({"content": "x", "nonce": nonce});
        self.post_json(&body)
    }

    /// A request to create a message.
    pub(crate) fn post_json(&self, body: &Value) -> CallRequest {
        CallRequest {
            method: "POST".to_owned(),
            path: format!("/channels/{}/messages", self.channel),
            body: Some(Body::Json(body.to_string())),
            ..CallRequest::default()
        }
    }

    /// A request to read the channel.
    pub(crate) fn get(&self) -> CallRequest {
        CallRequest {
            method: "GET".to_owned(),
            path: format!("/channels/{}", self.channel),
            ..CallRequest::default()
        }
    }

    /// How often the simulator has carried out what has this nonce.
    pub(crate) fn carried_out(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.sim.requests() {
            if let (Some(nonce), 200 | 204) = (request.nonce, request.status) {
                *counts.entry(nonce).or_default() += 1;
            }
        }
        counts
    }

    /// Fails when the client broke one of Discord's rules.
    pub(crate) fn rules_kept(&self) -> Result<()> {
        let violations = self.sim.violations();
        ensure!(violations.is_empty(), "{violations:#?}");
        Ok(())
    }
}

impl Worker {
    pub(crate) async fn connect(rabbit: &Rabbit, prefix: &str, stage: &Stage) -> Result<Self> {
        Self::of(rabbit, prefix, stage.application_id).await
    }

    /// A worker of the application with this id.
    pub(crate) async fn of(rabbit: &Rabbit, prefix: &str, application_id: u64) -> Result<Self> {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&rabbit.url(), properties).await?;
        let channel = connection.create_channel().await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..Default::default()
        };
        let arguments = FieldTable::default();
        let replies = channel
            .basic_consume(DIRECT_REPLY.into(), "".into(), options, arguments)
            .await?;
        Ok(Self {
            connection,
            channel,
            replies,
            exchange: format!("{prefix}.requests"),
            application_id,
        })
    }

    /// Publishes a request for a method such as `api.Call`, to be answered under this id.
    pub(crate) async fn send(&self, method: &str, id: &str, body: &[u8]) -> Result<()> {
        let properties = BasicProperties::default().with_expiration("60000".into());
        self.send_with(method, id, body, properties).await
    }

    /// The same with properties of the test's own.
    pub(crate) async fn send_with(
        &self,
        method: &str,
        id: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<()> {
        let (service, name) = method.split_once('.').context("service and method")?;
        let full_name = match service {
            "rest" => format!("discord.v1.Rest/{name}"),
            "voice" => format!("gateway.v1.Voice/{name}"),
            "webhook" => format!("gateway.v1.Webhook/{name}"),
            _ => format!("gateway.v1.Api/{name}"),
        };
        let mut properties = properties
            .with_type(full_name.into())
            .with_delivery_mode(2)
            .with_correlation_id(id.into());
        if properties.app_id().is_none() {
            properties = properties.with_app_id("worker".into());
        }
        if properties.reply_to().is_none() {
            properties = properties.with_reply_to(DIRECT_REPLY.into());
        }
        let key = format!("{method}.{}", self.application_id);
        let options = BasicPublishOptions::default();
        self.channel
            .basic_publish(
                self.exchange.as_str().into(),
                key.into(),
                options,
                body,
                properties,
            )
            .await?
            .await?;
        Ok(())
    }

    /// The next reply to whatever was asked.
    pub(crate) async fn reply(&mut self) -> Result<Reply> {
        let reply = time::timeout(PATIENCE, self.replies.next())
            .await
            .context("no reply came")?;
        let reply = reply.context("no more replies")??;
        let text = |it: &Option<lapin::types::ShortString>| {
            it.as_ref().map(ToString::to_string).unwrap_or_default()
        };
        Ok(Reply {
            id: text(reply.properties.correlation_id()),
            kind: text(reply.properties.kind()),
            body: reply.data,
        })
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&mut self, method: &str, body: &[u8]) -> Result<Reply> {
        self.send(method, "one", body).await?;
        self.reply().await
    }

    /// `api.Call`, which succeeds.
    pub(crate) async fn call(&mut self, request: &CallRequest) -> Result<CallResponse> {
        self.ask("api.Call", &request.encode_to_vec())
            .await?
            .response()
    }

    pub(crate) async fn close(self) -> Result<()> {
        Ok(self.connection.close(200, "done".into()).await?)
    }
}

impl Reply {
    /// The response, which is this message.
    pub(crate) fn read<M: prost::Message + prost::Name + Default>(&self) -> Result<M> {
        if self.kind != M::full_name() {
            return Err(anyhow::anyhow!("{:?}", self.error()));
        }
        Ok(M::decode(self.body.as_slice())?)
    }

    /// The response to `api.Call`.
    pub(crate) fn response(&self) -> Result<CallResponse> {
        self.read()
    }

    /// Why it failed.
    pub(crate) fn error(&self) -> Result<Error> {
        ensure!(self.kind == "gateway.v1.Error", "{self:?}");
        Ok(Error::decode(self.body.as_slice())?)
    }
}

/// Writes a request to a service's stdin, and waits for the answer.
pub(crate) async fn tell(
    service: &mut Service,
    method: &str,
    id: &str,
    body: &Value,
) -> Result<Value> {
    let request = json!({"type": method, "reply_to": "me", "correlation_id": id, "body": body});
    service.tell(&request.to_string())?;
    let answer = || -> Result<Option<Value>> {
        let mut messages = service.messages()?.into_iter();
        Ok(messages.find(|message| message["correlation_id"] == id))
    };
    service
        .until("an answer", || Ok(answer()?.is_some()))
        .await?;
    answer()?.context("it was there")
}

/// Whether a metric has this value.
pub(crate) fn has(text: &str, metric: &str, value: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.any(|line| line.contains(metric) && line.ends_with(&format!(" {value}")))
}

/// Waits until the administrator is told so.
pub(crate) async fn until(
    service: &Service,
    path: &str,
    told: impl Fn(&str) -> bool,
) -> Result<()> {
    let url = format!("{}{path}", service.admin().await?);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = reqwest::get(&url).await?.text().await?;
        if told(&text) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{text}\n{}", service.log());
        time::sleep(Duration::from_millis(20)).await;
    }
}
