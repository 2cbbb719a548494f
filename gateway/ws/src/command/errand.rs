//! Carries checked requests out: here, on other replicas, or on both.

use super::{
    Inner,
    failure::{failure, too_late},
    job::{Job, Method},
    line::{self, Ticket},
    nobodys,
    payload::Payload,
    question::Question,
};
use broker::{CallError, Request};
use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    future::join_all,
    stream::{self, BoxStream, FuturesUnordered},
};
use prost::{Message, Name};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::Shard;
use tokio::time::Instant;
use wire::gateway::v1::{
    Code, Error as Failure, RequestChannelInfoResponse, RequestGuildMembersResponse,
    RequestSoundboardSoundsRequest, RequestSoundboardSoundsResponse, SendResponse,
    UpdatePresenceRequest, UpdatePresenceResponse, UpdateVoiceStateResponse,
};

/// Number of the field `status` of a channel's info.
const STATUS: u32 = 2;

/// Number of the field `voice_start_time` of a channel's info.
const VOICE_START_TIME: u32 = 3;

/// How a request was carried out.
#[derive(Debug)]
pub(super) enum Done {
    /// It is for whoever takes requests with this routing key.
    Elsewhere(Shard, String),
    /// This is the last of several replies: name and body.
    End(String, Bytes),
    /// A reply did not get through; the request comes again.
    Gone(broker::Error),
    /// This is the one reply: name and body.
    Reply(String, Bytes),
}

/// A request that is being carried out.
#[derive(Debug)]
pub(super) struct Errand<'a> {
    commands: &'a Inner,
    method: Method,
    /// How many shards there are.
    count: u32,
    /// How long the caller waits for each reply.
    limit: Duration,
    /// Until when the caller waits for the first.
    until: Instant,
    priority: u8,
}

/// Answers of one shard as they come, or why there are no more.
type Parts<'a> = BoxStream<'a, Result<Bytes, (u32, Failure)>>;

impl<'a> Errand<'a> {
    pub(super) fn new(
        commands: &'a Inner,
        method: Method,
        count: u32,
        limit: Duration,
        priority: u8,
    ) -> Self {
        Self {
            commands,
            method,
            count,
            limit,
            until: Instant::now() + limit,
            priority,
        }
    }

    /// Carries out what one shard of this process can.
    pub(super) async fn here(
        &self,
        job: Job,
        line: &Arc<line::Line>,
        request: &mut Request,
    ) -> Result<Done, Failure> {
        match job {
            Job::Ask(id, Question::Sounds(guild_ids)) => {
                let shards = BTreeMap::from([(id, guild_ids)]);
                self.sounds(shards, request).await
            }
            Job::Ask(_, question) => self.members(&question, line, request).await,
            Job::Info(_, question, fields) => self.channel_info(&question, &fields, line).await,
            Job::One(shard_id, payload) => {
                line.send(payload, self.priority, self.until).await?;
                Ok(match self.method {
                    Method::UpdateVoiceState => reply(&UpdateVoiceStateResponse { shard_id }),
                    _ => reply(&SendResponse { shard_id }),
                })
            }
            Job::Presence(shard_ids, payload, _) => {
                line.send(payload, self.priority, self.until).await?;
                let shard_ids = shard_ids.into_iter().collect();
                Ok(reply(&UpdatePresenceResponse { shard_ids }))
            }
            Job::Sounds(shards) => self.sounds(shards, request).await,
        }
    }

