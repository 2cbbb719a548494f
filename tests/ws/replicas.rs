//! Two processes that serve one application, and a worker that knows nothing of that.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use discord_gateway_client::{CallError, Requests};
use lapin::{BasicProperties, types::AMQPValue, types::FieldTable};
use prost::Message as _;
use sim::{Config, Sim};
use tests::{rabbitmq::Rabbit, service::Service};
use tokio::time::{self, Instant};
use wire::{
    discord::v1::UpdatePresence,
    gateway::v1::{
        Code, Error, RequestChannelInfoRequest, RequestChannelInfoResponse,
        RequestGuildMembersRequest, RequestGuildMembersResponse, RequestSoundboardSoundsRequest,
        RequestSoundboardSoundsResponse, SendRequest, SendResponse, UpdatePresenceRequest,
        UpdatePresenceResponse, UpdateVoiceStateRequest, UpdateVoiceStateResponse,
        send_request::Connection,
    },
};

use super::{stage::Stage, system};
use crate::broker::requests::Caller;

/// How often each request is made: RabbitMQ hands them to the two processes by turns.
const TURNS: u32 = 3;

/// A Discord with two shards, and a process for each.
struct Pair {
    stage: Stage,
    services: Vec<Service>,
    requests: Requests,
    application_id: u64,
    /// A guild of each shard.
    guilds: [u64; 2],
}

impl Pair {
    async fn start(rabbit: &Rabbit, prefix: &str) -> Result<Self> {
        let config = Config {
            shards: 2,
            max_concurrency: 2,
            guilds: 8,
            ..Config::default()
        };
        let mut stage = system::stage(rabbit, config, prefix).await?;
        let mut services = Vec::new();
        for shard in ["0", "1"] {
            stage.set("DISCORD_SHARD_IDS", shard);
            services.push(stage.start()?);
        }
        services[0]
            .until("all shards", || Ok(stage.sim.is_ready()))
            .await?;
        let guild_ids = stage.sim.guild_ids();
        let of = |shard| guild_ids.iter().find(|id| Sim::shard_of(**id, 2) == shard);
        let (Some(first), Some(second)) = (of(0), of(1)) else {
            bail!("a shard has no guild");
        };
        let pair = Self {
            guilds: [*first, *second],
            application_id: stage.sim.settings().application_id,
            requests: Requests::start(rabbit.url(), prefix)?,
            stage,
            services,
        };
        pair.reachable().await?;
        Ok(pair)
    }

