//! Events that a service hears, as workers do.

use bytes::Bytes;
use prost::Message as _;
use wire::{
    gateway::v1::{Event, EventBatch},
    routing::{TYPE_EVENT, TYPE_EVENT_BATCH},
};

use crate::amqp::Consumer;

/// Events, as they come.
#[derive(Debug)]
pub struct Events {
    /// Without one there are none.
    consumer: Option<Box<Consumer>>,
}

impl Events {
    pub(crate) fn new(consumer: Option<Box<Consumer>>) -> Self {
        Self { consumer }
    }

    /// The events of the next message, more than one if it is a batch; it waits for ever when none comes. What cannot be
    /// read is passed over. Not cancel safe: what was taken is lost then.
    pub async fn next(&mut self) -> Vec<Event> {
        let Some(consumer) = &mut self.consumer else {
            return std::future::pending().await;
        };
        loop {
            let (type_name, body) = consumer.heard().await;
            if let Some(events) = read(&type_name, body) {
                return events;
            }
        }
    }
}

/// The events of a message, if it has any that can be read.
fn read(type_name: &str, body: Bytes) -> Option<Vec<Event>> {
    let events = match type_name {
        TYPE_EVENT => Event::decode(body).map(|event| vec![event]),
        TYPE_EVENT_BATCH => EventBatch::decode(body).map(|batch| batch.events),
        _ => return None,
    };
    match events {
        Ok(events) => Some(events),
        Err(error) => {
            tracing::debug!(%error, "an event cannot be read");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_alone_and_in_batches() {
        let event = |id: &str| Event {
            id: id.to_owned(),
            ..Event::default()
        };
        let alone = event("a").encode_to_vec().into();
        assert_eq!(read(TYPE_EVENT, alone), Some(vec![event("a")]));
        let events = vec![event("a"), event("b")];
        let batch = EventBatch {
            events: events.clone(),
        };
        let batch = batch.encode_to_vec().into();
        assert_eq!(read(TYPE_EVENT_BATCH, batch), Some(events));
    }

    #[test]
    fn what_is_no_event_is_passed_over() {
        let poison = Bytes::from_static(b"\xff poison");
        assert_eq!(read(TYPE_EVENT, poison.clone()), None);
        assert_eq!(read(TYPE_EVENT_BATCH, poison.clone()), None);
        assert_eq!(read("", poison), None);
    }
}
