//! The reading half of a connection: judges payloads, begins and resumes sessions, answers requests.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::SplitStream};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_websockets::{Message, WebSocketStream};

use super::{
    backfill,
    connections::{Order, Remote},
    identify::{self, Caller, Verdict},
    payload::{self, Identify, Resume},
    protocol::{Outgoing, Protocol, Step},
    requests, resume,
    sessions::Handle,
};
use crate::{
    violations::{Breach, Culprit, Kind},
    world::World,
};

/// Reads from one client.
pub(crate) struct Reader {
    pub(crate) stream: SplitStream<WebSocketStream<TcpStream>>,
    pub(crate) world: Arc<World>,
    pub(crate) caller: Caller,
    pub(crate) remote: Remote,
    pub(crate) protocol: Protocol,
    pub(crate) handle: Option<Arc<Handle>>,
    /// The backfill of this connection's session; ends with the connection.
    pub(crate) tasks: JoinSet<()>,
}

/// How the client ended the connection: with which close code, if any.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Left(pub(crate) Option<u16>);

impl Reader {
    /// Says HELLO, or what stands in for it.
    pub(crate) async fn greet(&self, heartbeat_interval_ms: u64) {
        let order = if let Some((code, reason)) = self.caller.query.refusal() {
            Order::Close { code, reason }
        } else if self
            .world
            .take_fault(|faults| &mut faults.reconnect_before_hello)
        {
            Order::Payload(payload::reconnect())
        } else {
            Order::Payload(payload::hello(heartbeat_interval_ms))
        };
        self.order(order).await;
    }

    /// Reads until the client leaves; what the simulator decides goes to the writer.
    pub(crate) async fn run(&mut self) -> Left {
        let mut expecting = true;
        loop {
            let deadline = self.protocol.deadline();
            tokio::select! {
                message = self.stream.next() => {
                    let Some(Ok(message)) = message else { return Left(None) };
                    if let Some((code, _)) = message.as_close() {
                        return Left(Some(code.into()));
                    }
                    if message.is_text() || message.is_binary() {
                        self.on_message(&message).await;
                    }
                }
                () = sleep_until(deadline), if expecting => {
                    expecting = false;
                    self.record(vec![Breach::new(Kind::HeartbeatLate, "no heartbeat in time")]);
                    self.order(Order::Close { code: 4000, reason: "Heartbeat missing." }).await;
                }
            }
        }
    }

    /// Waits a moment for the client's part of the closing handshake; whether the client left.
    pub(crate) async fn drain(&mut self, patience: Duration) -> bool {
        let left = async {
            while let Some(Ok(message)) = self.stream.next().await {
                if message.is_close() {
                    return;
                }
            }
        };
        timeout(patience, left).await.is_ok()
    }

    pub(crate) fn record(&self, breaches: Vec<Breach>) {
        let shard = self.handle.as_ref().map(|handle| handle.identity.shard);
        let culprit = Culprit {
            connection: Some(self.caller.connection),
            shard,
        };
        for breach in breaches {
            self.world.violations.record(culprit, breach);
        }
    }

    async fn on_message(&mut self, message: &Message) {
        let outgoing = Outgoing {
            sent: self
                .handle
                .as_ref()
                .map_or(0, |handle| handle.lock().sent()),
            beat_requested: self.remote.take_beat_request(),
        };
        let bytes: &[u8] = message.as_payload();
        let mut breaches = Vec::new();
        let step = self
            .protocol
            .on_payload(Instant::now(), bytes, outgoing, &mut breaches);
        let beat = matches!(step, Step::Acknowledge);
        if !beat && outgoing.beat_requested {
            self.remote.request_beat();
        }
        self.world
            .connections
            .update(self.caller.connection, |connection| {
                connection.heartbeats += u64::from(beat);
                connection.payloads += u64::from(!beat);
            });
        self.obey(step, &mut breaches).await;
        self.record(breaches);
    }

    async fn obey(&mut self, step: Step, breaches: &mut Vec<Breach>) {
        match step {
            Step::Acknowledge => {
                if !self.world.faults.borrow().withhold_acks {
                    self.order(Order::Payload(payload::heartbeat_ack())).await;
                }
            }
            Step::Close(code, reason) => self.order(Order::Close { code, reason }).await,
            Step::Identify(identify) => self.identify(&identify, breaches).await,
            Step::Nothing => {}
            Step::Request(request) => {
                if let Some(handle) = &self.handle {
                    requests::answer(&self.world, handle, request, breaches);
                }
            }
            Step::Resume(resume) => self.resume(&resume, breaches).await,
        }
    }

    async fn identify(&mut self, identify: &Identify, breaches: &mut Vec<Breach>) {
        let verdict = identify::identify(&self.world, self.caller, identify, breaches);
        self.follow(verdict, identify.compress).await;
    }

    async fn resume(&mut self, resume: &Resume, breaches: &mut Vec<Breach>) {
        let verdict = resume::resume(&self.world, self.caller, resume, breaches);
        self.follow(verdict, false).await;
    }

    async fn follow(&mut self, verdict: Verdict, compress_payloads: bool) {
        match verdict {
            Verdict::Close(code, reason) => self.order(Order::Close { code, reason }).await,
            Verdict::Invalid { resumable } => {
                self.order(Order::Payload(payload::invalid_session(resumable)))
                    .await;
            }
            Verdict::Session(handle) => {
                self.protocol.identified();
                self.handle = Some(Arc::clone(&handle));
                let identity = &handle.identity;
                self.world
                    .connections
                    .update(self.caller.connection, |connection| {
                        connection.shard = Some(identity.shard);
                        connection.session = Some(identity.id.clone());
                    });
                self.tasks
                    .spawn(backfill::run(Arc::clone(&self.world), Arc::clone(&handle)));
                self.order(Order::Attach {
                    handle,
                    compress_payloads,
                })
                .await;
            }
        }
    }

    /// Waits while the writer is behind; a stopped writer has no use for orders.
    async fn order(&self, order: Order) {
        if self.remote.orders.send(order).await.is_err() {
            tracing::debug!(
                connection = self.caller.connection,
                "the writer has stopped"
            );
        }
    }
}
