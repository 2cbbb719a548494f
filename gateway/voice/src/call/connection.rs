//! The connection of a call: what the handshake wants is done, and what happens is told it.

use std::time::Duration;

use prost::Message as _;
use store::Written;
use tokio::time::Instant;
use wire::gateway::v1::{
    Code, Error as Failure, RecordingEndReason, UpdateVoiceStateRequest, VoiceConnectReason,
    VoiceConnected, VoiceDisconnectReason, VoiceDisconnected, VoiceJoinResponse, VoiceMoveResponse,
    event::Data,
};

use super::{Call, Joining, News, Own, answer};
use crate::{
    driver::Note,
    failure::failure,
    handshake::{Handshake, Heard, Loss, Step, Times},
    order::{Answer, Reply},
};

/// How long `gateway-ws` may take to hand opcode 4 to Discord.
const ASKING: Duration = Duration::from_secs(5);
/// How urgent that is.
const PRIORITY: u8 = 9;

impl Call {
    /// Begins to join a channel, or to go to another one.
    pub(super) fn go(&mut self, channel_id: u64, reply: Reply, joining: Joining) {
        let now = Instant::now();
        self.since = now;
        self.not_asked = None;
        self.joining = Some((reply, joining));
        let step = match &mut self.handshake {
            Some(handshake) => handshake.move_to(channel_id, now),
            None => {
                let (handshake, step) = Handshake::join(channel_id, self.times(), now);
                self.handshake = Some(handshake);
                step
            }
        };
        self.step(step);
    }

    pub(super) fn times(&self) -> Times {
        Times {
            join: self.shared.settings.join_timeout,
            reconnect: self.shared.settings.reconnect_timeout,
        }
    }

    /// A connection was made, or was not.
    pub(super) fn on_connecting(&mut self, done: Result<(), Option<u16>>) {
        match done {
            Ok(()) => self.hear(Heard::Connected),
            Err(code) => self.hear(Heard::Closed(code)),
        }
    }

    /// Opcode 4 is with Discord, or is not, or the channel is another node's.
    pub(super) fn on_asked(&mut self, asked: Result<Written, Failure>) {
        let failure = match asked {
            Ok(Written::Done) => return,
            Ok(Written::Fenced) => return self.lose(),
            Err(failure) => failure,
        };
        tracing::debug!(
            guild = self.guild_id,
            reason = failure.message,
            "gateway-ws did not hand a voice state to Discord"
        );
        self.not_asked = Some(failure);
        self.hear(Heard::NotAsked);
    }

    /// The gateway says something about the guild.
    pub(super) async fn on_news(&mut self, news: News) {
        match news {
            News::Own(own) => {
                let Own {
                    heard,
                    mute,
                    deaf,
                    suppressed,
                } = own;
                (self.mute, self.deaf, self.suppressed) = (mute, deaf, suppressed);
                self.locate().await;
                self.hear(heard);
            }
            News::Server(heard) => {
                self.locate().await;
                self.hear(heard);
            }
            News::Lost => self.lose(),
            News::Member(someone) => self.on_member(someone.user_id, someone.channel_id),
            News::Members(_) => self.on_members(),
            News::Connected(node) if node != self.shared.node => self.held.claim(),
            News::Connected(_) => {}
        }
    }

    /// songbird says something.
    pub(super) fn on_note(&mut self, note: Note) {
        match note {
            // What is being made says by itself what became of it: this was the one before.
            Note::Closed(_) if self.connecting.is_some() => {}
            Note::Closed(code) => self.hear(Heard::Closed(code)),
            Note::Manner(user_id, manner) => self.on_manner(user_id, manner),
            Note::Speaks(user_id, speaks) => self.on_speaks(user_id, speaks),
            Note::Left(user_id) => self.on_left(user_id),
            Note::Ended(number, end) => self.on_ended(number, &end),
        }
    }

    /// Something that was waited for has not come.
    pub(super) fn on_due(&mut self) {
        if let Some(handshake) = &mut self.handshake {
            let step = handshake.tick(Instant::now());
            self.step(step);
        }
    }

    pub(super) fn hear(&mut self, heard: Heard) {
        if let Some(handshake) = &mut self.handshake {
            let step = handshake.on(heard, Instant::now());
            self.step(step);
        }
    }

