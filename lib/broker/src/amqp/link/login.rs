//! From an open socket to a channel on which confirms are switched on.

use std::{fmt::Debug, future, io};

use amq_protocol::{
    auth::Credentials,
    frame::{AMQPFrame, ProtocolVersion},
    protocol::{AMQPClass, channel, confirm, connection},
    types::{AMQPValue, FieldTable, ShortString},
};
use rabbitmq::{Down, Place, Stage};
use tokio::time::Instant;

use super::Link;
use crate::{
    amqp::{
        frames::{Garbled, Said},
        heartbeat::Heartbeat,
    },
    message::short,
};

/// The smallest limit for frames that the protocol allows.
const SMALLEST_FRAME: u32 = 4_096;

/// Logs in as `name`, and opens `channel`.
pub(super) async fn login(
    link: &mut Link,
    place: &Place,
    name: &str,
    channel: u16,
) -> Result<(), Down> {
    let version = ProtocolVersion::amqp_0_9_1();
    link.outgoing.push(&AMQPFrame::ProtocolHeader(version));
    start(link, place, name).await?;
    tune(link, place).await?;
    let open = connection::Open {
        virtual_host: text(place.vhost()),
    };
    say(link, connection::AMQPMethod::Open(open));
    match hear(link, Stage::Connect).await? {
        AMQPClass::Connection(connection::AMQPMethod::OpenOk(_)) => {}
        other => return Err(unexpected(&other)),
    }
    let open = AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}));
    match link.request(channel, open).await? {
        AMQPClass::Channel(channel::AMQPMethod::OpenOk(_)) => {}
        other => return Err(unexpected(&other)),
    }
    let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
    match link.request(channel, AMQPClass::Confirm(select)).await? {
        AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(_)) => Ok(()),
        other => Err(unexpected(&other)),
    }
}

impl Link {
    /// Asks for something on a channel that is being made ready, and waits for the answer; a refusal is an error.
    pub(in crate::amqp) async fn request(
        &mut self,
        channel: u16,
        method: AMQPClass,
    ) -> Result<AMQPClass, Down> {
        self.outgoing.method(channel, method);
        hear(self, Stage::Declare).await
    }
}

/// Says who we are.
async fn start(link: &mut Link, place: &Place, name: &str) -> Result<(), Down> {
    let mechanisms = match next(link).await? {
        Said::Start(mechanisms) => mechanisms,
        other => return Err(unexpected(&other)),
    };
    let uri = place.uri();
    let mechanism = uri.query.auth_mechanism.unwrap_or_default();
    if !mechanisms.split(' ').any(|name| name == mechanism.name()) {
        return Err(Down::Login(format!(
            "it knows the ways {mechanisms} to log in, but not {mechanism}"
        )));
    }
    let answer = connection::StartOk {
        client_properties: properties(name),
        mechanism: text(mechanism.name()),
        response: Credentials::from(uri.authority.userinfo).sasl_auth_string(mechanism),
        locale: text("en_US"),
    };
    say(link, connection::AMQPMethod::StartOk(answer));
    Ok(())
}

/// Agrees on the size of frames and on heartbeats.
async fn tune(link: &mut Link, place: &Place) -> Result<(), Down> {
    let tune = match hear(link, Stage::Connect).await? {
        AMQPClass::Connection(connection::AMQPMethod::Tune(tune)) => tune,
        other => return Err(unexpected(&other)),
    };
    let wanted = place.uri().query;
    let largest = u32::try_from(super::READ).unwrap_or(u32::MAX);
    let frame_max = agreed(wanted.frame_max.unwrap_or(largest), tune.frame_max);
    // Our own buffer limits what the broker may send, whatever was asked for.
    let frame_max = agreed(frame_max, largest);
    if frame_max < SMALLEST_FRAME {
        return Err(Down::Lost(format!(
            "it wants frames of at most {frame_max} bytes, and AMQP allows no less than \
             {SMALLEST_FRAME}"
        )));
    }
    let heartbeat = agreed(wanted.heartbeat.unwrap_or(0), tune.heartbeat);
    let answer = connection::TuneOk {
        channel_max: agreed(1, tune.channel_max),
        frame_max,
        heartbeat,
    };
    say(link, connection::AMQPMethod::TuneOk(answer));
    link.frame_max = frame_max as usize;
    link.heartbeat = Heartbeat::new(heartbeat, Instant::now());
    Ok(())
}

/// The smaller of two limits, where 0 is none.
fn agreed<T: Ord + Default>(ours: T, theirs: T) -> T {
    let (small, large) = if ours < theirs {
        (ours, theirs)
    } else {
        (theirs, ours)
    };
    if small == T::default() { large } else { small }
}

fn properties(name: &str) -> FieldTable {
    let mut capabilities = FieldTable::default();
    for capability in [
        "authentication_failure_close",
        "basic.nack",
        "connection.blocked",
        "consumer_cancel_notify",
        "publisher_confirms",
    ] {
        capabilities.insert(capability.into(), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    for (name, value) in [
        ("connection_name", name),
        ("platform", "rust"),
        ("product", "discord-gateway"),
        ("version", env!("CARGO_PKG_VERSION")),
    ] {
        properties.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    properties
}

fn text(text: &str) -> ShortString {
    short(text).into()
}

fn say(link: &mut Link, method: connection::AMQPMethod) {
    link.outgoing.method(0, AMQPClass::Connection(method));
}

/// The broker's next method; a refusal is an error.
async fn hear(link: &mut Link, stage: Stage) -> Result<AMQPClass, Down> {
    match next(link).await? {
        Said::Method(_, AMQPClass::Connection(connection::AMQPMethod::Close(close))) => {
            let text = close.reply_text.as_str();
            Err(Down::refused(close.reply_code, text, stage))
        }
        Said::Method(_, AMQPClass::Channel(channel::AMQPMethod::Close(close))) => {
            let text = close.reply_text.as_str();
            Err(Down::refused(close.reply_code, text, stage))
        }
        Said::Method(_, method) => Ok(method),
        other => Err(unexpected(&other)),
    }
}

/// What the broker says next, apart from heartbeats.
async fn next(link: &mut Link) -> Result<Said, Down> {
    loop {
        let said = link.hear().map_err(|Garbled(text)| Down::Unreachable(text));
        match said? {
            Some(Said::Heartbeat) => {}
            Some(said) => return Ok(said),
            None => {
                let read = future::poll_fn(|context| link.poll(context)).await;
                read.map_err(|error: io::Error| Down::Unreachable(error.to_string()))?;
            }
        }
    }
}

fn unexpected(what: &impl Debug) -> Down {
    Down::Unreachable(format!("{what:?} is no answer in the middle of a login"))
}

#[cfg(test)]
mod tests;
