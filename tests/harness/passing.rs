//! The services do all their work with the rights of their users, and workers with theirs: events, requests, interactions, webhooks, a call.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Connection, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, QueueBindOptions},
    types::FieldTable,
};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use sim::{Config, Dispatch, InteractionKind, WebhookEvent};
use sim_voice::State;
use tokio::{task::spawn_blocking, time};
use wire::{
    discord::v1::{InteractionCallbackDataParams, InteractionCallbackParams},
    gateway::v1::{
        Event, InteractionResponse, UpdateVoiceStateRequest, VoiceJoinRequest, VoicePlayRequest,
    },
};

use crate::{
    deployment::{Deployment, PREFIX},
    interactions::stage::{HOOK, Stage, content, ready},
    redis::Redis,
    service::Service,
    sound::tone,
};

const PATIENCE: Duration = Duration::from_secs(60);
const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";

/// A worker with its own user, and a queue of the same name that the operator has declared.
struct Worker {
    user: &'static str,
    connection: Connection,
    channel: Channel,
    events: Consumer,
    replies: Consumer,
}

impl Worker {
    async fn start(deployment: &Deployment, user: &'static str, keys: &[&str]) -> Result<Self> {
        let (connection, channel) = deployment.open(user).await?;
        for key in keys {
            let (exchange, options) = (format!("{PREFIX}.events"), QueueBindOptions::default());
            let (exchange, key) = (exchange.as_str().into(), (*key).into());
            let binding =
                channel.queue_bind(user.into(), exchange, key, options, FieldTable::default());
            binding.await.with_context(|| format!("{user} binds"))?;
        }
        let replies = BasicConsumeOptions {
            no_ack: true,
            ..Default::default()
        };
        let consume = async |queue: &str, options| {
            let none = FieldTable::default();
            channel
                .basic_consume(queue.into(), "".into(), options, none)
                .await
        };
        Ok(Self {
            user,
            replies: consume(DIRECT_REPLY, replies).await?,
            events: consume(user, BasicConsumeOptions::default()).await?,
            connection,
            channel,
        })
    }

    /// The next event with this name.
    async fn event(&mut self, name: &str) -> Result<(Event, Delivery)> {
        loop {
            let next = time::timeout(PATIENCE, self.events.next()).await;
            let next = next.with_context(|| format!("{} waits in vain for {name}", self.user))?;
            let delivery = next.context("the end of the events")??;
            delivery.acker.ack(BasicAckOptions::default()).await?;
            let event = Event::decode(delivery.data.as_slice())?;
            if event.name == name {
                return Ok((event, delivery));
            }
        }
    }

    /// Sends a request, such as `rest.CreateMessage`, and waits for the type of its answer.
    async fn ask(&mut self, key: &str, method: &str, body: Vec<u8>) -> Result<String> {
        let properties = BasicProperties::default()
            .with_type(method.into())
            .with_reply_to(DIRECT_REPLY.into())
            .with_correlation_id(key.into())
            .with_expiration("30000".into());
        let (exchange, options) = (format!("{PREFIX}.requests"), BasicPublishOptions::default());
        let (exchange, key) = (exchange.as_str().into(), key.into());
        self.channel
            .basic_publish(exchange, key, options, &body, properties)
            .await?;
        let reply = time::timeout(PATIENCE, self.replies.next()).await;
        let reply = reply.with_context(|| format!("no answer to {method}"))?;
        let reply = reply.context("the end of the answers")??;
        let kind = reply.properties.kind().as_ref().context("a type")?;
        let text = String::from_utf8_lossy(&reply.data).into_owned();
        ensure!(kind.as_str() != "gateway.v1.Error", "{method}: {text}");
        Ok(kind.to_string())
    }

    /// Answers an interaction, by the exchange of replies alone.
    async fn answer(&self, interaction: &Delivery) -> Result<()> {
        let asked = &interaction.properties;
        let response = InteractionResponse {
            callback: Some(InteractionCallbackParams {
                r#type: Some(4),
                data: Some(InteractionCallbackDataParams {
                    content: Some("played".to_owned()),
                    ..InteractionCallbackDataParams::default()
                }),
                ..InteractionCallbackParams::default()
            }),
            files: Vec::new(),
        };
        let properties = BasicProperties::default()
            .with_type("gateway.v1.InteractionResponse".into())
            .with_correlation_id(asked.correlation_id().clone().context("an id")?)
            .with_reply_to(DIRECT_REPLY.into());
        let key = asked.reply_to().clone().context("where to reply to")?;
        let (exchange, options) = (format!("{PREFIX}.replies"), BasicPublishOptions::default());
        let (exchange, body) = (exchange.as_str().into(), response.encode_to_vec());
        self.channel
            .basic_publish(exchange, key, options, &body, properties)
            .await?;
        Ok(())
    }
}

/// What a service took to be ready.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Its name.
    pub service: &'static str,
    /// How long it took, with RabbitMQ, Redis and Discord there.
    pub ready_after: Duration,
    /// How much memory it then had resident, in bytes.
    pub resident: u64,
}

