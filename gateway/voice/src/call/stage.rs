//! Speaking in a stage channel: whoever comes in is in the audience.

use std::time::{Duration, SystemTime};

use prost::Message;
use wire::gateway::v1::{Code, Error as Failure};

use super::Call;

/// How long Discord may take for each request, with those that wait in front of it.
const ASKING: Duration = Duration::from_secs(5);
/// How urgent it is.
const PRIORITY: u8 = 9;
const METHOD: &str = "discord.v1.Rest/UpdateSelfVoiceState";

/// As much of `discord.v1.UpdateSelfVoiceStateRequest` as is needed.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(fixed64, optional, tag = "1")]
    guild_id: Option<u64>,
    #[prost(message, optional, tag = "2")]
    voice_state: Option<State>,
}

/// The same of `discord.v1.VoiceStateParams`.
#[derive(Clone, PartialEq, Message)]
struct State {
    #[prost(fixed64, optional, tag = "1")]
    channel_id: Option<u64>,
    #[prost(bool, optional, tag = "2")]
    suppress: Option<bool>,
    #[prost(message, optional, tag = "3")]
    request_to_speak_timestamp: Option<prost_types::Timestamp>,
}

impl Call {
    /// Becomes a speaker, or asks to be one, if that is wanted and the bot is in the audience. Whoever waits for the
    /// connection is told afterwards.
    pub(super) fn speak_up(&mut self) {
        if !self.speak || !self.suppressed {
            self.speaking = None;
            return self.joined(String::new());
        }
        let client = self.shared.client.clone();
        let key = format!("rest.UpdateSelfVoiceState.{}", self.shared.application_id);
        let (guild_id, channel_id) = (self.guild_id, self.channel_id());
        self.speaking = Some(Box::pin(async move {
            let ask = async |state: State| {
                let request = Request {
                    guild_id: Some(guild_id),
                    voice_state: Some(state),
                };
                let body = request.encode_to_vec().into();
                let asked = client.call(METHOD, &key, body, PRIORITY, ASKING).await;
                asked.map(drop).map_err(Failure::from)
            };
            let speak = State {
                channel_id: Some(channel_id),
                suppress: Some(false),
                request_to_speak_timestamp: None,
            };
            let refused = match ask(speak.clone()).await {
                Ok(()) => return Ok(()),
                Err(failure) if failure.code() == Code::PermissionDenied => failure,
                Err(failure) => return Err(failure.message),
            };
            let raise_hand = State {
                suppress: None,
                request_to_speak_timestamp: Some(SystemTime::now().into()),
                ..speak
            };
            match ask(raise_hand).await {
                Ok(()) => Err(
                    "the bot may not become a speaker by itself, and has asked to be one"
                        .to_owned(),
                ),
                Err(failure) => Err(format!(
                    "the bot may neither become a speaker ({}) nor ask to be one ({})",
                    refused.message, failure.message
                )),
            }
        }));
    }

    /// The bot is a speaker, or it is said why it is none.
    pub(super) fn on_spoken(&mut self, spoken: Result<(), String>) {
        let detail = match spoken {
            Ok(()) => {
                // Discord says so, too, a little later.
                self.suppressed = false;
                String::new()
            }
            Err(detail) => {
                tracing::debug!(guild = self.guild_id, detail, "the bot is no speaker");
                detail
            }
        };
        self.joined(detail);
    }
}
