//! The orders of workers, carried out.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use wire::gateway::v1::{
    Code, Error as Failure, TrackEndReason, VoiceDisconnectReason, VoiceEnqueueResponse,
    VoiceJoinRequest, VoiceLeaveResponse, VoicePauseResponse, VoiceQueueResponse,
    VoiceResumeResponse, VoiceSeekResponse, VoiceSetLoopResponse, VoiceSetVolumeResponse,
    VoiceSkipResponse, VoiceStatusResponse, VoiceStopResponse, VoiceStreamRequest,
    VoiceStreamResponse, VoiceUpdateSelfResponse,
};

use super::{Call, Done, Joining, answer};
use crate::{
    failure::{failure, nothing_plays, too_late},
    handshake::Loss,
    order::{Answer, Job, Order, Reply},
    track::{Track, proto},
};

/// How many messages with sound may wait for room.
const STREAMING: usize = 8;

impl Call {
    /// Carries an order out. What cannot be answered at once is answered later.
    pub(super) async fn on_job(&mut self, job: Job) {
        let Job {
            order,
            until,
            reply,
        } = job;
        if until <= Instant::now() || reply.is_closed() {
            return answer(reply, Err(too_late()));
        }
        let looks = matches!(order, Order::Queue(..) | Order::Status | Order::Stream(_));
        self.is_changed |= !looks;
        let result = match order {
            Order::Join(wanted) => return self.join(&wanted, reply).await,
            Order::Move(channel_id) => return self.move_to(channel_id, reply),
            Order::Play(track) => return self.play(track, reply),
            Order::Seek(position) => return self.seek(position, reply),
            Order::Stream(wanted) => return self.streamed(wanted, reply),
            Order::Leave => return self.leave(reply).await,
            Order::Record(wanted) => return self.record(wanted, reply),
            Order::StopRecord => return self.stop_record(reply),
            Order::Enqueue(tracks, place) => self.enqueue(tracks, place),
            Order::Pause => self.pause().await,
            Order::Resume => self.resume().await,
            Order::Stop => self.stop().await,
            Order::Skip(count) => self.skip(count).await,
            Order::SetVolume(volume) => Ok(self.set_volume(volume)),
            Order::SetLoop(looping) => {
                self.queue.set_loop(looping);
                Ok(Answer::new(&VoiceSetLoopResponse {}))
            }
            Order::UpdateSelf(mute, deaf) => Ok(self.update_self(mute, deaf)),
            Order::Queue(offset, limit) => Ok(self.page(offset, limit)),
            Order::Status => {
                self.locate().await;
                let call = Some(self.shown());
                Ok(Answer::new(&VoiceStatusResponse { call }))
            }
        };
        answer(reply, result);
    }

    async fn join(&mut self, wanted: &VoiceJoinRequest, reply: Reply) {
        let changed = (self.self_mute, self.self_deaf) != (wanted.self_mute, wanted.self_deaf);
        (self.self_mute, self.self_deaf) = (wanted.self_mute, wanted.self_deaf);
        self.speak = wanted.speak;
        if self.handshake.is_none() || self.channel_id() != wanted.channel_id {
            return self.go(wanted.channel_id, reply, Joining::Join);
        }
        if !self.is_connected() {
            // It is told when the connection stands again.
            self.joining = Some((reply, Joining::Join));
            return;
        }
        if changed {
            self.update_self(Some(wanted.self_mute), Some(wanted.self_deaf));
        }
        self.locate().await;
        self.joining = Some((reply, Joining::Join));
        self.speak_up();
    }

    fn move_to(&mut self, channel_id: u64, reply: Reply) {
        if self.handshake.is_none() {
            return answer(reply, Err(crate::failure::no_call(self.guild_id)));
        }
        if !self.is_connected() {
            return answer(reply, Err(not_connected()));
        }
        if self.channel_id() == channel_id {
            self.joining = Some((reply, Joining::Move));
            return self.joined(String::new());
        }
        self.go(channel_id, reply, Joining::Move);
    }

    async fn leave(&mut self, reply: Reply) {
        self.locate().await;
        let loss = Loss {
            reason: VoiceDisconnectReason::Leave,
            close_code: None,
            detail: "a worker ended the call".to_owned(),
            ask: Vec::new(),
        };
        self.over(&loss, true);
        self.leaving = Some((reply, Ok(Answer::new(&VoiceLeaveResponse {}))));
    }

    fn enqueue(&mut self, tracks: Vec<Track>, place: Option<usize>) -> Result<Answer, Failure> {
        let track_ids = tracks.iter().map(|track| track.id().to_owned()).collect();
        let place = self.queue.enqueue(tracks, place)?;
        if let Some(track) = place.starts {
            self.paused = false;
            self.open(track, None);
        }
        Ok(Answer::new(&VoiceEnqueueResponse {
            track_ids,
            place: u32::try_from(place.in_front).unwrap_or(u32::MAX),
        }))
    }

