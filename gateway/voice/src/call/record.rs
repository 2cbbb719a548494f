//! Recordings of a call.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use wire::gateway::v1::{
    Code, Error as Failure, RecordingEnd, RecordingEndReason, VoiceRecordResponse,
    VoiceStopRecordResponse, event::Data,
};

use super::{Call, Done, answer, orders::not_connected};
use crate::{
    failure::failure,
    handshake::Heard,
    order::{Answer, Reply},
    recorder::{Recorder, Target, Wanted},
};

/// What is left of a recording, and who waits for it.
pub(super) struct Recorded {
    reason: RecordingEndReason,
    result: VoiceStopRecordResponse,
    reply: Option<Reply>,
}

/// The recording of a call.
#[derive(Default)]
pub(super) struct Tape {
    /// The one that goes on.
    pub(super) recorder: Option<Recorder>,
    /// One that ends: its last frames are on their way.
    pub(super) ending: Option<BoxFuture<'static, Recorded>>,
}

impl Tape {
    /// The name of the recording that goes on.
    pub(super) fn id(&self) -> String {
        let recorder = self.recorder.as_ref();
        recorder.map_or_else(String::new, |recorder| recorder.id().to_owned())
    }
}

impl Call {
    /// Begins a recording.
    pub(super) fn record(&mut self, wanted: Wanted, reply: Reply) {
        if let Err(refused) = self.check_record(wanted.target) {
            return answer(reply, Err(refused));
        }
        let shared = Arc::clone(&self.shared);
        let ears = self.player.ears();
        match wanted.target {
            Target::Broker(format) => {
                let call = recording::Call {
                    guild_id: self.guild_id,
                    channel_id: self.channel_id(),
                };
                let (way, metrics) = (shared.way.clone(), &shared.metrics);
                let recorder = Recorder::audio(ears, call, wanted, format, way, metrics);
                self.recorded(Ok(recorder), reply);
            }
            Target::Files => {
                let ears = ears.clone();
                self.work = Some(Box::pin(async move {
                    let recordings = &shared.recordings;
                    let directory = recordings.directory.as_deref().unwrap_or("".as_ref());
                    let (most, metrics) = (recordings.limit, &shared.metrics);
                    let begun = Recorder::files(ears, directory, wanted, most, metrics).await;
                    Done::Recording(begun.map(Box::new), reply)
                }));
            }
        }
    }

    fn check_record(&self, target: Target) -> Result<(), Failure> {
        if let Some(recorder) = &self.tape.recorder {
            let text = format!(
                "the call is being recorded already, as {}; StopRecord ends that",
                recorder.id()
            );
            return Err(failure(Code::AlreadyExists, text));
        }
        if !self.is_connected() {
            return Err(not_connected());
        }
        if self.deaf || self.self_deaf {
            let text = "the bot is deaf: Discord sends it nothing; UpdateSelf may change that";
            return Err(failure(Code::FailedPrecondition, text));
        }
        if target == Target::Files && self.shared.recordings.directory.is_none() {
            let text =
                "this node has no directory for recordings: the operator sets VOICE_RECORDINGS";
            return Err(failure(Code::FailedPrecondition, text));
        }
        Ok(())
    }

    /// A recording was begun, or cannot be.
    pub(super) fn recorded(&mut self, begun: Result<Recorder, recording::Error>, reply: Reply) {
        let result = match begun {
            Ok(recorder) => {
                let recording_id = recorder.id().to_owned();
                tracing::info!(
                    guild = self.guild_id,
                    recording = recording_id,
                    "a recording begins"
                );
                self.tape.recorder = Some(recorder);
                self.is_changed = true;
                Ok(Answer::new(&VoiceRecordResponse { recording_id }))
            }
            Err(error) => {
                let reason = error.to_string();
                tracing::warn!(guild = self.guild_id, reason, "a recording cannot be begun");
                Err(failure(Code::FailedPrecondition, reason))
            }
        };
        answer(reply, result);
    }

    /// Ends the recording at a worker's wish.
    pub(super) fn stop_record(&mut self, reply: Reply) {
        if self.tape.recorder.is_none() {
            let text = "nothing is being recorded; Record begins that";
            return answer(reply, Err(failure(Code::FailedPrecondition, text)));
        }
        self.end_recording(RecordingEndReason::Stopped, Some(reply));
    }

    /// Looks after the recording, now and then.
    pub(super) fn on_recording_due(&mut self) {
        let has_listened = self.player.ears().have_listened();
        let is_connected = self.is_connected();
        let Some(recorder) = &mut self.tape.recorder else {
            return;
        };
        if recorder.tick() {
            return self.end_recording(RecordingEndReason::Limit, None);
        }
        if recorder.is_deaf(has_listened, is_connected) {
            // A packet that it cannot read ends songbird's task that takes packets, and nobody starts it again.
            tracing::warn!(
                guild = self.guild_id,
                "a call hears nothing any more: it gets another connection"
            );
            self.hear(Heard::Closed(None));
        }
    }

    /// Begins to end the recording, if there is one.
    pub(super) fn end_recording(&mut self, reason: RecordingEndReason, reply: Option<Reply>) {
        let Some(recorder) = self.tape.recorder.take() else {
            return;
        };
        self.is_changed = true;
        self.tape.ending = Some(Box::pin(async move {
            Recorded {
                reason,
                result: recorder.stop().await,
                reply,
            }
        }));
    }

    /// A recording has ended.
    pub(super) fn on_recorded(&mut self, recorded: Recorded) {
        let Recorded {
            reason,
            result,
            reply,
        } = recorded;
        tracing::info!(
            guild = self.guild_id,
            recording = result.recording_id,
            reason = reason.as_str_name(),
            frames = result.frames,
            dropped = result.dropped,
            "a recording has ended"
        );
        if let Some(reply) = reply {
            answer(reply, Ok(Answer::new(&result)));
        }
        let recording_id = result.recording_id.clone();
        self.told_recording_end(recording_id, reason, Some(result));
    }

    /// Tells that the node is gone that recorded the call.
    pub(super) fn told_recording_lost(&self, recording_id: &str) {
        if !recording_id.is_empty() {
            let reason = RecordingEndReason::Node;
            self.told_recording_end(recording_id.to_owned(), reason, None);
        }
    }

    fn told_recording_end(
        &self,
        recording_id: String,
        reason: RecordingEndReason,
        result: Option<VoiceStopRecordResponse>,
    ) {
        let event = RecordingEnd {
            guild_id: self.guild_id,
            channel_id: self.channel_id(),
            recording_id,
            reason: reason.into(),
            result,
        };
        self.tell(Data::RecordingEnd(Box::new(event)));
    }
}
