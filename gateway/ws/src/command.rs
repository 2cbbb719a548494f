//! Requests of workers to the gateway connections: checked here, carried out by the shards.

mod payload;

use crate::session;
use broker::{Broker, Request};
use bytes::Bytes;
use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use prost::{Message, Name};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::Shard;
use tokio::{
    sync::{mpsc, oneshot},
    time,
};
use tokio_util::sync::CancellationToken;
use transcode::Transcoder;
use wire::gateway::v1::{
    Code, Error as Failure, SendRequest, SendResponse, UpdatePresenceRequest,
    UpdatePresenceResponse, UpdateVoiceStateRequest, UpdateVoiceStateResponse,
    send_request::Connection,
};

/// The name of the service in routing keys.
const SERVICE: &str = "ws";

/// The method that sends a payload as it is.
const SEND: &str = "gateway.v1.Ws/Send";

/// The method that sets the bot's status and activities.
const UPDATE_PRESENCE: &str = "gateway.v1.Ws/UpdatePresence";

/// The method that joins, moves within or leaves a guild's voice.
const UPDATE_VOICE_STATE: &str = "gateway.v1.Ws/UpdateVoiceState";

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

/// The way to each shard of this process; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Commands {
    shards: Arc<Mutex<Shards>>,
    /// Knows the objects that payloads consist of.
    transcoder: Arc<Transcoder>,
}

/// The shards of this process.
#[derive(Debug, Default)]
struct Shards {
    senders: BTreeMap<Shard, mpsc::Sender<Command>>,
    /// How many shards there are in all.
    count: u32,
}

/// The reply to a request that was carried out.
struct Reply {
    /// Name of its message.
    name: String,
    body: Bytes,
}

impl Commands {
    /// Commands to no shard yet.
    pub(crate) fn new(transcoder: Arc<Transcoder>) -> Self {
        Self {
            shards: Arc::default(),
            transcoder,
        }
    }

    /// How many shards there are in all.
    pub(crate) fn set_count(&self, count: u32) {
        self.lock().count = count;
    }

    /// A shard runs here from now on, and takes its commands from this channel.
    pub(crate) fn attach(&self, shard: Shard, commands: mpsc::Sender<Command>) {
        self.lock().senders.insert(shard, commands);
    }

    /// A shard no longer runs here.
    pub(crate) fn detach(&self, shard: Shard) {
        self.lock().senders.remove(&shard);
    }

    fn lock(&self) -> MutexGuard<'_, Shards> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> u32 {
        self.lock().count
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
            Ok(reply) => request.reply(&reply.name, reply.body).await,
            Err(failure) => request.fail(&failure).await,
        };
        if let Err(error) = answered {
            tracing::debug!(%error, "an answer did not get through; the request comes again");
        }
    }

    /// Does what is asked.
    async fn carry_out(&self, request: &Request) -> Result<Reply, Failure> {
        let body = request.call.body.clone();
        match request.call.method.as_str() {
            SEND => self.send_payload(read(body)?).await,
            UPDATE_PRESENCE => self.update_presence(read(body)?).await,
            UPDATE_VOICE_STATE => self.update_voice_state(&read(body)?).await,
            method => Err(failure(
                Code::Unimplemented,
                format!("{method} is not carried out here: send its payload with {SEND}"),
            )),
        }
    }

    async fn send_payload(&self, request: SendRequest) -> Result<Reply, Failure> {
        let payload = payload::raw(request.payload)?;
        let shard_id = match request.connection {
            Some(Connection::GuildId(guild_id)) => session::shard_of(guild_id, self.count()),
            Some(Connection::ShardId(id)) => id,
            None => return Err(invalid("neither guild_id nor shard_id is set".to_owned())),
        };
        self.send(shard_id, payload).await?;
        Ok(reply(&SendResponse { shard_id }))
    }

    async fn update_presence(&self, request: UpdatePresenceRequest) -> Result<Reply, Failure> {
        let presence = request.presence.unwrap_or_default();
        let payload = payload::presence(self.transcoder.schema(), &presence)?;
        let shard_ids: BTreeSet<u32> = if request.shard_ids.is_empty() {
            (0..self.count()).collect()
        } else {
            request.shard_ids.into_iter().collect()
        };
        // Those that do not run here are told before anything is sent.
        for id in &shard_ids {
            self.shard(*id)?;
        }
        let sending = shard_ids.iter().map(|id| self.send(*id, payload.clone()));
        // One that is away keeps it from no other.
        for sent in join_all(sending).await {
            sent?;
        }
        let shard_ids = shard_ids.into_iter().collect();
        Ok(reply(&UpdatePresenceResponse { shard_ids }))
    }

    async fn update_voice_state(
        &self,
        request: &UpdateVoiceStateRequest,
    ) -> Result<Reply, Failure> {
        let payload = payload::voice_state(request)?;
        let shard_id = session::shard_of(request.guild_id, self.count());
        self.send(shard_id, payload).await?;
        Ok(reply(&UpdateVoiceStateResponse { shard_id }))
    }

    /// Hands a payload to a shard, and waits until the connection has it.
    async fn send(&self, id: u32, payload: String) -> Result<(), Failure> {
        let (sent, done) = oneshot::channel();
        match self.shard(id)?.try_send(Command { payload, sent }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                let text = format!("{WAITING} payloads wait already for shard {id}: send fewer");
                return Err(failure(Code::ResourceExhausted, text));
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(unavailable(id)),
        }
        done.await.map_err(|_| unavailable(id))
    }

    fn shard(&self, id: u32) -> Result<mpsc::Sender<Command>, Failure> {
        let shards = self.lock();
        let count = shards.count;
        let sender = shards.senders.get(&Shard { count, id });
        sender.cloned().ok_or_else(|| {
            let text = format!("shard {id} of {count} does not run here");
            failure(Code::NotFound, text)
        })
    }
}

/// The request that a body is.
fn read<M: Message + Name + Default>(body: Bytes) -> Result<M, Failure> {
    M::decode(body).map_err(|error| invalid(format!("the body is no {}: {error}", M::full_name())))
}

fn reply<M: Message + Name>(message: &M) -> Reply {
    Reply {
        name: M::full_name(),
        body: message.encode_to_vec().into(),
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