    async fn pause(&mut self) -> Result<Answer, Failure> {
        if self.queue.playing().is_none() {
            return Err(nothing_plays());
        }
        self.paused = true;
        self.company.is_resting = false;
        if let Some(playing) = &self.playing {
            playing.pause();
        }
        self.locate().await;
        let position = Some(proto(self.position));
        Ok(Answer::new(&VoicePauseResponse { position }))
    }

    async fn resume(&mut self) -> Result<Answer, Failure> {
        if self.queue.playing().is_none() {
            return Err(nothing_plays());
        }
        self.locate().await;
        self.paused = false;
        self.company.is_resting = false;
        if let Some(playing) = &self.playing {
            playing.resume();
        }
        let position = Some(proto(self.position));
        Ok(Answer::new(&VoiceResumeResponse { position }))
    }

    /// Goes to a position; the worker is told when it is reached.
    fn seek(&mut self, position: Duration, reply: Reply) {
        match self.check_seek(position) {
            Err(failure) => answer(reply, Err(failure)),
            Ok(None) => {
                let position = Some(proto(position));
                answer(reply, Ok(Answer::new(&VoiceSeekResponse { position })));
            }
            Ok(Some(seeking)) => {
                self.work = Some(Box::pin(async move { Done::Sought(seeking.await, reply) }));
            }
        }
    }

    /// Sound for the track whose sound comes by messages; the worker is told when there is room for more.
    fn streamed(&mut self, wanted: VoiceStreamRequest, reply: Reply) {
        let sender = match &self.stream {
            Some((id, sender)) if *id == wanted.track_id => sender.clone(),
            _ => {
                let text = format!("no track {:?} takes sound just now", wanted.track_id);
                return answer(reply, Err(failure(Code::NotFound, text)));
            }
        };
        if self.streaming.len() >= STREAMING {
            let text = "too much sound waits for room already: wait for the answers";
            return answer(reply, Err(failure(Code::ResourceExhausted, text)));
        }
        let frames = wanted.frames.into_iter().map(Bytes::from).collect();
        self.streaming.push(Box::pin(async move {
            let sent = sender.send(wanted.sequence, frames, wanted.end).await;
            Done::Streamed(sent, reply)
        }));
    }

    /// What was waited for has come.
    pub(super) fn on_done(&mut self, done: Done) {
        match done {
            Done::Sought(reached, reply) => {
                if let Ok(position) = reached {
                    self.position = position;
                }
                let result = match reached {
                    Ok(position) => Ok(Answer::new(&VoiceSeekResponse {
                        position: Some(proto(position)),
                    })),
                    Err(Some(error)) => Err(failure(error.code(), error.to_string())),
                    Err(None) => Err(nothing_plays()),
                };
                answer(reply, result);
            }
            Done::Streamed(sent, reply) => {
                let result = match sent {
                    Ok(buffered) => Ok(Answer::new(&VoiceStreamResponse {
                        buffered: Some(proto(buffered)),
                    })),
                    Err(error) => Err(failure(error.code(), error.to_string())),
                };
                answer(reply, result);
            }
            Done::Recording(begun, reply) => self.recorded(begun.map(|it| *it), reply),
        }
    }

    async fn stop(&mut self) -> Result<Answer, Failure> {
        self.locate().await;
        self.end_track(TrackEndReason::Stopped);
        self.opening = None;
        self.stream = None;
        let dropped = self.queue.stop();
        let dropped = u32::try_from(dropped).unwrap_or(u32::MAX);
        Ok(Answer::new(&VoiceStopResponse { dropped }))
    }

    async fn skip(&mut self, count: usize) -> Result<Answer, Failure> {
        if self.queue.playing().is_none() {
            return Err(nothing_plays());
        }
        self.locate().await;
        self.end_track(TrackEndReason::Skipped);
        let next = self.queue.skip(count);
        self.paused = false;
        let track = next.as_ref().map(Track::shown);
        self.advance(next);
        Ok(Answer::new(&VoiceSkipResponse { track }))
    }

    fn set_volume(&mut self, volume: f64) -> Answer {
        self.volume = volume;
        if let (Some(playing), Some(track)) = (&self.playing, self.queue.playing()) {
            playing.set_volume(volume * track.volume());
        }
        Answer::new(&VoiceSetVolumeResponse {})
    }

    fn update_self(&mut self, mute: Option<bool>, deaf: Option<bool>) -> Answer {
        self.self_mute = mute.unwrap_or(self.self_mute);
        self.self_deaf = deaf.unwrap_or(self.self_deaf);
        self.player.mute(self.self_mute);
        // While it is being asked for, the next attempt says it.
        if self.is_connected() {
            self.ask(vec![Some(self.channel_id())]);
        }
        Answer::new(&VoiceUpdateSelfResponse {})
    }

    fn page(&self, offset: usize, limit: usize) -> Answer {
        let tracks = self.queue.tracks().skip(offset).take(limit);
        Answer::new(&VoiceQueueResponse {
            tracks: tracks.map(Track::shown).collect(),
            total: u32::try_from(self.queue.total()).unwrap_or(u32::MAX),
        })
    }
}

/// What needs a connection has to wait.
pub(super) fn not_connected() -> Failure {
    let text = "the call is being connected; try again";
    failure(Code::Unavailable, text)
}
