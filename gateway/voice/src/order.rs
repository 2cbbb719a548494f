//! What a worker asks of a call, checked.

use std::time::Duration;

use broker::Request;
use bytes::Bytes;
use prost::{Message, Name};
use tokio::{sync::oneshot, time::Instant};
use wire::gateway::v1::{
    Code, Error as Failure, VoiceEnqueueRequest, VoiceJoinRequest, VoiceLeaveRequest, VoiceLoop,
    VoiceMoveRequest, VoicePauseRequest, VoicePlayRequest, VoiceQueueRequest, VoiceRecordRequest,
    VoiceResumeRequest, VoiceSeekRequest, VoiceSetLoopRequest, VoiceSetVolumeRequest,
    VoiceSkipRequest, VoiceStatusRequest, VoiceStopRecordRequest, VoiceStopRequest,
    VoiceStreamRequest, VoiceUpdateSelfRequest,
};

use crate::{
    failure::{failure, invalid},
    recorder::Wanted,
    track::{Track, check_volume, positive},
};

/// How many tracks a request may have.
const MOST_TRACKS: usize = 1_000;
/// How many frames a request may have.
const MOST_FRAMES: usize = 250;
/// How many tracks of the queue an answer has, unless the worker says how many.
const PAGE: usize = 100;
/// How many it has at most.
const LARGEST_PAGE: usize = 1_000;

/// What is to be done with a call.
#[derive(Debug, PartialEq)]
pub(crate) enum Order {
    /// Be in a channel.
    Join(VoiceJoinRequest),
    /// Go.
    Leave,
    /// Go to another channel.
    Move(u64),
    /// Play now.
    Play(Track),
    /// Queue, behind so many.
    Enqueue(Vec<Track>, Option<usize>),
    /// Sound for a track.
    Stream(VoiceStreamRequest),
    /// Hold.
    Pause,
    /// Go on.
    Resume,
    /// Go to a position.
    Seek(Duration),
    /// End all tracks.
    Stop,
    /// End so many.
    Skip(usize),
    /// Set how loud it is.
    SetVolume(f64),
    /// Set what repeats.
    SetLoop(VoiceLoop),
    /// Mute or deafen itself.
    UpdateSelf(Option<bool>, Option<bool>),
    /// Receive what speakers say.
    Record(Wanted),
    /// Receive it no more.
    StopRecord,
    /// Tell so many tracks behind so many.
    Queue(usize, usize),
    /// Tell how it is.
    Status,
}

/// An order, and who waits for what becomes of it.
#[derive(Debug)]
pub(crate) struct Job {
    /// What is to be done.
    pub(crate) order: Order,
    /// Until when somebody waits.
    pub(crate) until: Instant,
    /// Who waits.
    pub(crate) reply: Reply,
}

/// Who waits for an answer.
pub(crate) type Reply = oneshot::Sender<Result<Answer, Failure>>;

/// A response message.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its full name.
    pub(crate) type_name: String,
    /// The encoded message.
    pub(crate) body: Bytes,
}

impl Answer {
    /// The answer with this message.
    pub(crate) fn new<M: Message + Name>(message: &M) -> Self {
        Self {
            type_name: M::full_name(),
            body: message.encode_to_vec().into(),
        }
    }
}

impl Order {
    /// Reads a request: the guild that it is for, and what is to be done. Inline sound has at most `most` bytes.
    ///
    /// # Errors
    /// What the worker should be told: what is wrong with it.
    pub(crate) fn read(request: &Request, most: usize) -> Result<(u64, Self), Failure> {
        let method = &request.call.method;
        let unknown = || {
            let text = format!("the service voice has no method {method}");
            failure(Code::Unimplemented, text)
        };
        let name = method
            .strip_prefix("gateway.v1.Voice/")
            .ok_or_else(unknown)?;
        let (guild_id, order) = match name {
            "Join" | "Move" | "Leave" | "UpdateSelf" => Self::place(name, request)?,
            "Play" | "Enqueue" | "Stream" => Self::sound(name, request, most)?,
            "Pause" | "Resume" | "Seek" | "Stop" | "Skip" => Self::course(name, request)?,
            "SetVolume" | "SetLoop" | "Queue" | "Status" => Self::state(name, request)?,
            "Record" => {
                let wanted: VoiceRecordRequest = request.decode()?;
                (wanted.guild_id, Self::Record(Wanted::read(&wanted)?))
            }
            "StopRecord" => {
                let wanted: VoiceStopRecordRequest = request.decode()?;
                (wanted.guild_id, Self::StopRecord)
            }
            _ => return Err(unknown()),
        };
        if guild_id == 0 {
            return Err(invalid("guild_id: it is missing"));
        }
        Ok((guild_id, order))
    }