impl Start {
    /// What a service says of itself that has just become ready.
    async fn of(name: &'static str, service: &Service) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        let text = reqwest::get(format!("{}/metrics", service.admin().await?)).await?;
        let text = text.text().await?;
        let says = |metric: &str| -> Result<f64> {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            let line = lines.find(|(name, _)| *name == metric);
            Ok(line.context("a metric of the process")?.1.parse()?)
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is a number of bytes"
        )]
        let resident = says("process_resident_memory_bytes")? as u64;
        let since = (now - says("process_start_time_seconds")?).max(0.0);
        Ok(Self {
            service: name,
            ready_after: Duration::from_secs_f64(since),
            resident,
        })
    }
}

/// All services, each with its own users of RabbitMQ and Redis.
struct Services {
    stage: Stage,
    http: String,
    webhooks: String,
    running: Vec<Service>,
    starts: Vec<Start>,
}

async fn start(
    programs: &Path,
    shared: &Path,
    deployment: &Deployment,
    redis: &Redis,
) -> Result<Services> {
    let trusted = shared.join("voice.pem");
    let discord = Config {
        voice_certificate: Some(trusted.clone()),
        ..Config::default()
    };
    let mut stage = Stage::on(discord, programs, "amqp://nobody@127.0.0.1:1", PREFIX).await?;
    stage.set("INTERACTION_REPLIES", "true");
    stage.set(
        "DISCORD_INTENTS",
        "GUILDS,GUILD_MESSAGES,GUILD_VOICE_STATES",
    );
    let mut starts = Vec::new();
    let mut run = async |name: &'static str, more: &[(&str, &str)]| {
        let url = deployment.url(name)?;
        let state = deployment.secret(name, "password");
        let state = format!("redis://{name}:{}@127.0.0.1:{}/0", state?, redis.port());
        let mut own = vec![("AMQP_URL", url.as_str())];
        if name != "gateway-http" {
            own.push(("REDIS_URL", state.as_str()));
        }
        own.extend_from_slice(more);
        let service = stage.order(name, &own, &[])?;
        ready(&service).await?;
        starts.retain(|it: &Start| it.service != name);
        starts.push(Start::of(name, &service).await?);
        Ok::<_, anyhow::Error>(service)
    };
    let trusted = trusted.to_string_lossy();
    let listening = [("HTTP_ADDRESS", "127.0.0.1:0")];
    let api = run("gateway-api", &[]).await?;
    let http = run("gateway-http", &listening).await?;
    let webhook = run("gateway-webhook", &listening).await?;
    // A Redis that knows nothing yet is not believed at once. The next start is like all others.
    let first = run("gateway-ws", &[]).await?;
    let ended = spawn_blocking(move || first.terminate()).await??;
    ensure!(ended.status.success(), "{}", ended.log);
    let ws = run("gateway-ws", &[]).await?;
    let voice = run("gateway-voice", &[("SSL_CERT_FILE", &trusted)]).await?;
    Ok(Services {
        http: format!("{}/interactions", http.http().await?),
        webhooks: format!("{}/events", webhook.http().await?),
        running: vec![api, http, webhook, ws, voice],
        starts,
        stage,
    })
}

/// Interactions by HTTP and by a gateway connection, which one worker answers.
async fn interactions(services: &Services, music: &mut Worker) -> Result<()> {
    for url in [services.http.as_str(), ""] {
        let sending = services.stage.send(url, InteractionKind::Command, "play");
        let answering = async {
            let (_, delivery) = music.event("INTERACTION_CREATE").await?;
            music.answer(&delivery).await
        };
        let (sent, answered) = tokio::join!(sending, answering);
        answered?;
        let sent = services
            .stage
            .follows(sent?, |sent| content(sent) == "played")
            .await;
        sent.with_context(|| format!("the interaction by {url:?}"))?;
    }
    Ok(())
}

/// The request message of an operation.
fn encoded(name: &str, asked: &Value) -> Result<Vec<u8>> {
    let message = wire::rest::descriptors().get_message_by_name(name);
    let message = message.with_context(|| name.to_owned())?;
    Ok(DynamicMessage::deserialize(message, asked)?.encode_to_vec())
}

/// Requests to the services that take them.
async fn requests(services: &Services, music: &mut Worker, moderation: &mut Worker) -> Result<()> {
    let (sim, id) = (&services.stage.sim, services.stage.application_id);
    let guild = sim.guild_ids()[0];
    let channel = sim.channel_ids(guild)[0].to_string();
    let message = json!({"channel_id": channel, "message": {"content": "x"}});
    let message = encoded("discord.v1.CreateMessageRequest", &message)?;
    let joining = UpdateVoiceStateRequest {
        guild_id: guild,
        ..UpdateVoiceStateRequest::default()
    };
    let hook =
        json!({"webhook": {"id": HOOK.to_string(), "token": "token"}, "message": {"content": "x"}});
    let hook = encoded("gateway.v1.WebhookExecuteRequest", &hook)?;
    let joining = joining.encode_to_vec();
    for (is_music, method, body) in [
        (false, "discord.v1.Rest/CreateMessage", message),
        (true, "gateway.v1.Ws/UpdateVoiceState", joining),
        (false, "gateway.v1.Webhook/Execute", hook),
    ] {
        let (service, name) = method.split_once('/').context("a method")?;
        let service = service.rsplit('.').next().unwrap_or_default();
        let key = format!("{}.{name}.{id}", service.to_lowercase());
        let worker = match is_music {
            true => &mut *music,
            false => &mut *moderation,
        };
        let answer = worker.ask(&key, method, body).await?;
        ensure!(
            answer.ends_with(&format!("{name}Response")),
            "{method}: {answer}"
        );
    }
    Ok(())
}

