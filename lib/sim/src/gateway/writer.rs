//! The writing half of a connection: orders first, then the session's events in batches.

use std::{future::pending, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, stream::SplitSink};
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::{Instant, sleep},
};
use tokio_websockets::{CloseCode, Message, WebSocketStream};

use super::{connections::Order, session::Taken, sessions::Handle};
use crate::{compress::Encoder, faults::Faults};

/// Events and bytes that are written before orders are looked at again.
const BATCH_EVENTS: usize = 64;
const BATCH_BYTES: usize = 256 << 10;
/// Orders that wait while nothing may be written.
const HELD: usize = 1000;

/// Writes to one client.
pub(crate) struct Writer {
    pub(crate) sink: SplitSink<WebSocketStream<TcpStream>, Message>,
    pub(crate) connection: u64,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) faults: watch::Receiver<Faults>,
    pub(crate) encoder: Encoder,
    pub(crate) attached: Option<Arc<Handle>>,
    pub(crate) dispatches: u64,
    pub(crate) held: Vec<Order>,
}

/// Why the writer stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    Closed(u16),
    Lost,
}

impl Writer {
    /// Writes until the connection ends.
    pub(crate) async fn run(&mut self) -> Stop {
        loop {
            let faults = self.faults.borrow_and_update().clone();
            if !faults.freeze && !self.held.is_empty() {
                for order in std::mem::take(&mut self.held) {
                    if let Some(stop) = self.obey(order, &faults).await {
                        return stop;
                    }
                }
            }
            while let Ok(order) = self.orders.try_recv() {
                if let Some(stop) = self.obey(order, &faults).await {
                    return stop;
                }
            }
            match self.write_events(&faults).await {
                Written::Some => continue,
                Written::Nothing => {}
                Written::Stop(stop) => return stop,
            }
            let attached = self.attached.clone();
            let work = async {
                match &attached {
                    Some(handle) if !faults.freeze => handle.work.notified().await,
                    _ => pending().await,
                }
            };
            tokio::select! {
                biased;
                order = self.orders.recv() => {
                    let Some(order) = order else { return Stop::Lost };
                    if let Some(stop) = self.obey(order, &faults).await {
                        return stop;
                    }
                }
                changed = self.faults.changed() => if changed.is_err() {
                    return Stop::Lost;
                },
                () = work => {}
            }
        }
    }

    async fn obey(&mut self, order: Order, faults: &Faults) -> Option<Stop> {
        if faults.freeze {
            self.held.push(order);
            return (self.held.len() > HELD).then_some(Stop::Lost);
        }
        match order {
            Order::Attach {
                handle,
                compress_payloads,
            } => {
                if compress_payloads {
                    self.encoder.compress_payloads();
                }
                self.attached = Some(handle);
                None
            }
            Order::Payload(payload) => {
                let mut messages = Vec::with_capacity(1);
                self.encoder
                    .encode(payload, faults.split_zlib, &mut messages);
                self.send(messages, faults).await.err()
            }
            Order::Close { code, reason } => Some(self.close(code, reason).await),
        }
    }

    /// Writes one batch of the session's events.
    async fn write_events(&mut self, faults: &Faults) -> Written {
        let Some(handle) = self.attached.clone().filter(|_| !faults.freeze) else {
            return Written::Nothing;
        };
        let mut events = Vec::with_capacity(BATCH_EVENTS);
        let taken = handle
            .lock()
            .take(self.connection, BATCH_EVENTS, BATCH_BYTES, &mut events);
        match taken {
            Taken::Some => {}
            Taken::Nothing => return Written::Nothing,
            Taken::Gone
            | Taken::Ended {
                reason: "invalidated",
            } => {
                self.attached = None;
                return Written::Nothing;
            }
            Taken::Ended { reason } => {
                let code = match reason {
                    "overflow" => 4000,
                    "token reset" => 4004,
                    "intents revoked" => 4014,
                    _ => 4009,
                };
                return Written::Stop(self.close(code, reason).await);
            }
        }
        handle.room.notify_waiters();
        let mut messages = Vec::with_capacity(events.len());
        for event in events {
            self.encode_event(event, faults, &mut messages);
        }
        match self.send(messages, faults).await {
            Ok(()) => {
                handle.lock().written(Instant::now());
                Written::Some
            }
            Err(stop) => Written::Stop(stop),
        }
    }

    /// Encodes an event once, twice or not at all.
    fn encode_event(&mut self, event: Bytes, faults: &Faults, messages: &mut Vec<Message>) {
        self.dispatches += 1;
        let nth = |every: u64| every > 0 && self.dispatches.is_multiple_of(every);
        if nth(faults.lose_every) {
            return;
        }
        if nth(faults.duplicate_every) {
            self.encoder
                .encode(event.clone(), faults.split_zlib, messages);
        }
        self.encoder.encode(event, faults.split_zlib, messages);
    }

    async fn send(&mut self, messages: Vec<Message>, faults: &Faults) -> Result<(), Stop> {
        if faults.delay_ms > 0 {
            sleep(Duration::from_millis(faults.delay_ms)).await;
        }
        for message in messages {
            self.sink.feed(message).await.map_err(|_| Stop::Lost)?;
        }
        self.sink.flush().await.map_err(|_| Stop::Lost)
    }

    async fn close(&mut self, code: u16, reason: &'static str) -> Stop {
        let Some(frame_code) = CloseCode::try_from(code)
            .ok()
            .filter(|code| !code.is_reserved())
        else {
            return Stop::Lost;
        };
        match self
            .sink
            .send(Message::close(Some(frame_code), reason))
            .await
        {
            Ok(()) => Stop::Closed(code),
            Err(_) => Stop::Lost,
        }
    }
}

enum Written {
    Some,
    Nothing,
    Stop(Stop),
}