    /// Where the bot is, and what of it the others hear and see.
    fn place(name: &str, request: &Request) -> Result<(u64, Self), Failure> {
        let channel = |id: u64| match id {
            0 => Err(invalid("channel_id: it is missing")),
            id => Ok(id),
        };
        Ok(match name {
            "Join" => {
                let wanted: VoiceJoinRequest = request.decode()?;
                channel(wanted.channel_id)?;
                (wanted.guild_id, Self::Join(wanted))
            }
            "Move" => {
                let wanted: VoiceMoveRequest = request.decode()?;
                (wanted.guild_id, Self::Move(channel(wanted.channel_id)?))
            }
            "Leave" => {
                let wanted: VoiceLeaveRequest = request.decode()?;
                (wanted.guild_id, Self::Leave)
            }
            _ => {
                let wanted: VoiceUpdateSelfRequest = request.decode()?;
                let order = Self::UpdateSelf(wanted.self_mute, wanted.self_deaf);
                (wanted.guild_id, order)
            }
        })
    }

    /// What there is to hear.
    fn sound(name: &str, request: &Request, most: usize) -> Result<(u64, Self), Failure> {
        Ok(match name {
            "Play" => {
                let wanted: VoicePlayRequest = request.decode()?;
                let track = wanted
                    .track
                    .ok_or_else(|| invalid("track: it is missing"))?;
                once(request, !track.id.is_empty())?;
                (wanted.guild_id, Self::Play(Track::new(track, most)?))
            }
            "Enqueue" => {
                let wanted: VoiceEnqueueRequest = request.decode()?;
                if wanted.tracks.is_empty() || wanted.tracks.len() > MOST_TRACKS {
                    let text = format!("tracks: there have to be 1 to {MOST_TRACKS}");
                    return Err(invalid(text));
                }
                once(request, wanted.tracks.iter().all(|it| !it.id.is_empty()))?;
                let tracks = wanted.tracks.into_iter();
                let tracks: Result<_, _> = tracks.map(|track| Track::new(track, most)).collect();
                let place = wanted.place.map(|place| place as usize);
                (wanted.guild_id, Self::Enqueue(tracks?, place))
            }
            _ => {
                let wanted: VoiceStreamRequest = request.decode()?;
                if wanted.frames.len() > MOST_FRAMES {
                    let text = format!("frames: there may be {MOST_FRAMES}");
                    return Err(invalid(text));
                }
                (wanted.guild_id, Self::Stream(wanted))
            }
        })
    }

    /// How it goes on with what plays.
    fn course(name: &str, request: &Request) -> Result<(u64, Self), Failure> {
        Ok(match name {
            "Pause" => {
                let wanted: VoicePauseRequest = request.decode()?;
                (wanted.guild_id, Self::Pause)
            }
            "Resume" => {
                let wanted: VoiceResumeRequest = request.decode()?;
                (wanted.guild_id, Self::Resume)
            }
            "Seek" => {
                let wanted: VoiceSeekRequest = request.decode()?;
                let position = wanted.position.and_then(positive);
                let position = position
                    .ok_or_else(|| invalid("position: it is missing, or before the beginning"))?;
                (wanted.guild_id, Self::Seek(position))
            }
            "Stop" => {
                let wanted: VoiceStopRequest = request.decode()?;
                (wanted.guild_id, Self::Stop)
            }
            _ => {
                let wanted: VoiceSkipRequest = request.decode()?;
                once(request, false)?;
                (wanted.guild_id, Self::Skip(wanted.count as usize))
            }
        })
    }

    /// How it is, and how it should be.
    fn state(name: &str, request: &Request) -> Result<(u64, Self), Failure> {
        Ok(match name {
            "SetVolume" => {
                let wanted: VoiceSetVolumeRequest = request.decode()?;
                check_volume(wanted.volume).map_err(|why| invalid(format!("volume: {why}")))?;
                (wanted.guild_id, Self::SetVolume(wanted.volume))
            }
            "SetLoop" => {
                let wanted: VoiceSetLoopRequest = request.decode()?;
                let looping = VoiceLoop::try_from(wanted.r#loop)
                    .map_err(|_| invalid("loop: there is no such value"))?;
                (wanted.guild_id, Self::SetLoop(looping))
            }
            "Queue" => {
                let wanted: VoiceQueueRequest = request.decode()?;
                let limit = match wanted.limit as usize {
                    0 => PAGE,
                    limit => limit.min(LARGEST_PAGE),
                };
                (wanted.guild_id, Self::Queue(wanted.offset as usize, limit))
            }
            _ => {
                let wanted: VoiceStatusRequest = request.decode()?;
                (wanted.guild_id, Self::Status)
            }
        })
    }
}

/// What must not happen twice, and has nothing to be known by, is not begun when it may have been carried out by a process
/// that then died.
fn once(request: &Request, is_known: bool) -> Result<(), Failure> {
    if is_known || !request.call.redelivered {
        return Ok(());
    }
    let text =
        "the request may have been carried out already, by a node that then died; the queue tells";
    Err(failure(Code::Aborted, text))
}
