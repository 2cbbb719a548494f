//! A connection to the broker as frames: those to be written, those that were read, and heartbeats.

mod login;
mod secure;

use std::{
    fmt::Debug,
    future, io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use amq_protocol::protocol::{AMQPClass, channel, connection};
use rabbitmq::{Down, Place, Stage};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{self, Instant},
};

use super::{
    frames::{Garbled, Incoming, Outgoing, Said},
    heartbeat::{Beat, Heartbeat},
};

/// How long connecting and logging in may take together.
const CONNECT: Duration = Duration::from_secs(10);

/// How much is read at once.
const READ: usize = 32 * 1024;
/// How many bytes may wait for the socket before no more messages are taken. The last one may exceed it.
pub(super) const WRITING: usize = 64 * 1024;
/// How long we wait for the broker to say goodbye.
pub(super) const CLOSE: Duration = Duration::from_secs(2);

/// TCP, with or without TLS.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A connection.
pub(super) struct Link {
    socket: Box<dyn Socket>,
    incoming: Incoming,
    /// What [`Link::poll`] writes.
    pub(super) outgoing: Outgoing,
    /// Whether the socket may hold back what was written to it.
    flushing: bool,
    heartbeat: Heartbeat,
    /// The largest frame that the broker takes.
    pub(super) frame_max: usize,
    /// Whether the broker wants no messages for now.
    held: bool,
}

/// What the broker said of the connection as a whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// It takes no messages for now, and says why.
    Blocked(String),
    /// It takes messages again.
    Unblocked,
}

impl Link {
    /// Connects, logs in and opens `channel` with confirms switched on. RabbitMQ's list of connections shows `name`.
    pub(super) async fn open(place: &Place, name: &str, channel: u16) -> Result<Self, Down> {
        let opening = async {
            let socket = secure::connect(place).await;
            let socket = socket.map_err(|error| Down::Unreachable(error.to_string()))?;
            let mut link = Self::new(socket);
            login::login(&mut link, place, name, channel).await?;
            Ok(link)
        };
        match time::timeout(CONNECT, opening).await {
            Ok(result) => result,
            Err(_) => Err(Down::TimedOut("connecting", CONNECT)),
        }
    }

    /// A connection on which nothing was said yet.
    pub(super) fn new(socket: Box<dyn Socket>) -> Self {
        Self {
            socket,
            incoming: Incoming::new(READ),
            outgoing: Outgoing::default(),
            flushing: false,
            heartbeat: Heartbeat::new(0, Instant::now()),
            frame_max: READ,
            held: false,
        }
    }

