//! What another node needs to go on with a call, as it is in the store.

use std::{fmt, time::Duration};

use prost::Message;
use wire::gateway::v1::{VoiceCall, VoiceTrack, voice_track::Source};

use crate::{handshake::Info, track::Track};

/// How many bytes of content the tracks of one call may have in the store. What is more is lost with its node.
const MOST: usize = 16 << 20;

/// A call, as it is saved.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct Saved {
    /// How it was.
    #[prost(message, optional, tag = "1")]
    pub(crate) call: Option<VoiceCall>,
    /// Its tracks, from the one that plays.
    #[prost(message, repeated, tag = "2")]
    pub(crate) tracks: Vec<VoiceTrack>,
    /// The session of its connection; empty: there is none.
    #[prost(string, tag = "3")]
    session_id: String,
    /// Its voice server.
    #[prost(string, tag = "4")]
    endpoint: String,
    /// What that lets it in with.
    #[prost(string, tag = "5")]
    token: String,
    /// Whether the bot mutes itself.
    #[prost(bool, tag = "6")]
    pub(crate) self_mute: bool,
    /// Whether the bot deafens itself.
    #[prost(bool, tag = "7")]
    pub(crate) self_deaf: bool,
    /// Whether its track is held since nobody listens.
    #[prost(bool, tag = "10")]
    pub(crate) is_resting: bool,
    /// Whether it wants to be a speaker in stage channels.
    #[prost(bool, tag = "8")]
    pub(crate) speak: bool,
}

impl Saved {
    /// A call that is so, with these tracks and this connection.
    pub(crate) fn new<'a>(
        call: VoiceCall,
        tracks: impl Iterator<Item = &'a Track>,
        info: Option<&Info>,
    ) -> Self {
        let mut left = MOST;
        let tracks = tracks.filter(|track| match track.source() {
            Some(Source::Data(data)) if data.len() > left => false,
            Some(Source::Data(data)) => {
                left -= data.len();
                true
            }
            _ => true,
        });
        let text = |of: fn(&Info) -> &String| info.map(of).cloned().unwrap_or_default();
        Self {
            tracks: tracks.map(Track::whole).collect(),
            session_id: text(|info| &info.session_id),
            endpoint: text(|info| &info.endpoint),
            token: text(|info| &info.token),
            call: Some(VoiceCall {
                track: None,
                ..call
            }),
            self_mute: false,
            self_deaf: false,
            is_resting: false,
            speak: false,
        }
    }

    /// What its connection was made with, if it had one.
    pub(crate) fn info(&self) -> Option<Info> {
        let channel_id = self.call.as_ref()?.channel_id;
        (!self.session_id.is_empty()).then(|| Info {
            channel_id,
            session_id: self.session_id.clone(),
            endpoint: self.endpoint.clone(),
            token: self.token.clone(),
        })
    }
}

impl fmt::Debug for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saved")
            .field("tracks", &self.tracks.len())
            .finish_non_exhaustive()
    }
}

/// A position as the store has it.
pub(crate) fn millis(position: Duration) -> u64 {
    u64::try_from(position.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_data(id: &str, bytes: usize) -> Track {
        let track = VoiceTrack {
            id: id.to_owned(),
            source: Some(Source::Data(vec![0; bytes])),
            ..VoiceTrack::default()
        };
        Track::again(track).unwrap()
    }

    fn saved(tracks: &[Track]) -> Saved {
        let call = VoiceCall {
            channel_id: 20,
            ..VoiceCall::default()
        };
        let info = Info {
            channel_id: 20,
            session_id: "session".to_owned(),
            endpoint: "voice:443".to_owned(),
            token: "hunter2".to_owned(),
        };
        Saved::new(call, tracks.iter(), Some(&info))
    }

    #[test]
    fn a_call_comes_back_as_it_was_saved() {
        let saved = saved(&[with_data("a", 10)]);
        let back = Saved::decode(saved.encode_to_vec().as_slice()).unwrap();
        assert!(back == saved);
        let info = back.info().unwrap();
        assert_eq!((info.channel_id, info.token.as_str()), (20, "hunter2"));
        assert!(Saved::default().info().is_none());
    }

    #[test]
    fn what_it_is_let_in_with_is_not_shown() {
        assert!(!format!("{:?}", saved(&[])).contains("hunter2"));
        assert!(!format!("{:?}", saved(&[]).info()).contains("hunter2"));
    }

    #[test]
    fn the_content_of_tracks_has_a_bound() {
        let tracks = [
            with_data("a", MOST - 5),
            with_data("b", 6),
            with_data("c", 5),
        ];
        let saved = saved(&tracks);
        let ids: Vec<_> = saved.tracks.iter().map(|track| track.id.as_str()).collect();
        assert_eq!(ids, ["a", "c"]);
    }
}