    /// Does what the handshake wants.
    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Nothing => {}
            Step::Ask(channels) => self.ask(channels),
            Step::Connect(info) => {
                self.connecting = Some(Box::pin(self.player.connect(&info)));
            }
            Step::Ready(reason) => self.ready(reason),
            Step::Stayed => self.stayed(),
            Step::Lost(loss) => {
                self.since = Instant::now();
                (self.connecting, self.speaking) = (None, None);
                self.player.leave();
                self.told_lost(&loss, true);
                if !loss.ask.is_empty() {
                    self.ask(loss.ask);
                }
            }
            Step::End(loss) => self.end(&loss),
        }
    }

    /// Has `gateway-ws` send opcode 4, for one channel after the other, if the call is this node's still: else it would take the
    /// channel away from the node that has it.
    pub(super) fn ask(&mut self, channels: Vec<Option<u64>>) {
        let ours = self.is_ours();
        let client = self.shared.client.clone();
        let key = format!("ws.UpdateVoiceState.{}", self.shared.application_id);
        let (guild_id, self_mute, self_deaf) = (self.guild_id, self.self_mute, self.self_deaf);
        self.asking = Some(Box::pin(async move {
            if ours.await == Written::Fenced {
                return Ok(Written::Fenced);
            }
            for channel_id in channels {
                let request = UpdateVoiceStateRequest {
                    guild_id,
                    channel_id,
                    self_mute,
                    self_deaf,
                };
                let body = request.encode_to_vec().into();
                let method = "gateway.v1.Ws/UpdateVoiceState";
                client.call(method, &key, body, PRIORITY, ASKING).await?;
            }
            Ok(Written::Done)
        }));
    }

    /// Sound can be sent.
    fn ready(&mut self, reason: VoiceConnectReason) {
        self.is_changed = true;
        let took = self.since.elapsed();
        self.shared
            .metrics
            .connected(reason.as_str_name(), took.as_secs_f64());
        self.player.mute(self.self_mute);
        self.player.ears().moved(self.channel_id());
        if let Some(playing) = &self.playing {
            playing.reconnected();
        }
        tracing::info!(
            guild = self.guild_id,
            channel = self.channel_id(),
            reason = reason.as_str_name(),
            "a call is connected"
        );
        let event = VoiceConnected {
            guild_id: self.guild_id,
            channel_id: self.channel_id(),
            reason: reason.into(),
            node: self.shared.node.clone(),
        };
        self.tell(Data::VoiceConnected(Box::new(event)));
        self.meet(reason == VoiceConnectReason::Move);
        self.attend();
        self.speak_up();
    }

    /// Whoever waits for the connection is told that it stands, and why the bot is no speaker, if it was to be one.
    pub(super) fn joined(&mut self, detail: String) {
        let Some((reply, joining)) = self.joining.take() else {
            return;
        };
        let call = Some(self.shown());
        let response = match joining {
            Joining::Join => Answer::new(&VoiceJoinResponse { call, detail }),
            Joining::Move => Answer::new(&VoiceMoveResponse { call }),
        };
        answer(reply, Ok(response));
    }

    /// The bot was not let into another channel.
    fn stayed(&mut self) {
        let refused = self.not_asked.take().unwrap_or_else(|| {
            let text = "Discord does not let the bot into that channel: it is full, or the bot may not view it or \
                        connect to it; the call stays where it was";
            failure(Code::PermissionDenied, text)
        });
        if let Some((reply, _)) = self.joining.take() {
            answer(reply, Err(refused));
        }
    }

    pub(super) fn told_lost(&self, loss: &Loss, retries: bool) {
        let reason = loss.reason.as_str_name();
        self.shared.metrics.lost(reason);
        tracing::info!(
            guild = self.guild_id,
            channel = self.channel_id(),
            reason,
            close_code = loss.close_code,
            retries,
            "a call has lost its connection"
        );
        let event = VoiceDisconnected {
            guild_id: self.guild_id,
            channel_id: self.channel_id(),
            reason: loss.reason.into(),
            close_code: loss.close_code.map(u32::from),
            retries,
            node: self.shared.node.clone(),
            detail: loss.detail.clone(),
        };
        self.tell(Data::VoiceDisconnected(Box::new(event)));
    }

    /// The call is over, and not by an order.
    fn end(&mut self, loss: &Loss) {
        if let Some((reply, _)) = self.joining.take() {
            let refused = self.not_asked.take().unwrap_or_else(|| why(loss));
            self.leaving = Some((reply, Err(refused)));
        }
        let left = loss.reason != VoiceDisconnectReason::Removed;
        self.over(loss, left);
    }

    /// The call is over: its queue is dropped, and the channel left unless the bot is in none.
    pub(super) fn over(&mut self, loss: &Loss, leave: bool) {
        self.drop_tracks();
        self.end_recording(RecordingEndReason::CallEnded, None);
        (self.connecting, self.speaking) = (None, None);
        self.player.leave();
        self.told_lost(loss, false);
        if leave {
            self.ask(vec![None]);
        }
        self.is_over = true;
    }

    /// The node is stopped: another one goes on with the call, or it ends.
    pub(super) async fn stop_node(&mut self) {
        if self.shared.store.is_shared() && self.joining.is_none() {
            return self.hand_over().await;
        }
        self.locate().await;
        let loss = Loss {
            reason: VoiceDisconnectReason::Shutdown,
            close_code: None,
            detail: "the node is being stopped".to_owned(),
            ask: Vec::new(),
        };
        if let Some((reply, _)) = self.joining.take() {
            let text = "the node is being stopped; try again";
            answer(reply, Err(failure(Code::Unavailable, text)));
        }
        self.over(&loss, true);
    }

    /// Lets opcode 4 get through before the call is forgotten.
    pub(super) async fn part(&mut self) {
        if let Some(asking) = self.asking.take()
            && let Err(failure) = asking.await
        {
            tracing::debug!(
                guild = self.guild_id,
                reason = failure.message,
                "the bot may be in the channel still"
            );
        }
    }
}

/// Why nobody was let in.
fn why(loss: &Loss) -> Failure {
    match loss.close_code {
        None => failure(Code::PermissionDenied, loss.detail.clone()),
        Some(code) => {
            let text = format!("{} (close code {code})", loss.detail);
            failure(Code::FailedPrecondition, text)
        }
    }
}
