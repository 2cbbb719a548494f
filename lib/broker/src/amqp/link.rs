//! A connection to the broker as frames: those to be written, those that were read, and heartbeats.

mod login;
mod secure;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use rabbitmq::{Down, Place};
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
}

impl Link {
    /// Connects, logs in and opens `channel` with confirms switched on.
    pub(super) async fn open(place: &Place, channel: u16) -> Result<Self, Down> {
        let opening = async {
            let socket = secure::connect(place).await;
            let socket = socket.map_err(|error| Down::Unreachable(error.to_string()))?;
            let mut link = Self::new(socket);
            login::login(&mut link, place, channel).await?;
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

    /// Takes out the next thing that was read.
    pub(super) fn hear(&mut self) -> Result<Option<Said>, Garbled> {
        self.incoming.next()
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
}