    /// Carries out what takes several shards, wherever they are.
    pub(super) async fn everywhere(
        &self,
        job: Job,
        request: &mut Request,
    ) -> Result<Done, Failure> {
        match job {
            Job::Presence(shard_ids, payload, asked) => {
                let sending = shard_ids.iter().map(async |id| {
                    let sent = self.presence(*id, payload.clone(), &asked).await;
                    (*id, sent)
                });
                let outcomes = join_all(sending).await;
                let failed = |(id, sent): (u32, Result<(), Failure>)| Some((id, sent.err()?));
                let failures: Vec<_> = outcomes.into_iter().filter_map(failed).collect();
                if !failures.is_empty() {
                    return Err(summary(
                        &failures,
                        "have not got the presence; the others have",
                    ));
                }
                let shard_ids = shard_ids.into_iter().collect();
                Ok(reply(&UpdatePresenceResponse { shard_ids }))
            }
            Job::Sounds(shards) => self.sounds(shards, request).await,
            Job::Ask(..) | Job::Info(..) | Job::One(..) => {
                let text = "a request for one shard was taken for one for several";
                Err(failure(Code::Internal, text))
            }
        }
    }

    /// Sends a presence over one shard's connection, wherever it is.
    async fn presence(
        &self,
        id: u32,
        payload: Payload,
        asked: &UpdatePresenceRequest,
    ) -> Result<(), Failure> {
        let shard = self.shard(id);
        if let Some(line) = self.commands.line(shard) {
            return line.send(payload, self.priority, self.until).await;
        }
        let body = UpdatePresenceRequest {
            shard_ids: vec![id],
            ..asked.clone()
        };
        let body = body.encode_to_vec().into();
        let (method, key) = self.address(shard);
        let left = self.until.saturating_duration_since(Instant::now());
        let client = &self.commands.client;
        let asked = client.call(&method, &key, body, self.priority, left);
        asked.await.map_err(|error| told(error, shard))?;
        Ok(())
    }

    /// Hands out the chunks of members as they come.
    async fn members(
        &self,
        question: &Question,
        line: &Arc<line::Line>,
        request: &mut Request,
    ) -> Result<Done, Failure> {
        let mut ticket = single(line.ask(question, self.priority)?)?;
        let name = RequestGuildMembersResponse::full_name();
        let mut until = self.until;
        loop {
            let (part, is_last) = ticket.next(until).await?;
            if is_last {
                return Ok(Done::End(name, part));
            }
            if let Err(error) = request.part(&name, part).await {
                return Ok(Done::Gone(error));
            }
            until = Instant::now() + self.limit;
        }
    }

    /// What is known of channels, without the fields that were not asked for.
    async fn channel_info(
        &self,
        question: &Question,
        fields: &[String],
        line: &Arc<line::Line>,
    ) -> Result<Done, Failure> {
        let mut ticket = single(line.ask(question, self.priority)?)?;
        let (part, _) = ticket.next(self.until).await?;
        if fields.is_empty() {
            return Ok(Done::Reply(RequestChannelInfoResponse::full_name(), part));
        }
        let broken = |error| failure(Code::Internal, format!("CHANNEL_INFO is broken: {error}"));
        let mut response = RequestChannelInfoResponse::decode(part).map_err(broken)?;
        let wanted = |name: &str| fields.iter().any(|field| field == name);
        let (status, time) = (wanted("status"), wanted("voice_start_time"));
        for channel in response.info.iter_mut().flat_map(|info| &mut info.channels) {
            channel.status = channel.status.take().filter(|_| status);
            channel.voice_start_time = channel.voice_start_time.filter(|_| time);
            channel.nulls.retain(|number| {
                (status || *number != STATUS) && (time || *number != VOICE_START_TIME)
            });
        }
        Ok(reply(&response))
    }

    /// Hands out the sounds of guilds as they come, from whichever shard.
    async fn sounds(
        &self,
        shards: BTreeMap<u32, Vec<u64>>,
        request: &mut Request,
    ) -> Result<Done, Failure> {
        let name = RequestSoundboardSoundsResponse::full_name();
        let mut missing: usize = shards.values().map(Vec::len).sum();
        let mut failures = Vec::new();
        let asking = shards
            .into_iter()
            .map(|(id, guild_ids)| self.sounds_of(id, guild_ids));
        let mut parts = stream::select_all(join_all(asking).await);
        while let Some(part) = parts.next().await {
            match part {
                Ok(part) if missing == 1 && failures.is_empty() => {
                    return Ok(Done::End(name, part));
                }
                Ok(part) => {
                    missing = missing.saturating_sub(1);
                    if let Err(error) = request.part(&name, part).await {
                        return Ok(Done::Gone(error));
                    }
                }
                Err(failure) => failures.push(failure),
            }
        }
        Err(summary(&failures, "have not told all that was asked for"))
    }

