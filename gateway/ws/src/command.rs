//! Requests of workers to the gateway connections: checked here, carried out by the shards.

use crate::session;
use broker::{Broker, Request};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use prost::{Message as _, Name as _};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time,
};
use tokio_util::sync::CancellationToken;
use wire::gateway::v1::{
    Code, Error as Failure, SendRequest, SendResponse, send_request::Connection,
};

/// The name of the service in routing keys.
const SERVICE: &str = "ws";

/// The only method that is carried out.
const SEND: &str = "gateway.v1.Ws/Send";

/// The longest payload that Discord takes.
///
/// See [Discord Docs/Sending Events](https://docs.discord.com/developers/events/gateway#sending-events).
const LONGEST: usize = 4096;

/// The opcodes that workers may send; Identify, Resume and heartbeats are ours.
const OPCODES: [u32; 5] = [3, 4, 8, 31, 43];

/// How many requests are carried out at once; further ones wait at the broker.
const AT_ONCE: usize = 256;

/// How long a request may wait for its connection when the caller names no deadline.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many commands may wait for a shard; one more is refused.
pub(crate) const WAITING: usize = 32;

/// A payload for a shard's connection, and who waits for it to be sent.
#[derive(Debug)]
pub(crate) struct Command {
    /// The payload as JSON.
    pub(crate) payload: String,
    /// Told when the connection has the payload; dropped when there is none. Closed when nobody
    /// waits any longer: then the payload is not sent.
    pub(crate) sent: oneshot::Sender<()>,
}

/// The way to each shard of this process.
#[derive(Debug)]
pub(crate) struct Commands {
    /// By shard id.
    shards: BTreeMap<u32, mpsc::Sender<Command>>,
    /// How many shards there are in all.
    count: u32,
}

/// What of a payload matters before it is sent.
#[derive(Deserialize)]
struct Payload<'a> {
    /// The opcode.
    op: u32,
    /// What it is sent with; it has to be there.
    #[serde(borrow, rename = "d")]
    _data: &'a RawValue,
}

impl Commands {
    /// Commands to these shards, of `count` in all.
    pub(crate) const fn new(shards: BTreeMap<u32, mpsc::Sender<Command>>, count: u32) -> Self {
        Self { shards, count }
    }

    /// Takes requests until the shutdown. A shard that is slow to send holds up nobody else's.
    pub(crate) async fn run(
        self,
        broker: Broker,
        application_id: u64,
        shutdown: CancellationToken,
    ) {
        let mut requests = broker.requests(SERVICE, application_id);
        let mut answering = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(()) = answering.next() => {}
                request = requests.next(), if answering.len() < AT_ONCE => {
                    answering.push(self.answer(request));
                }
            }
        }
    }

    /// Carries a request out, and says how that went.
    async fn answer(&self, request: Request) {
        let limit = request.call.timeout.unwrap_or(PATIENCE);
        let carried_out = time::timeout(limit, self.carry_out(&request)).await;
        let answered = match carried_out.unwrap_or_else(|_| Err(too_late(limit))) {
            Ok(shard_id) => {
                let response = SendResponse { shard_id };
                let body = response.encode_to_vec().into();
                request.reply(&SendResponse::full_name(), body).await
            }
            Err(failure) => request.fail(&failure).await,
        };
        if let Err(error) = answered {
            tracing::debug!(%error, "an answer did not get through; the request comes again");
        }
    }

    /// Hands a request to its shard, and waits until the connection has it.
    async fn carry_out(&self, request: &Request) -> Result<u32, Failure> {
        if request.call.method != SEND {
            let method = &request.call.method;
            return Err(failure(
                Code::Unimplemented,
                format!("{method} is not carried out here: send its payload with {SEND}"),
            ));
        }
        let send = SendRequest::decode(request.call.body.clone())
            .map_err(|error| invalid(format!("the body is no gateway.v1.SendRequest: {error}")))?;
        check(&send.payload)?;
        let id = match send.connection {
            Some(Connection::GuildId(guild_id)) => session::shard_of(guild_id, self.count),
            Some(Connection::ShardId(id)) => id,
            None => return Err(invalid("neither guild_id nor shard_id is set".to_owned())),
        };
        let shard = self.shards.get(&id).ok_or_else(|| {
            failure(
                Code::NotFound,
                format!("shard {id} of {} does not run here", self.count),
            )
        })?;
        let (sent, done) = oneshot::channel();
        let command = Command {
            payload: send.payload,
            sent,
        };
        match shard.try_send(command) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                let text = format!("{WAITING} payloads wait already for shard {id}: send fewer");
                return Err(failure(Code::ResourceExhausted, text));
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(unavailable(id)),
        }
        done.await.map_err(|_| unavailable(id))?;
        Ok(id)
    }
}

/// Refuses what Discord would close the connection for.
fn check(payload: &str) -> Result<(), Failure> {
    if payload.len() > LONGEST {
        let length = payload.len();
        return Err(invalid(format!(
            "the payload has {length} bytes; Discord takes {LONGEST}"
        )));
    }
    let parsed: Payload<'_> = serde_json::from_str(payload).map_err(|error| {
        invalid(format!(
            "the payload is no JSON object with op and d: {error}"
        ))
    })?;
    if OPCODES.contains(&parsed.op) {
        Ok(())
    } else {
        Err(invalid(format!(
            "opcode {} is not for workers: use one of {OPCODES:?}",
            parsed.op
        )))
    }
}

fn failure(code: Code, message: String) -> Failure {
    Failure {
        code: code.into(),
        message,
        ..Failure::default()
    }
}

fn invalid(message: String) -> Failure {
    failure(Code::InvalidArgument, message)
}

fn too_late(limit: Duration) -> Failure {
    let text = format!("the payload could not be sent within {limit:?}, and is dropped");
    failure(Code::DeadlineExceeded, text)
}

fn unavailable(shard: u32) -> Failure {
    failure(
        Code::Unavailable,
        format!("shard {shard} is not connected; try again"),
    )
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, check};
    use wire::gateway::v1::Code;

    #[test]
    fn only_payloads_that_discord_would_take_from_a_worker_pass() {
        assert_eq!(
            check(r#"{"op":4,"d":{"guild_id":"1","channel_id":null}}"#),
            Ok(())
        );
        let long = format!(r#"{{"op":3,"d":"{}"}}"#, "x".repeat(LONGEST));
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"op":4}"#,
            r#"{"op":2,"d":{}}"#,
            r#"{"op":"4","d":1}"#,
            &long,
        ] {
            let failure = check(bad).unwrap_err();
            assert_eq!(failure.code(), Code::InvalidArgument, "{bad}");
        }
    }
}