    /// Writes what waits and reads what comes. Ready when something was read.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write(context)?;
        let mut room = ReadBuf::new(self.incoming.room());
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut room))?;
        let count = room.filled().len();
        if count == 0 {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the broker hung up",
            )));
        }
        self.incoming.filled(count);
        self.heartbeat.heard(Instant::now());
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            let writing = Pin::new(&mut self.socket).poll_write(context, self.outgoing.rest());
            match writing? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => self.outgoing.advance(count),
                Poll::Pending => return Ok(()),
            }
            self.heartbeat.said(Instant::now());
            self.flushing = true;
        }
        if self.flushing && Pin::new(&mut self.socket).poll_flush(context)?.is_ready() {
            self.flushing = false;
        }
        Ok(())
    }

    /// Whether messages may be added to what waits to be written.
    pub(super) fn has_room(&self) -> bool {
        !self.held && self.outgoing.len() < WRITING
    }

    /// Writes what waits and reads what comes. Returns when something was read, or when there is room that was not there
    /// before. Cancel safe.
    pub(super) async fn moved(&mut self) -> Result<(), Down> {
        let had_room = self.has_room();
        let moved = future::poll_fn(|context| {
            let read = self.poll(context);
            if read.is_pending() && !had_room && self.has_room() {
                return Poll::Ready(Ok(()));
            }
            read
        });
        moved.await.map_err(|error: io::Error| lost(&error))
    }

    /// Takes out the next thing that was read.
    pub(super) fn hear(&mut self) -> Result<Option<Said>, Garbled> {
        self.incoming.next()
    }

    /// Takes in what the broker says of a channel itself.
    pub(super) fn on_channel(
        &mut self,
        channel: u16,
        method: channel::AMQPMethod,
    ) -> Result<(), Down> {
        match method {
            channel::AMQPMethod::Close(close) => {
                let text = close.reply_text.as_str();
                Err(Down::refused(close.reply_code, text, Stage::Run))
            }
            channel::AMQPMethod::Flow(channel::Flow { active }) => {
                self.held = !active;
                let answer = channel::AMQPMethod::FlowOk(channel::FlowOk { active });
                self.outgoing.method(channel, AMQPClass::Channel(answer));
                Ok(())
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Takes in what the broker says of the connection as a whole.
    pub(super) fn on_connection(&mut self, method: AMQPClass) -> Result<Notice, Down> {
        let notice = notice(method)?;
        self.held = matches!(notice, Notice::Blocked(_));
        Ok(notice)
    }

    /// Says something when it is time to, and notices when the broker has been silent for too long. To
    /// be called a few times within an interval.
    pub(super) fn look(&mut self) -> Result<(), Down> {
        match self.heartbeat.look(Instant::now()) {
            Beat::Fine => Ok(()),
            Beat::Due => {
                // What waits to be written is a sign of life as well.
                if self.outgoing.is_empty() {
                    self.outgoing.heartbeat();
                }
                Ok(())
            }
            Beat::Silent(silence) => Err(Down::Lost(format!(
                "nothing was heard from the broker for {} s, not even a heartbeat",
                silence.as_secs()
            ))),
        }
    }

    /// Says goodbye, so that the broker does not log a broken connection. What waits to be written goes first.
    pub(super) async fn close(mut self) {
        let goodbye = connection::AMQPMethod::Close(connection::Close {
            reply_code: 200,
            reply_text: "goodbye".into(),
            class_id: 0,
            method_id: 0,
        });
        self.outgoing.method(0, AMQPClass::Connection(goodbye));
        match time::timeout(CLOSE, self.closed()).await {
            Ok(Ok(())) => tracing::debug!("a connection to RabbitMQ is closed"),
            Ok(Err(down)) => tracing::debug!(?down, "RabbitMQ did not answer the goodbye"),
            Err(_) => tracing::debug!("RabbitMQ did not answer the goodbye in time"),
        }
    }

    /// Returns when the broker has said goodbye as well.
    async fn closed(&mut self) -> Result<(), Down> {
        let goodbye = connection::AMQPMethod::CloseOk(connection::CloseOk {});
        let goodbye = Said::Method(0, AMQPClass::Connection(goodbye));
        loop {
            match self.hear().map_err(|error| lost(&error))? {
                Some(said) if said == goodbye => return Ok(()),
                Some(_) => {}
                None => self.moved().await?,
            }
        }
    }
}

/// Reads what the broker says of the connection as a whole.
fn notice(method: AMQPClass) -> Result<Notice, Down> {
    match method {
        AMQPClass::Connection(connection::AMQPMethod::Blocked(blocked)) => {
            Ok(Notice::Blocked(blocked.reason.to_string()))
        }
        AMQPClass::Connection(connection::AMQPMethod::Unblocked(_)) => Ok(Notice::Unblocked),
        AMQPClass::Connection(connection::AMQPMethod::Close(close)) => {
            let text = close.reply_text.as_str();
            Err(Down::refused(close.reply_code, text, Stage::Run))
        }
        other => Err(unexpected(&other)),
    }
}

pub(super) fn lost(error: &impl ToString) -> Down {
    Down::Lost(error.to_string())
}

pub(super) fn unexpected(what: &impl Debug) -> Down {
    Down::Lost(format!("the broker said {what:?}, which nobody asked for"))
}