    /// The sounds of guilds of one shard, wherever it is.
    async fn sounds_of(&self, id: u32, guild_ids: Vec<u64>) -> Parts<'a> {
        let shard = self.shard(id);
        let failed = |failure| stream::iter([Err((id, failure))]).boxed();
        if let Some(line) = self.commands.line(shard) {
            let tickets = match line.ask(&Question::Sounds(guild_ids), self.priority) {
                Ok(tickets) => tickets,
                Err(failure) => return failed(failure),
            };
            let until = self.until;
            let waiting = tickets.into_iter().map(|mut ticket| async move {
                let answer = ticket.next(until).await;
                answer.map(|(part, _)| part).map_err(|why| (id, why))
            });
            return waiting.collect::<FuturesUnordered<_>>().boxed();
        }
        let body = RequestSoundboardSoundsRequest { guild_ids };
        let body = body.encode_to_vec().into();
        let (method, key) = self.address(shard);
        let left = self.until.saturating_duration_since(Instant::now());
        let client = &self.commands.client;
        let asked = client.stream(&method, &key, body, self.priority, left);
        let replies = match asked.await {
            Ok(replies) => replies,
            Err(error) => return failed(told(error, shard)),
        };
        let parts = stream::unfold(Some(replies), move |replies| async move {
            let mut replies = replies?;
            match replies.next().await? {
                Ok(reply) => {
                    let rest = (!reply.end).then_some(replies);
                    Some((Ok(reply.body), rest))
                }
                Err(error) => Some((Err((id, told(error, shard))), None)),
            }
        });
        parts.boxed()
    }

    /// The full name of the method, and the routing key to the one who holds a shard.
    fn address(&self, shard: Shard) -> (String, String) {
        let method = format!("gateway.v1.Ws/{}", self.method.name());
        let key = self.method.key(self.commands.application_id, shard);
        (method, key)
    }

    const fn shard(&self, id: u32) -> Shard {
        Shard {
            count: self.count,
            id,
        }
    }
}

/// The one ticket for a question about one guild.
fn single(tickets: Vec<Ticket>) -> Result<Ticket, Failure> {
    let nothing = || failure(Code::Internal, "nothing was asked");
    tickets.into_iter().next().ok_or_else(nothing)
}

fn reply<M: Message + Name>(message: &M) -> Done {
    Done::Reply(M::full_name(), message.encode_to_vec().into())
}

/// What another replica said, or why it said nothing.
fn told(error: CallError, shard: Shard) -> Failure {
    match error {
        CallError::Nobody(_) => nobodys(shard),
        CallError::Late(_) => too_late(),
        error => error.into(),
    }
}

/// What is told of the shards that failed, when others may not have.
fn summary(failures: &[(u32, Failure)], what: &str) -> Failure {
    let Some((_, first)) = failures.first() else {
        return failure(
            Code::Unavailable,
            "Discord did not answer all that was asked",
        );
    };
    let ids: Vec<u32> = failures.iter().map(|(id, _)| *id).collect();
    let is_same = failures.iter().all(|(_, it)| it.code == first.code);
    let code = if is_same {
        first.code()
    } else {
        Code::Unavailable
    };
    let waits = failures.iter().filter_map(|(_, it)| it.retry_after);
    Failure {
        retry_after: waits.max_by_key(|it| (it.seconds, it.nanos)),
        ..failure(
            code,
            format!("the shards {ids:?} {what}. First: {}", first.message),
        )
    }
}
