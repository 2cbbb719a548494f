//! The exchanges that every service needs to be there.

use lapin::{
    Channel, ExchangeKind,
    options::ExchangeDeclareOptions,
    types::{AMQPValue, FieldTable, LongString, ShortString},
};

use rabbitmq::{Channels, Down, Stage, answer};

use crate::{Exchange, message::short};

/// Delivery mode of a message that does not.
pub(super) const TRANSIENT: u8 = 1;

/// The argument of a queue that is of RabbitMQ's oldest type, whatever type queues have by default.
pub(super) fn classic() -> (ShortString, AMQPValue) {
    let classic = AMQPValue::LongString(LongString::from("classic"));
    ("x-queue-type".into(), classic)
}

/// The exchanges' full names.
#[derive(Clone, Debug)]
pub(super) struct Names {
    dead_letter: ShortString,
    events: ShortString,
    replies: ShortString,
    requests: ShortString,
    voice_audio: ShortString,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        let name = |exchange: Exchange| ShortString::from(short(&exchange.name(prefix)));
        Self {
            dead_letter: name(Exchange::DeadLetter),
            events: name(Exchange::Events),
            replies: name(Exchange::Replies),
            requests: name(Exchange::Requests),
            voice_audio: name(Exchange::VoiceAudio),
        }
    }

    /// The full name of an exchange.
    pub(super) fn of(&self, exchange: Exchange) -> &ShortString {
        match exchange {
            Exchange::DeadLetter => &self.dead_letter,
            Exchange::Events => &self.events,
            Exchange::Replies => &self.replies,
            Exchange::Requests => &self.requests,
            Exchange::VoiceAudio => &self.voice_audio,
        }
    }
}

/// Declares exchanges.
///
/// A user that may not configure anything can still use what the operator declared for him: then
/// it is enough that the exchanges are there.
pub(super) async fn declare(
    channels: &Channels,
    names: &Names,
    exchanges: &[Exchange],
) -> Result<(), Down> {
    let forbidden = match declare_all(channels, names, exchanges, false).await {
        Err(Down::Forbidden(text)) => Down::Forbidden(text),
        result => return result,
    };
    match declare_all(channels, names, exchanges, true).await {
        Err(Down::Topology(_)) => Err(forbidden),
        result => result,
    }
}

async fn declare_all(
    channels: &Channels,
    names: &Names,
    exchanges: &[Exchange],
    passive: bool,
) -> Result<(), Down> {
    let channel = channels.open().await?;
    for exchange in exchanges {
        let name = names.of(*exchange).clone();
        declare_one(&channel, *exchange, name, passive).await?;
    }
    answer(
        "closing a channel",
        Stage::Declare,
        channel.close(200, "done".into()),
    )
    .await
}

async fn declare_one(
    channel: &Channel,
    exchange: Exchange,
    name: ShortString,
    passive: bool,
) -> Result<(), Down> {
    let kind = match exchange {
        Exchange::Replies => ExchangeKind::Direct,
        Exchange::DeadLetter | Exchange::Events | Exchange::Requests | Exchange::VoiceAudio => {
            ExchangeKind::Topic
        }
    };
    let options = ExchangeDeclareOptions {
        durable: true,
        passive,
        ..Default::default()
    };
    let declaring = channel.exchange_declare(name, kind, options, FieldTable::default());
    answer("declaring an exchange", Stage::Declare, declaring).await
}