/// An event of each way in, which the worker gets that sees all.
async fn events(services: &Services, audit: &mut Worker) -> Result<()> {
    let stage = &services.stage;
    audit.event("READY").await?;
    let message = Dispatch {
        name: "MESSAGE_CREATE".to_owned(),
        data: format!(
            r#"{{"id":"7","channel_id":"8","guild_id":"{}","content":"x"}}"#,
            stage.sim.guild_ids()[0]
        ),
        ..Dispatch::default()
    };
    ensure!(stage.sim.dispatch(&message)? == 1);
    audit.event("MESSAGE_CREATE").await?;
    let data = json!({"user": {"id": "42", "username": "x"}, "scopes": []});
    let hook = WebhookEvent::new(&services.webhooks, "APPLICATION_AUTHORIZED", data);
    let delivery = stage.sim.send_event(&hook).await?;
    ensure!(delivery.taken, "{delivery:?}");
    audit.event("APPLICATION_AUTHORIZED").await?;
    Ok(())
}

/// A call, in which is heard what a worker plays.
async fn call(services: &Services, music: &mut Worker, audit: &mut Worker) -> Result<()> {
    let (sim, id) = (&services.stage.sim, services.stage.application_id);
    let guild_id = sim.guild_ids()[0];
    let mut ask = async |method: &str, body: Vec<u8>| {
        let key = format!("voice.{method}.{id}.{guild_id}");
        let method = format!("gateway.v1.Voice/{method}");
        music.ask(&key, &method, body).await
    };
    let hears = async |what: &str, wanted: &dyn Fn(&State) -> bool| {
        let heard = sim.voice().wait_for(what, PATIENCE, wanted).await;
        heard.with_context(|| format!("{:#?}", sim.voice().state()))
    };
    let join = VoiceJoinRequest {
        guild_id,
        channel_id: guild_id + 900,
        ..VoiceJoinRequest::default()
    };
    ask("Join", join.encode_to_vec()).await?;
    audit.event("VOICE_CONNECTED").await?;
    let encrypted = |state: &State| state.calls.iter().any(|call| call.transitions > 0);
    hears("a call that is encrypted end to end", &encrypted).await?;
    let play = VoicePlayRequest {
        guild_id,
        track: Some(tone("a", 440.0, 10_000)),
    };
    ask("Play", play.encode_to_vec()).await?;
    audit.event("TRACK_START").await?;
    let sounds = |state: &State| {
        let mut tones = state.clients.iter().map(|client| client.heard.frequency_hz);
        tones.any(|hertz| hertz.is_some_and(|hertz| (hertz - 440.0).abs() < 2.0))
    };
    hears("the tone", &sounds).await?;
    Ok(())
}

/// Starts the services in this folder, each as its own user, and lets pass through them what they are for. What they have to read
/// is written to `shared`.
///
/// # Errors
///
/// Something does not pass, a service does not end well, or one of Discord's rules is broken.
pub async fn pass(programs: &Path, shared: &Path) -> Result<Vec<Start>> {
    let deployment = Deployment::start()?;
    let redis = Redis::with_users(&deployment.users())?;
    let mut audit = Worker::start(&deployment, "worker-audit", &["#"]).await?;
    let plays = ["*.INTERACTION_CREATE.*.*.command.play.#"];
    let mut music = Worker::start(&deployment, "worker-music", &plays).await?;
    let mut moderation = Worker::start(&deployment, "worker-moderation", &[]).await?;
    let services = start(programs, shared, &deployment, &redis).await?;

    events(&services, &mut audit).await?;
    requests(&services, &mut music, &mut moderation).await?;
    interactions(&services, &mut music).await?;
    call(&services, &mut music, &mut audit).await?;

    for worker in [audit, music, moderation] {
        worker.connection.close(200, "done".into()).await?;
    }
    let stage = services.stage;
    for service in services.running {
        let ended = spawn_blocking(move || service.terminate()).await??;
        ensure!(ended.status.success(), "{}", ended.log);
        for secret in ["redis-url", "amqp-url", "refused for user"] {
            ensure!(!ended.log.contains(secret), "{}", ended.log);
        }
    }
    let broken = stage.sim.voice().state().violations;
    ensure!(broken.is_empty(), "{broken:#?}");
    stage.rules_kept()?;
    Ok(services.starts)
}
