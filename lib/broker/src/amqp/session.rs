//! One connection: from the declared topology to the error that ends it.

use std::{future, time::Duration};

use futures_util::{StreamExt as _, stream::BoxStream};
use lapin::{Event, options::ConfirmSelectOptions};
use tokio::{
    select,
    time::{self, Instant},
};

use rabbitmq::{Channels, Connection, Down, Place, Stage, answer};

use super::{
    Publisher,
    pipe::Pipe,
    topology::{self, Names},
};

/// What RabbitMQ's list of connections shows.
const NAME: &str = "discord-gateway";

/// How often we look whether the client has lost the connection without telling us.
const LOOK: Duration = Duration::from_secs(1);

/// A connection with everything declared and a pipe for messages.
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
        let channels = connection.channels();
        topology::declare(&channels, names).await?;
        let channel = channels.open().await?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        answer("switching confirms on", Stage::Declare, confirms).await?;
        let pipe = Pipe::new(channel, names.clone(), persistent);
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
            if let Err(down) = self.fill(publisher) {
                return down;
            }
            let has_room = self.pipe.has_room();
            let (pipe, confirmed) = (&mut self.pipe, &mut self.confirmed);
            let result = select! {
                biased;
                event = self.events.next() => self.handle(event, publisher),
                result = future::poll_fn(|context| pipe.poll(context, confirmed)) => result,
                () = publisher.queue.work(), if has_room => Ok(()),
                _ = look.tick() => self.look(),
            };
            publisher.confirmed(&self.confirmed);
            self.confirmed.clear();
            if let Err(down) = result {
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
        self.connection.close().await;
    }

    /// Moves messages from the ring into the pipe as long as both allow.
    fn fill(&mut self, publisher: &Publisher) -> Result<(), Down> {
        if !self.pipe.has_room() {
            return Ok(());
        }
        let metrics = &publisher.metrics;
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
            self.pipe.send(&entry.message)?;
        }
        Ok(())
    }

    fn look(&self) -> Result<(), Down> {
        if self.is_alive() {
            Ok(())
        } else {
            Err(Down::Lost("the connection was closed".to_owned()))
        }
    }

    fn is_alive(&self) -> bool {
        self.connection.is_alive() && self.pipe.is_alive()
    }

    /// What the broker says about the connection as a whole.
    fn handle(&self, event: Option<Event>, publisher: &Publisher) -> Result<(), Down> {
        match event {
            Some(Event::ConnectionBlocked(reason)) => publisher.blocked(&reason),
            Some(Event::ConnectionUnblocked) => publisher.unblocked(),
            // The errors of consumers' channels come here as well.
            Some(Event::Error(error)) if !self.is_alive() => {
                return Err(Down::from_error(&error, Stage::Run));
            }
            Some(_) => {}
            None => return self.look(),
        }
        Ok(())
    }
}
