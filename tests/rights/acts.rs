//! Single acts of users at RabbitMQ: those that are theirs, and those that are refused.

use anyhow::{Result, bail, ensure};
use lapin::{
    BasicProperties, Channel, ErrorKind, ExchangeKind,
    options::{
        BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
        ExchangeBindOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
        QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
    },
    types::FieldTable,
};

use tests::deployment::Deployment;

/// RabbitMQ's `ACCESS_REFUSED`.
const REFUSED: u16 = 403;

/// Something that somebody may try.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Bind this queue to this exchange by this key.
    Bind(&'static str, &'static str, &'static str),
    /// Bind the first exchange to the second by this key, so that it gets what that one gets.
    Chain(&'static str, &'static str, &'static str),
    /// Take messages from this queue.
    Consume(&'static str),
    /// Declare this exchange.
    DeclareExchange(&'static str),
    /// Declare this queue.
    DeclareQueue(&'static str),
    /// Delete this exchange.
    DeleteExchange(&'static str),
    /// Delete this queue.
    DeleteQueue(&'static str),
    /// Take one message from this queue.
    Get(&'static str),
    /// Publish to this exchange by this key.
    Publish(&'static str, &'static str),
    /// Empty this queue.
    Purge(&'static str),
    /// Declare a queue of RabbitMQ's naming, of this connection alone.
    Temporary,
}
use Act::{
    Bind, Chain, Consume, DeclareExchange, DeclareQueue, DeleteExchange, DeleteQueue, Get, Publish,
    Purge, Temporary,
};

const EVENTS: &str = "discord.events";
const AUDIO: &str = "discord.voice-audio";
const REPLIES: &str = "discord.replies";
const REQUESTS: &str = "discord.requests";
const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";

/// Queues as the services have them.
const API: &str = "discord.requests.api.42";
const CALLBACKS: &str = "discord.replies.api.42";
const HTTP: &str = "discord.replies.http.0123456789abcdef";
const HEARD: &str = "discord.events.voice.42.0123";
const VOICE: &str = "discord.requests.voice.42";
const WEBHOOK: &str = "discord.requests.webhook.42";
const WS: &str = "discord.requests.ws.42";

/// A worker for some events and some requests.
const MUSIC: &str = "worker-music";
/// Another one.
const MODERATION: &str = "worker-moderation";
/// One that sees all events, and says nothing.
const AUDIT: &str = "worker-audit";

/// What users may do.
const ALLOWED: &[(&str, Act)] = &[
    (MUSIC, Bind(MUSIC, EVENTS, "*.VOICE_STATE_UPDATE.#")),
    (MUSIC, Publish(REQUESTS, "voice.Play.42.7")),
    (MUSIC, Bind(MUSIC, EVENTS, "42.VOICE_STATE_UPDATE.7.*")),
    (
        MUSIC,
        Bind(MUSIC, EVENTS, "*.INTERACTION_CREATE.*.*.command.play"),
    ),
    (
        MUSIC,
        Bind(MUSIC, EVENTS, "42.INTERACTION_CREATE.7.*.command.skip.#"),
    ),
    (MUSIC, Consume(MUSIC)),
    (MUSIC, Consume(DIRECT_REPLY)),
    (MUSIC, Publish(REQUESTS, "ws.UpdateVoiceState.42")),
    (MUSIC, Publish(REQUESTS, "rest.CreateMessage.42")),
    (MUSIC, Publish(REPLIES, HTTP)),
    (MODERATION, Bind(MODERATION, EVENTS, "*.MESSAGE_CREATE.#")),
    (MODERATION, Publish(REQUESTS, "rest.DeleteMessage.42")),
    (AUDIT, Bind(AUDIT, EVENTS, "#")),
    (AUDIT, Get(AUDIT)),
    ("gateway-ws", DeclareQueue(WS)),
    ("gateway-ws", Publish(EVENTS, "42.MESSAGE_CREATE.7.8")),
    ("gateway-api", DeclareQueue(API)),
    ("gateway-http", DeclareQueue(HTTP)),
    ("gateway-voice", DeclareQueue(VOICE)),
    ("gateway-voice", Bind(VOICE, REQUESTS, "voice.*.42.#")),
    ("gateway-voice", DeclareQueue(HEARD)),
    (
        "gateway-voice",
        Bind(HEARD, EVENTS, "42.VOICE_SERVER_UPDATE.#"),
    ),
    ("gateway-voice", Bind(HEARD, EVENTS, "42.GUILD_CREATE.#")),
    ("gateway-voice", Bind(HEARD, EVENTS, "42.VOICE_CONNECTED.#")),
    ("gateway-voice", Publish(EVENTS, "42.TRACK_START.7.8")),
    ("gateway-voice", Publish(REQUESTS, "voice-guild.Play.42.7")),
    ("gateway-voice", Publish(REQUESTS, "ws.UpdateVoiceState.42")),
    (
        "gateway-voice",
        Publish(REQUESTS, "rest.UpdateSelfVoiceState.42"),
    ),
    ("gateway-voice", Publish(EVENTS, "42.RECORDING_END.7.8")),
    ("gateway-voice", Publish(AUDIO, "42.7.9")),
    ("gateway-webhook", DeclareQueue(WEBHOOK)),
    ("operator", Purge(AUDIT)),
];

/// What is refused.
const FORBIDDEN: &[(&str, Act)] = &[
    // Events that are not its own.
    (MUSIC, Bind(MUSIC, EVENTS, "#")),
    (MUSIC, Bind(MUSIC, EVENTS, "*.#")),
    (MUSIC, Bind(MUSIC, EVENTS, "*.*.#")),
    (MUSIC, Bind(MUSIC, EVENTS, "*.MESSAGE_CREATE.#")),
    (MUSIC, Bind(MUSIC, EVENTS, "#.VOICE_STATE_UPDATE.#")),
    (MUSIC, Bind(MUSIC, EVENTS, "*.INTERACTION_CREATE.#")),
    (
        MUSIC,
        Bind(MUSIC, EVENTS, "*.INTERACTION_CREATE.#.command.play"),
    ),
    (
        MUSIC,
        Bind(MUSIC, EVENTS, "*.INTERACTION_CREATE.*.*.command.*"),
    ),
    (
        MUSIC,
        Bind(MUSIC, EVENTS, "*.INTERACTION_CREATE.*.*.command.ban"),
    ),
    (MUSIC, Bind(MUSIC, EVENTS, CALLBACKS)),
    (
        MODERATION,
        Bind(MODERATION, EVENTS, "*.INTERACTION_CREATE.#"),
    ),
    (MODERATION, Bind(MODERATION, EVENTS, "*.MESSAGE_CREATE_.#")),
    (MUSIC, Chain(REQUESTS, EVENTS, "#")),
    (MUSIC, Get(AUDIT)),
    (MUSIC, Consume(AUDIT)),
    (MUSIC, Purge(AUDIT)),
    (MUSIC, DeleteQueue(AUDIT)),
    (MUSIC, Bind(AUDIT, EVENTS, "*.VOICE_STATE_UPDATE.#")),
    // Requests that it may not send, or that others send.
    (MUSIC, Publish(REQUESTS, "rest.DeleteChannel.42")),
    (MUSIC, Publish(REQUESTS, "rest.CreateMessage.42.7")),
    (MUSIC, Publish(REQUESTS, "api.Call.42")),
    (MUSIC, Publish(REQUESTS, "ws.Send.42")),
    (MUSIC, Publish(REQUESTS, "ws-shard.UpdateVoiceState.42.1.0")),
    (MUSIC, Publish(REQUESTS, "")),
    (AUDIT, Publish(REQUESTS, "rest.CreateMessage.42")),
    (MUSIC, Bind(MUSIC, REQUESTS, "#")),
    (MUSIC, Bind(MUSIC, REQUESTS, "rest.CreateMessage.42")),
    (MUSIC, Get(API)),
    (MUSIC, Consume(WS)),
    // Replies to others.
    (MUSIC, Bind(MUSIC, REPLIES, HTTP)),
    (MUSIC, Bind(MUSIC, REPLIES, CALLBACKS)),
    (MUSIC, Consume(HTTP)),
    (MUSIC, Get(CALLBACKS)),
    (MODERATION, Publish(REPLIES, HTTP)),
    (AUDIT, Publish(REPLIES, HTTP)),
    // Events of its own making, and ways around.
    (MUSIC, Publish(EVENTS, "42.VOICE_STATE_UPDATE.7.8")),
    (AUDIT, Publish(EVENTS, "42.MESSAGE_CREATE.7.8")),
    (MUSIC, Publish("", MUSIC)),
    (MUSIC, Publish("", AUDIT)),
    (MUSIC, Publish("", API)),
    (MUSIC, Publish("", HTTP)),
    (MUSIC, Publish("", "amq.rabbitmq.reply-to.anybody")),
    (MUSIC, Publish("amq.topic", "x")),
    (MUSIC, Publish("amq.fanout", "x")),
    (MUSIC, Publish("discord.dead-letter", "x")),
    // An exchange or a queue of one's own leads around topic permissions: by a binding, an alternate exchange or dead letters.
    (MUSIC, DeclareExchange(MUSIC)),
    (MUSIC, DeclareQueue(MUSIC)),
    (MUSIC, DeclareQueue("worker-music.2")),
    (MUSIC, Temporary),
    (MUSIC, DeleteQueue(MUSIC)),
    (MUSIC, DeleteExchange(EVENTS)),
    (MUSIC, DeclareQueue(API)),
    // Services have their own queues and requests.
    ("gateway-voice", Bind(HEARD, EVENTS, "#")),
    ("gateway-voice", Bind(HEARD, EVENTS, "42.MESSAGE_CREATE.#")),
    ("gateway-voice", Publish(EVENTS, "42.MESSAGE_CREATE.7.8")),
    ("gateway-voice", Publish(REQUESTS, "api.Call.42")),
    ("gateway-voice", Publish(REQUESTS, "ws.Send.42")),
    (
        "gateway-voice",
        Publish(REQUESTS, "rest.UpdateVoiceState.42"),
    ),
    ("gateway-voice", Bind(HEARD, AUDIO, "#")),
    ("gateway-voice", Bind(VOICE, REQUESTS, "ws.*.42.#")),
    ("gateway-voice", Get(WS)),
    ("gateway-ws", Publish(AUDIO, "42.7.9")),
    (MUSIC, Publish(AUDIO, "42.7.9")),
    (MUSIC, Bind(MUSIC, AUDIO, "#")),
    ("gateway-ws", Get(API)),
    ("gateway-ws", DeclareQueue(API)),
    ("gateway-ws", Bind(WS, REQUESTS, "api.*.42.#")),
    ("gateway-ws", Publish(REQUESTS, "api.Call.42")),
    ("gateway-ws", Bind(WS, REPLIES, HTTP)),
    ("gateway-ws", DeleteExchange(EVENTS)),
    ("gateway-api", Publish(EVENTS, "42.MESSAGE_CREATE.7.8")),
    ("gateway-api", Bind(API, EVENTS, "#")),
    ("gateway-api", Bind(API, REQUESTS, "ws.*.42.#")),
    ("gateway-api", Publish(REQUESTS, "ws.Send.42")),
    ("gateway-api", Get(AUDIT)),
    ("gateway-api", DeclareQueue(WS)),
    ("gateway-http", Publish(EVENTS, "42.MESSAGE_CREATE.7.8")),
    ("gateway-http", Publish(REQUESTS, "rest.CreateMessage.42")),
    ("gateway-http", Bind(HTTP, EVENTS, "#")),
    ("gateway-http", DeclareQueue(API)),
    ("gateway-http", Get(API)),
    (
        "gateway-webhook",
        Publish(EVENTS, "42.INTERACTION_CREATE.7.8.command.play"),
    ),
    (
        "gateway-webhook",
        Publish(REQUESTS, "rest.CreateMessage.42"),
    ),
    ("gateway-webhook", Bind(WEBHOOK, EVENTS, "#")),
    ("gateway-webhook", Bind(WEBHOOK, REQUESTS, "api.*.42.#")),
    ("gateway-webhook", Publish(REQUESTS, "ws.Send.42")),
    ("gateway-webhook", Get(WS)),
];

/// Tries it, and waits until RabbitMQ has judged.
async fn attempt(channel: &Channel, act: Act) -> lapin::Result<()> {
    match act {
        Bind(queue, exchange, key) => bind(channel, queue, exchange, key).await,
        Chain(to, from, key) => chain(channel, to, from, key).await,
        Consume(queue) => consume(channel, queue).await,
        DeclareExchange(name) => {
            let (kind, options) = (ExchangeKind::Fanout, ExchangeDeclareOptions::default());
            let none = FieldTable::default();
            let declaring = channel.exchange_declare(name.into(), kind, options, none);
            declaring.await
        }
        DeclareQueue(name) => declare(channel, name, false).await,
        DeleteExchange(name) => {
            let options = ExchangeDeleteOptions::default();
            channel.exchange_delete(name.into(), options).await
        }
        DeleteQueue(name) => {
            let options = QueueDeleteOptions::default();
            channel.queue_delete(name.into(), options).await.map(drop)
        }
        Get(queue) => {
            let options = BasicGetOptions { no_ack: true };
            channel.basic_get(queue.into(), options).await.map(drop)
        }
        Publish(exchange, key) => publish(channel, exchange, key).await,
        Purge(queue) => {
            let options = QueuePurgeOptions::default();
            channel.queue_purge(queue.into(), options).await.map(drop)
        }
        Temporary => declare(channel, "", true).await,
    }
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    let (queue, exchange, key) = (queue.into(), exchange.into(), key.into());
    let binding = channel.queue_bind(queue, exchange, key, options, none);
    binding.await
}

async fn chain(channel: &Channel, to: &str, from: &str, key: &str) -> lapin::Result<()> {
    let (options, none) = (ExchangeBindOptions::default(), FieldTable::default());
    let (to, from, key) = (to.into(), from.into(), key.into());
    let binding = channel.exchange_bind(to, from, key, options, none);
    binding.await
}

async fn consume(channel: &Channel, queue: &str) -> lapin::Result<()> {
    let options = BasicConsumeOptions {
        no_ack: true,
        ..Default::default()
    };
    let none = FieldTable::default();
    let consuming = channel.basic_consume(queue.into(), "".into(), options, none);
    consuming.await.map(drop)
}

async fn declare(channel: &Channel, name: &str, exclusive: bool) -> lapin::Result<()> {
    let options = QueueDeclareOptions {
        durable: !exclusive,
        exclusive,
        ..Default::default()
    };
    let declaring = channel.queue_declare(name.into(), options, FieldTable::default());
    declaring.await.map(drop)
}

async fn publish(channel: &Channel, exchange: &str, key: &str) -> lapin::Result<()> {
    let (options, plain) = (BasicPublishOptions::default(), BasicProperties::default());
    let publishing = channel.basic_publish(exchange.into(), key.into(), options, b"", plain);
    publishing.await?.await.map(drop)
}

/// Whether RabbitMQ has refused it for want of a right.
fn is_refused(result: &lapin::Result<()>) -> Result<bool> {
    let Err(error) = result else {
        return Ok(false);
    };
    match error.kind() {
        ErrorKind::ProtocolError(error) if error.get_id() == REFUSED => Ok(true),
        _ => bail!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_does_its_own_work_and_no_other() -> Result<()> {
    let deployment = Deployment::start()?;
    let mut wrong = Vec::new();
    // What is allowed first: it makes the queues that others may not touch.
    let allowed = ALLOWED.iter().map(|row| (row, false));
    let forbidden = FORBIDDEN.iter().map(|row| (row, true));
    for ((user, act), refused) in allowed.chain(forbidden) {
        let (connection, channel) = deployment.open(user).await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        match is_refused(&attempt(&channel, *act).await) {
            Ok(is) if is == refused => {}
            other => wrong.push(format!("{user} {act:?}: {other:?}")),
        }
        connection.close(200, "done".into()).await.ok();
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_without_a_password_of_setup() -> Result<()> {
    let deployment = Deployment::start()?;
    for (user, password) in [
        ("guest", "guest"),
        ("gateway-ws", ""),
        ("operator", "operator"),
    ] {
        let url = deployment.rabbit()?.url_as(user, password);
        let properties = lapin::ConnectionProperties::default();
        let login = lapin::Connection::connect(&url, properties).await;
        ensure!(login.is_err(), "{user} came in");
    }
    let connection = deployment.connect("gateway-ws").await?;
    Ok(connection.close(200, "done".into()).await?)
}
