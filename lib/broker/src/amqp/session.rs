//! The connections of a time: from the declared topology to the error that ends them.
//!
//! There are two. The AMQP client's own serves declarations, consumers and replies; the other one does
//! nothing but publish. When one of them ends, both begin anew.

use std::time::Duration;

use futures_util::{StreamExt as _, stream::BoxStream};
use lapin::Event;
use rabbitmq::{Channels, Connection, Down, Place, Stage};
use tokio::{
    select,
    time::{self, Instant},
};

use super::{
    Publisher,
    link::Notice,
    pipe::Pipe,
    topology::{self, Names},
};
use crate::Exchange;

/// What RabbitMQ's list of connections shows.
const NAME: &str = "discord-gateway";

/// How often we look at heartbeats, and whether the client has lost its connection without telling us.
const LOOK: Duration = Duration::from_millis(500);

/// Both connections, with everything declared.
pub(super) struct Session {
    connection: Connection,
    events: BoxStream<'static, Event>,
    pipe: Pipe,
    confirmed: Vec<Instant>,
}

impl Session {
    /// Connects, declares the exchanges and switches confirms on.
    pub(super) async fn open(place: &Place, names: &Names, persistent: bool) -> Result<Self, Down> {
        let connection = Connection::open(place, NAME).await?;
        let events = connection.events();
        topology::declare(&connection.channels(), names, &Exchange::ALL).await?;
        let pipe = Pipe::open(place, names, persistent).await?;
        Ok(Self {
            connection,
            events,
            pipe,
            confirmed: Vec::new(),
        })
    }

    /// Publishes what the ring holds and what comes, until something breaks.
    pub(super) async fn publish(&mut self, publisher: &mut Publisher) -> Down {
        let mut look = time::interval(LOOK);
        loop {
            self.fill(publisher);
            let has_room = self.pipe.has_room();
            let result = select! {
                biased;
                _ = look.tick() => self.look(),
                event = self.events.next() => self.handle(event, publisher),
                moved = self.pipe.moved() => moved,
                () = publisher.queue.work(), if has_room => Ok(()),
            };
            let heard = self.hear(publisher);
            publisher.confirmed(&self.confirmed);
            self.confirmed.clear();
            // What the broker said last explains best why the connection is gone.
            if let Err(down) = heard.and(result) {
                return down;
            }
        }
    }

    /// What consumers need of this connection.
    pub(super) fn channels(&self) -> Channels {
        self.connection.channels()
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        self.pipe.close().await;
        self.connection.close().await;
    }

    /// Moves messages from the ring into the pipe as long as both allow.
    fn fill(&mut self, publisher: &Publisher) {
        if !self.pipe.has_room() {
            return;
        }
        let metrics = &publisher.metrics;
        let now = Instant::now();
        let mut ring = publisher.queue.ring();
        while self.pipe.has_room()
            && let Some(entry) = ring.take()
        {
            if entry.repeated {
                metrics.republished.inc();
            } else {
                metrics.published.inc();
                metrics.bytes.inc_by(entry.message.body.len() as u64);
            }
            self.pipe.send(&entry.message, now);
        }
    }

    /// Takes in what the broker said to the publisher.
    fn hear(&mut self, publisher: &Publisher) -> Result<(), Down> {
        while let Some(notice) = self.pipe.hear(&mut self.confirmed)? {
            match notice {
                Notice::Blocked(reason) => publisher.blocked(&reason),
                Notice::Unblocked => publisher.unblocked(),
            }
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), Down> {
        if !self.connection.is_alive() {
            return Err(Down::Lost("the connection was closed".to_owned()));
        }
        self.pipe.look()
    }

    /// What the broker says about the client's connection as a whole.
    fn handle(&mut self, event: Option<Event>, publisher: &Publisher) -> Result<(), Down> {
        match event {
            Some(Event::ConnectionBlocked(reason)) => publisher.blocked(&reason),
            Some(Event::ConnectionUnblocked) => publisher.unblocked(),
            // The errors of consumers' channels come here as well.
            Some(Event::Error(error)) if !self.connection.is_alive() => {
                return Err(Down::from_error(&error, Stage::Run));
            }
            Some(_) => {}
            None => return self.look(),
        }
        Ok(())
    }
}
