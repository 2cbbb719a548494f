//! Writes the ring's messages and the replies to stdout.

use std::sync::Arc;

use boot::{CancellationToken, Check};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    select,
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::json;
use crate::{Error, metrics::Metrics, queue::Queue, requests::Reply};

/// How much is written at once.
const CHUNK: usize = 64 * 1024;

/// A finished line, and whom to tell when it is out.
#[derive(Debug)]
pub(super) struct Line {
    text: Vec<u8>,
    written: oneshot::Sender<()>,
}

/// The only one who writes to stdout.
pub(super) struct Writer<W> {
    writer: W,
    prefix: String,
    queue: Arc<Queue>,
    metrics: Metrics,
    check: Check,
    replies: mpsc::Receiver<Line>,
    buffer: Vec<u8>,
    /// When each message in the buffer was taken from the ring.
    taken: Vec<Instant>,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(super) fn new(
        writer: W,
        prefix: String,
        queue: Arc<Queue>,
        metrics: Metrics,
        check: Check,
        replies: mpsc::Receiver<Line>,
    ) -> Self {
        Self {
            writer,
            prefix,
            queue,
            metrics,
            check,
            replies,
            buffer: Vec::with_capacity(CHUNK),
            taken: Vec::new(),
        }
    }

    /// Writes until the service stops and everything is out.
    pub(super) async fn run(mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        self.check.up();
        self.metrics.connected.set(1);
        let result = self.run_inner(shutdown).await;
        self.metrics.connected.set(0);
        if let Err(error) = &result {
            self.check.down(error.to_string());
        }
        result
    }

    async fn run_inner(&mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        let queue = Arc::clone(&self.queue);
        let finished = async {
            shutdown.cancelled().await;
            queue.finished().await;
        };
        let mut finished = std::pin::pin!(finished);
        loop {
            while self.fill() {
                self.flush().await?;
            }
            select! {
                biased;
                () = &mut finished => return Ok(()),
                Some(line) = self.replies.recv() => self.write(line).await?,
                () = queue.work() => {}
            }
        }
    }

    /// Takes messages from the ring into the buffer; whether there were any.
    fn fill(&mut self) -> bool {
        let mut ring = self.queue.ring();
        while self.buffer.len() < CHUNK
            && let Some(entry) = ring.take()
        {
            json::write_message(&entry.message, &self.prefix, &mut self.buffer);
            self.metrics.published.inc();
            self.metrics.bytes.inc_by(entry.message.body.len() as u64);
            self.taken.push(Instant::now());
        }
        !self.taken.is_empty()
    }

    /// Writes the buffer; what is out counts as confirmed.
    async fn flush(&mut self) -> Result<(), Error> {
        self.writer
            .write_all(&self.buffer)
            .await
            .map_err(Error::Stdout)?;
        self.writer.flush().await.map_err(Error::Stdout)?;
        self.buffer.clear();
        self.queue.confirm(self.taken.len());
        self.metrics.confirmed.inc_by(self.taken.len() as u64);
        for taken in self.taken.drain(..) {
            self.metrics.latency.observe(taken.elapsed().as_secs_f64());
        }
        Ok(())
    }

    async fn write(&mut self, line: Line) -> Result<(), Error> {
        self.buffer.extend_from_slice(&line.text);
        self.flush().await?;
        // Whoever replied may have gone.
        line.written.send(()).ok();
        Ok(())
    }
}

/// Sends replies to whoever wrote a request to stdin.
#[derive(Debug)]
pub(crate) struct Answer {
    replies: mpsc::Sender<Line>,
    reply_to: String,
    correlation_id: Option<String>,
}

impl Answer {
    pub(super) fn new(replies: mpsc::Sender<Line>, caller: json::Caller) -> Self {
        Self {
            replies,
            reply_to: caller.reply_to.unwrap_or_default(),
            correlation_id: caller.correlation_id,
        }
    }

    /// Writes a reply and waits until it is out.
    pub(crate) async fn send(&mut self, reply: &Reply) -> Result<(), Error> {
        let text = json::reply(reply, &self.reply_to, self.correlation_id.as_deref());
        let (written, out) = oneshot::channel();
        let line = Line { text, written };
        self.replies
            .send(line)
            .await
            .map_err(|_| Error::Disconnected)?;
        out.await.map_err(|_| Error::Disconnected)
    }
}

#[cfg(test)]
mod tests;
