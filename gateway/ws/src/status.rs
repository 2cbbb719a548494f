//! Events of this system's own, for workers: how it is with the shards, and with their number.
//!
//! They never keep a shard waiting: they are put on a list, and a task with a lane of its own takes
//! them to the broker. When the list is full because the broker takes nothing, the oldest event
//! about the same shard gives way: it is the newest that tells how things are.

#[cfg(test)]
mod tests;

use crate::metrics::Metrics;
use broker::{Broker, Exchange, Lane, Message, Value};
use prost::Message as _;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};
use store::Shard;
use tokio::sync::Notify;
use wire::{
    gateway::v1::{
        self as proto, Event, Reshard, ShardReason, ShardState, ShardStatus, Source, event::Data,
    },
    routing,
};

/// The name of the event that a shard's state makes.
const SHARD_STATUS: &str = "GATEWAY_SHARD_STATUS";

/// The name of the event that a change of the number of shards makes.
const RESHARD: &str = "GATEWAY_RESHARD";

/// How many events may wait until the broker has room.
const WAITING: usize = 1_024;

/// A shard's state, for [`Herald::shard`] to say of which shard and by whom.
pub(crate) fn status(
    state: ShardState,
    reason: ShardReason,
    detail: impl Into<String>,
) -> ShardStatus {
    ShardStatus {
        state: state.into(),
        reason: reason.into(),
        detail: detail.into(),
        ..ShardStatus::default()
    }
}

/// Takes what there is to tell. When it is dropped, the courier tells the rest and ends.
#[derive(Debug)]
pub(crate) struct Herald {
    replica: String,
    list: Arc<List>,
}

/// What is still to be told.
#[derive(Debug)]
struct List {
    waiting: Mutex<Waiting>,
    changed: Notify,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Waiting {
    news: VecDeque<News>,
    is_closed: bool,
}

/// One event, before it has an id.
#[derive(Debug)]
struct News {
    /// The shard that it is about.
    shard: Option<Shard>,
    name: &'static str,
    data: Data,
    at: SystemTime,
}

/// Takes the events to the broker.
#[derive(Debug)]
pub(crate) struct Courier {
    application_id: u64,
    replica: String,
    list: Arc<List>,
    lane: Lane,
    /// How many there were.
    number: u64,
}

/// A way to tell, and the task to be started for it.
pub(crate) fn open(
    broker: &Broker,
    application_id: u64,
    replica: &str,
    metrics: Arc<Metrics>,
) -> (Herald, Courier) {
    let list = Arc::new(List {
        waiting: Mutex::default(),
        changed: Notify::new(),
        metrics,
    });
    let herald = Herald {
        replica: replica.to_owned(),
        list: Arc::clone(&list),
    };
    let courier = Courier {
        application_id,
        replica: replica.to_owned(),
        list,
        lane: broker.lane(),
        number: 0,
    };
    (herald, courier)
}

impl Herald {
    /// A shard of this replica is in this state.
    pub(crate) fn shard(&self, shard: Shard, status: ShardStatus) {
        match status.state() {
            ShardState::Stopped => self.list.metrics.forget(shard),
            state => self.list.metrics.state(shard, state.into()),
        }
        let status = ShardStatus {
            shard_id: shard.id,
            shard_count: shard.count,
            replica: self.replica.clone(),
            ..status
        };
        let data = Data::GatewayShardStatus(Box::new(status));
        self.tell(Some(shard), SHARD_STATUS, data);
    }

    /// The change of the number of shards has come this far.
    pub(crate) fn reshard(&self, reshard: Reshard) {
        self.tell(None, RESHARD, Data::GatewayReshard(Box::new(reshard)));
    }

    fn tell(&self, shard: Option<Shard>, name: &'static str, data: Data) {
        let at = SystemTime::now();
        self.list.add(News {
            shard,
            name,
            data,
            at,
        });
    }
}

impl Drop for Herald {
    fn drop(&mut self) {
        self.list.lock().is_closed = true;
        self.list.changed.notify_one();
    }
}

impl List {
    /// Puts an event on the list.
    fn add(&self, news: News) {
        let mut waiting = self.lock();
        if waiting.news.len() >= WAITING {
            let older = waiting.news.iter().position(|old| old.shard == news.shard);
            waiting.news.remove(older.unwrap_or_default());
            self.metrics.status_dropped();
        }
        waiting.news.push_back(news);
        drop(waiting);
        self.changed.notify_one();
    }

    /// The next event; `None` when there will be none. Cancel safe.
    async fn next(&self) -> Option<News> {
        loop {
            {
                let mut waiting = self.lock();
                if let Some(news) = waiting.news.pop_front() {
                    return Some(news);
                }
                if waiting.is_closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Courier {
    /// Runs until there is nothing left to tell and nobody who could, or the broker has ended.
    pub(crate) async fn run(mut self) {
        while let Some(news) = self.list.next().await {
            self.number += 1;
            let message = self.message(news);
            if self.lane.publish(self.number, message).await.is_err() {
                return;
            }
            self.list.metrics.status_published();
        }
    }

    /// The message of an event.
    fn message(&self, news: News) -> Message {
        let id = format!("{}:{}", self.replica, self.number);
        let shard = news
            .shard
            .map(|Shard { count, id }| proto::Shard { id, count });
        let event = Event {
            id: id.clone(),
            application_id: self.application_id,
            name: news.name.to_owned(),
            source: Source::Gateway.into(),
            shard,
            received_at: Some(news.at.into()),
            data: Some(news.data),
            ..Event::default()
        };
        let mut routing_key = String::new();
        routing::event_key(
            &mut routing_key,
            self.application_id,
            news.name,
            None,
            None,
            None,
        );
        let since = news.at.duration_since(UNIX_EPOCH);
        let mut headers = vec![("event", Value::Text(news.name.to_owned()))];
        headers.extend(shard.map(|shard| ("shard", Value::Number(shard.id.into()))));
        Message {
            exchange: Exchange::Events,
            routing_key,
            message_id: id,
            type_name: routing::TYPE_EVENT,
            app_id: self.application_id.to_string().into(),
            timestamp: since.map_or(0, |since| since.as_secs()),
            headers,
            body: event.encode_to_vec().into(),
            group: 0,
            batch: None,
            trace: None,
            wanted: None,
        }
    }
}
