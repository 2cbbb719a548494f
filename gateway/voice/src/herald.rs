//! What workers hear of the calls: events of this system's own.
//!
//! They never keep a call waiting: they go to a list, and a task with a lane of its own takes them to the broker. When the
//! list is full because the broker takes nothing, what is new is dropped and counted.

use std::time::{SystemTime, UNIX_EPOCH};

use broker::{Broker, Exchange, Lane, Message, Value};
use prost::Message as _;
use tokio::sync::mpsc;
use wire::{
    gateway::v1::{Event, Source, event::Data},
    routing,
};

use crate::metrics::Metrics;

/// How many events may wait until the broker has room.
const WAITING: usize = 4_096;

/// Where something happened, and who is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whereabouts {
    /// The guild.
    pub(crate) guild_id: u64,
    /// The channel.
    pub(crate) channel_id: u64,
    /// The user, if one is meant.
    pub(crate) user_id: Option<u64>,
}

/// Takes what there is to tell; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Herald {
    news: mpsc::Sender<News>,
    metrics: Metrics,
}

/// One event, before it has an id.
#[derive(Debug)]
struct News {
    place: Whereabouts,
    data: Data,
    at: SystemTime,
}

/// Takes the events to the broker.
#[derive(Debug)]
pub(crate) struct Courier {
    application_id: u64,
    node: String,
    news: mpsc::Receiver<News>,
    lane: Lane,
    /// How many there were.
    number: u64,
}

/// A way to tell, and the task to be started for it.
pub(crate) fn open(
    broker: &Broker,
    application_id: u64,
    node: &str,
    metrics: Metrics,
) -> (Herald, Courier) {
    let (sender, news) = mpsc::channel(WAITING);
    let herald = Herald {
        news: sender,
        metrics,
    };
    let courier = Courier {
        application_id,
        node: node.to_owned(),
        news,
        lane: broker.lane(),
        number: 0,
    };
    (herald, courier)
}

impl Herald {
    /// Tells something.
    pub(crate) fn tell(&self, place: Whereabouts, data: Data) {
        let news = News {
            place,
            data,
            at: SystemTime::now(),
        };
        self.metrics.event(name(&news.data));
        if self.news.try_send(news).is_err() {
            self.metrics.event_dropped();
        }
    }
}

impl Courier {
    /// Runs until nobody is left who could tell something, or the broker has ended.
    pub(crate) async fn run(mut self) {
        while let Some(news) = self.news.recv().await {
            self.number += 1;
            let message = self.message(news);
            if self.lane.publish(self.number, message).await.is_err() {
                return;
            }
        }
    }

    /// The message of an event. Its id stays when the broker gets it once more.
    fn message(&self, news: News) -> Message {
        let News { place, data, at } = news;
        let name = name(&data);
        let id = format!("{}:{}", self.node, self.number);
        let event = Event {
            id: id.clone(),
            application_id: self.application_id,
            name: name.to_owned(),
            source: Source::Voice.into(),
            received_at: Some(at.into()),
            guild_id: Some(place.guild_id),
            channel_id: Some(place.channel_id),
            user_id: place.user_id,
            data: Some(data),
            ..Event::default()
        };
        let mut routing_key = String::new();
        routing::event_key(
            &mut routing_key,
            self.application_id,
            name,
            Some(place.guild_id),
            Some(place.channel_id),
            None,
        );
        let since = at.duration_since(UNIX_EPOCH);
        Message {
            exchange: Exchange::Events,
            routing_key,
            message_id: id,
            type_name: routing::TYPE_EVENT,
            app_id: self.application_id.to_string().into(),
            timestamp: since.map_or(0, |since| since.as_secs()),
            headers: vec![("event", Value::Text(name.to_owned()))],
            body: event.encode_to_vec().into(),
            group: place.guild_id,
            batch: None,
            trace: None,
            wanted: None,
        }
    }
}

/// The name of an event of ours.
fn name(data: &Data) -> &'static str {
    match data {
        Data::VoiceConnected(_) => "VOICE_CONNECTED",
        Data::VoiceDisconnected(_) => "VOICE_DISCONNECTED",
        Data::TrackStart(_) => "TRACK_START",
        Data::TrackEnd(_) => "TRACK_END",
        Data::TrackError(_) => "TRACK_ERROR",
        Data::TrackPosition(_) => "TRACK_POSITION",
        Data::Speaking(_) => "SPEAKING",
        Data::ClientConnect(_) => "CLIENT_CONNECT",
        Data::ClientDisconnect(_) => "CLIENT_DISCONNECT",
        Data::RecordingEnd(_) => "RECORDING_END",
        _ => "",
    }
}
