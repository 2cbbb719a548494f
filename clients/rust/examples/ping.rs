//! A bot that answers `!ping` and the command `/ping`, in serenity's words.
//!
//! It takes events from RabbitMQ, so any number of it can run, and restarts cost nothing. With a
//! token it answers through serenity's own `Http`; without one it says what it would answer.

use std::{error::Error, time::Duration};

use discord_gateway_client::{
    Consumer, Envelope, EventHandler, HandlerResult, Options, Tls, wire::gateway::v1::Event,
};
use serenity::{
    builder::{CreateInteractionResponse, CreateInteractionResponseMessage},
    http::{Http, HttpBuilder},
    model::{
        application::Interaction,
        event::{InteractionCreateEvent, MessageCreateEvent, ReadyEvent},
    },
};
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The AMQP client reports each lost connection as an error; the library says it once.
    tracing_subscriber::fmt()
        .with_env_filter("info,lapin=off")
        .init();
    let url = setting("AMQP_URL").unwrap_or("amqp://guest:guest@127.0.0.1:5672/%2f".to_owned());
    let tls = Tls {
        roots: setting("AMQP_TLS_CA").map(Into::into),
        identity: setting("AMQP_TLS_CERT")
            .zip(setting("AMQP_TLS_KEY"))
            .map(|(certificate, key)| (certificate.into(), key.into())),
    };
    let options = Options::new(url, "ping")
        .tls(tls)
        .prefix(setting("AMQP_PREFIX").unwrap_or("discord".to_owned()))
        .bind("*.READY.#")
        .bind("*.MESSAGE_CREATE.#")
        .bind("*.INTERACTION_CREATE.*.*.command.ping")
        .drop_duplicates(10_000)
        // Who waits for an answer to a ping does not wait for long.
        .attempts(3, Duration::from_millis(500));
    let (mut terminated, mut interrupted) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let stopped = async {
        select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    };
    Consumer::new(options)?
        .run(Ping { http: http() }, stopped)
        .await;
    Ok(())
}

/// The bot.
struct Ping {
    http: Option<Http>,
}

impl EventHandler for Ping {
    async fn ready(&self, _: &Envelope, event: ReadyEvent) -> HandlerResult {
        tracing::info!(name = event.ready.user.name, "the bot is connected");
        Ok(())
    }

    async fn message(&self, envelope: &Envelope, event: MessageCreateEvent) -> HandlerResult {
        let message = event.message;
        if message.author.bot || message.content != "!ping" {
            return Ok(());
        }
        let answer = pong(envelope);
        match &self.http {
            Some(http) => drop(message.reply(http, answer).await?),
            None => tracing::info!(channel = %message.channel_id, answer, "would reply"),
        }
        Ok(())
    }

    async fn interaction_create(
        &self,
        envelope: &Envelope,
        event: InteractionCreateEvent,
    ) -> HandlerResult {
        let Interaction::Command(command) = event.interaction else {
            return Ok(());
        };
        let answer = pong(envelope);
        match &self.http {
            Some(http) => {
                let message = CreateInteractionResponseMessage::new().content(answer);
                let response = CreateInteractionResponse::Message(message);
                command.create_response(http, response).await?;
            }
            None => tracing::info!(user = command.user.name, answer, "would respond"),
        }
        Ok(())
    }

    async fn other(&self, envelope: &Envelope, _: Event) -> HandlerResult {
        tracing::info!(event = envelope.name, "not an event of serenity's");
        Ok(())
    }
}

/// The answer: how old the event is, and which shard it came by.
fn pong(envelope: &Envelope) -> String {
    let age = envelope
        .received_at
        .and_then(|moment| moment.elapsed().ok());
    let shard = envelope.shard.map_or(0, |shard| shard.id);
    match age {
        Some(age) => format!("pong from shard {shard}, after {age:.1?}"),
        None => format!("pong from shard {shard}"),
    }
}

/// Serenity's way to Discord, or to a proxy that speaks Discord's API; none without a token.
fn http() -> Option<Http> {
    let builder = HttpBuilder::new(setting("DISCORD_TOKEN")?);
    let Some(url) = setting("DISCORD_API_URL") else {
        return Some(builder.build());
    };
    // Serenity adds the version by itself. The proxy keeps the rate limits for all who use it.
    let host = url.trim_end_matches('/').trim_end_matches("/api/v10");
    Some(builder.proxy(host).ratelimiter_disabled(true).build())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own, whose configuration is four variables"
)]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
