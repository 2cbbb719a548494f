//! From an interaction's text to the event that the broker carries: the same as it is when it comes over a gateway connection.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use boot::Traces;
use broker::Message;
use bytes::Bytes;
use events::{Event, INTERACTION, Read};
use transcode::{Envelope, Lanes, Payload, Scratch, Transcoder};
use wire::gateway::v1::Source;

use crate::config::Application;

/// Makes events of interactions.
#[derive(Debug)]
pub(crate) struct Encoder {
    pub(crate) transcoder: Arc<Transcoder>,
    pub(crate) traces: Traces,
    /// Which lanes the events of each application carry.
    lanes: BTreeMap<u64, Lanes>,
    /// Buffers that are used again for every interaction.
    scratch: Mutex<Scratch>,
}

impl Encoder {
    pub(crate) fn new(
        transcoder: Arc<Transcoder>,
        traces: Traces,
        applications: &[Application],
    ) -> Self {
        let lanes = applications.iter().map(|one| (one.id, one.lanes));
        Self {
            transcoder,
            traces,
            lanes: lanes.collect(),
            scratch: Mutex::default(),
        }
    }

    /// Reads what an interaction is; `None` when the text is none.
    pub(crate) fn read(&self, text: &str) -> Option<Read> {
        Read::of(&self.transcoder, Payload::new(text), &mut self.scratch())
    }

    /// The event of an interaction. It says how long Discord waits.
    pub(crate) fn message(
        &self,
        application_id: u64,
        read: &Read,
        text: &str,
        wait: Duration,
    ) -> Message {
        let id = read.interaction.id().to_string();
        let lanes = self.lanes.get(&application_id).copied();
        let event = Event {
            envelope: Envelope {
                id: &id,
                application_id,
                name: INTERACTION,
                source: Source::Http,
                shard: None,
                sequence: None,
                received_at: SystemTime::now(),
                lanes: lanes.unwrap_or_default(),
            },
            app_id: &application_id.to_string().into(),
            payload: Payload::new(text),
            read: Some(read),
        };
        let mut scratch = self.scratch();
        let made = event.message(&self.transcoder, &mut scratch, Bytes::copy_from_slice);
        drop(scratch);
        let mut message = made.message;
        event.wait(&mut message, wait);
        event.trace(&mut message, &self.traces);
        message
    }

    fn scratch(&self) -> MutexGuard<'_, Scratch> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
