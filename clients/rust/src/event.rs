//! An event as it arrives: what is known of it beside its payload, and the payload.

use std::time::SystemTime;

use prost::Message as _;
use serenity::model::id::{ApplicationId, ChannelId, GuildId, UserId};
use wire::gateway::v1::{Event as WireEvent, Shard, Source};

/// The payload of an event.
#[derive(Clone, Debug)]
pub enum Event {
    /// As serenity's own type.
    Serenity(Box<serenity::model::event::Event>),
    /// As the contract's type, because serenity does not know this event or cannot read it. What
    /// the contract does not know either is in its field `json`, as Discord sent it.
    Wire(Box<WireEvent>),
}

/// What is known of every event, whatever its payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Stable id: the same event delivered again has the same one.
    pub id: String,
    /// Discord's name of the event, for example `MESSAGE_CREATE`.
    pub name: String,
    /// The application (bot) that it is for.
    pub application_id: Option<ApplicationId>,
    /// The kind of connection that it came by.
    pub source: Source,
    /// The shard that received it, if it came by a gateway connection.
    pub shard: Option<Shard>,
    /// Discord's sequence number within the shard's session, if there is one.
    pub sequence: Option<u64>,
    /// When the gateway had read it.
    pub received_at: Option<SystemTime>,
    /// The guild that it names, if any.
    pub guild_id: Option<GuildId>,
    /// The channel that it names, if any.
    pub channel_id: Option<ChannelId>,
    /// The user whom it is about or who caused it, if it names one.
    pub user_id: Option<UserId>,
    /// The trace that the gateway has begun for it, as in W3C Trace Context, if it is traced: a span of
    /// yours can go on from there. All events of a batch have that of the first.
    pub traceparent: Option<String>,
}

impl Envelope {
    /// Reads the envelope without the payload.
    pub(crate) fn read(body: &[u8]) -> Result<Self, prost::DecodeError> {
        let head = Head::decode(body)?;
        Ok(Self {
            source: head.source(),
            id: head.id,
            name: head.name,
            application_id: id(head.application_id, ApplicationId::new),
            shard: head.shard,
            sequence: head.sequence,
            received_at: head.received_at.and_then(|moment| moment.try_into().ok()),
            guild_id: id(head.guild_id.unwrap_or(0), GuildId::new),
            channel_id: id(head.channel_id.unwrap_or(0), ChannelId::new),
            user_id: id(head.user_id.unwrap_or(0), UserId::new),
            traceparent: None,
        })
    }

    /// What tells events apart whose order matters: those of one guild belong together.
    pub(crate) fn group(&self) -> Option<u64> {
        let guild = self.guild_id.map(GuildId::get);
        guild
            .or(self.channel_id.map(ChannelId::get))
            .or(self.user_id.map(UserId::get))
    }
}

/// Serenity's ids are never 0, and its constructors panic.
fn id<T>(id: u64, new: impl FnOnce(u64) -> T) -> Option<T> {
    (id != 0).then(|| new(id))
}

/// The fields of `gateway.v1.Event` that come before the payload: reading them alone costs a
/// fraction of reading all.
#[derive(Clone, PartialEq, prost::Message)]
struct Head {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(fixed64, tag = "2")]
    application_id: u64,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(enumeration = "Source", tag = "4")]
    source: i32,
    #[prost(message, optional, tag = "5")]
    shard: Option<Shard>,
    #[prost(uint64, optional, tag = "6")]
    sequence: Option<u64>,
    #[prost(message, optional, tag = "7")]
    received_at: Option<prost_types::Timestamp>,
    #[prost(fixed64, optional, tag = "8")]
    guild_id: Option<u64>,
    #[prost(fixed64, optional, tag = "9")]
    channel_id: Option<u64>,
    #[prost(fixed64, optional, tag = "10")]
    user_id: Option<u64>,
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn event() -> WireEvent {
        WireEvent {
            id: "session:7".to_owned(),
            application_id: 1,
            name: "MESSAGE_CREATE".to_owned(),
            source: Source::Http.into(),
            shard: Some(Shard { id: 3, count: 8 }),
            sequence: Some(7),
            received_at: Some(prost_types::Timestamp {
                seconds: 1_700_000_000,
                nanos: 5,
            }),
            guild_id: Some(2),
            channel_id: Some(3),
            user_id: Some(4),
            json: "{}".to_owned(),
            data: None,
        }
    }

    #[test]
    fn the_envelope_has_what_the_contract_says() {
        let envelope = Envelope::read(&event().encode_to_vec()).unwrap();
        let expected = Envelope {
            id: "session:7".to_owned(),
            name: "MESSAGE_CREATE".to_owned(),
            application_id: Some(ApplicationId::new(1)),
            source: Source::Http,
            shard: Some(Shard { id: 3, count: 8 }),
            sequence: Some(7),
            received_at: Some(UNIX_EPOCH + Duration::new(1_700_000_000, 5)),
            guild_id: Some(GuildId::new(2)),
            channel_id: Some(ChannelId::new(3)),
            user_id: Some(UserId::new(4)),
            traceparent: None,
        };
        assert_eq!(envelope, expected);
        assert_eq!(envelope.group(), Some(2));
    }

    #[test]
    fn ids_of_zero_and_impossible_moments_are_absent() {
        let event = WireEvent {
            application_id: 0,
            guild_id: Some(0),
            received_at: Some(prost_types::Timestamp {
                seconds: i64::MIN,
                nanos: i32::MIN,
            }),
            source: 77,
            ..event()
        };
        let envelope = Envelope::read(&event.encode_to_vec()).unwrap();
        assert_eq!(envelope.application_id, None);
        assert_eq!(envelope.guild_id, None);
        assert_eq!(envelope.source, Source::Unspecified);
        assert_eq!(envelope.group(), Some(3));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        assert!(Envelope::read(b"\x0a\xff").is_err());
        assert!(Envelope::read(b"{\"t\":1}").is_err());
    }
}