    /// Waits until requests reach both shards from both processes.
    async fn reachable(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut in_a_row = 0;
        while in_a_row < 8 {
            ensure!(
                Instant::now() < deadline,
                "requests do not reach the shards"
            );
            let fields = vec!["status".to_owned()];
            // Twice each: the processes take turns, and each has to reach both shards.
            let guild_id = self.guilds[in_a_row / 2 % 2];
            let asked = RequestChannelInfoRequest { guild_id, fields };
            let answer: Result<RequestChannelInfoResponse, _> =
                self.requests.to(self.application_id).call(&asked).await;
            match answer {
                Ok(_) => in_a_row += 1,
                Err(_) => {
                    in_a_row = 0;
                    time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        Ok(())
    }

    async fn presence(&self) -> Result<UpdatePresenceResponse, CallError> {
        let request = UpdatePresenceRequest {
            presence: Some(UpdatePresence {
                status: Some("idle".to_owned()),
                ..UpdatePresence::default()
            }),
            shard_ids: Vec::new(),
        };
        self.requests.to(self.application_id).call(&request).await
    }

    fn stop(self) -> Result<()> {
        for service in self.services {
            service.terminate()?;
        }
        self.stage.rules_kept()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_replica_takes_a_request_the_one_with_the_shard_carries_it_out() -> Result<()> {
    let rabbit = Rabbit::shared();
    let pair = Pair::start(rabbit, "turns").await?;
    let to = || pair.requests.to(pair.application_id);
    for turn in 0..TURNS {
        for (shard, guild_id) in (0..).zip(pair.guilds) {
            let voice = UpdateVoiceStateRequest {
                guild_id,
                ..UpdateVoiceStateRequest::default()
            };
            let joined: UpdateVoiceStateResponse = to().call(&voice).await?;
            ensure!(joined.shard_id == shard);
            let payload = format!(r#"{{"op":31,"d":{{"guild_ids":["{guild_id}"]}}}}"#);
            let send = SendRequest {
                connection: Some(Connection::GuildId(guild_id)),
                payload,
            };
            let sent: SendResponse = to().call(&send).await?;
            ensure!(sent.shard_id == shard);
            let members = RequestGuildMembersRequest {
                guild_id,
                limit: 5 + turn,
                ..RequestGuildMembersRequest::default()
            };
            let mut chunks = to()
                .stream::<_, RequestGuildMembersResponse>(&members)
                .await?;
            let Some(Ok(chunk)) = chunks.next().await else {
                bail!("no members came");
            };
            let found = chunk.chunk.unwrap_or_default().members.len();
            ensure!(found == 5 + turn as usize);
            ensure!(chunks.next().await.is_none(), "that was all");
        }
        let asked = RequestSoundboardSoundsRequest {
            guild_ids: pair.stage.sim.guild_ids(),
        };
        let mut sounds = to()
            .stream::<_, RequestSoundboardSoundsResponse>(&asked)
            .await?;
        let mut count = 0;
        while let Some(sound) = sounds.next().await {
            sound?;
            count += 1;
        }
        ensure!(
            count == asked.guild_ids.len(),
            "{count} guilds told their sounds"
        );
        ensure!(pair.presence().await?.shard_ids == [0, 1]);
    }
    pair.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_nobody_holds_is_named_at_once() -> Result<()> {
    let rabbit = Rabbit::shared();
    let mut pair = Pair::start(rabbit, "alone").await?;
    let Some(second) = pair.services.pop() else {
        bail!("there are two");
    };
    second.terminate()?;
    let began = Instant::now();
    let voice = UpdateVoiceStateRequest {
        guild_id: pair.guilds[1],
        ..UpdateVoiceStateRequest::default()
    };
    let patient = pair.requests.to(pair.application_id);
    let answer: Result<UpdateVoiceStateResponse, _> =
        patient.timeout(Duration::from_secs(60)).call(&voice).await;
    let Err(CallError::Failed(failure)) = answer else {
        bail!("it should have failed, but: {answer:?}");
    };
    ensure!(failure.code() == Code::Unavailable, "{failure:?}");
    ensure!(failure.message.contains("shard 1"), "{}", failure.message);
    ensure!(began.elapsed() < Duration::from_secs(30), "not at once");

    let Err(CallError::Failed(failure)) = pair.presence().await else {
        bail!("a shard is away");
    };
    ensure!(failure.code() == Code::Unavailable, "{failure:?}");
    let words = "the shards [1] have not got the presence; the others have";
    ensure!(failure.message.contains(words), "{}", failure.message);
    pair.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_too_late_or_cannot_be_read_is_told_so_and_not_done() -> Result<()> {
    let rabbit = Rabbit::shared();
    let pair = Pair::start(rabbit, "late").await?;
    let mut caller = Caller::connect(rabbit).await?;
    let key = format!("ws.UpdateVoiceState.{}", pair.application_id);
    let voice = UpdateVoiceStateRequest {
        guild_id: pair.guilds[0],
        ..UpdateVoiceStateRequest::default()
    };
    let body = voice.encode_to_vec();
    // Field 2047, which the contract does not have.
    let strange = [body.as_slice(), &[0xf8, 0x7f, 1]].concat();
    let mut past = FieldTable::default();
    past.insert("deadline".into(), AMQPValue::LongLongInt(1_600_000_000_000));
    let method = BasicProperties::default().with_type("gateway.v1.Ws/UpdateVoiceState".into());
    for (body, properties, code, words) in [
        (
            &body,
            method.clone().with_headers(past),
            Code::DeadlineExceeded,
            "the time",
        ),
        (
            &strange,
            method.clone(),
            Code::InvalidArgument,
            "number 2047",
        ),
        (
            &vec![0xff],
            method.clone(),
            Code::InvalidArgument,
            "UpdateVoiceStateRequest",
        ),
    ] {
        caller
            .call_with("late.requests", &key, body, properties)
            .await?;
        let reply = caller.reply().await?;
        let failure = Error::decode(reply.data.as_slice())?;
        ensure!(failure.code() == code, "{failure:?}");
        ensure!(failure.message.contains(words), "{}", failure.message);
    }
    caller.close().await?;
    pair.stop()
}
