//! One client's websocket from the TLS handshake to its end.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tokio_websockets::{CloseCode, Limits, Message as WsMessage, ServerBuilder, WebSocketStream};

use crate::{
    hall::Refusal,
    payload::{self, Frame, Incoming, Mistake},
    server::Shared,
    session::Link,
    violations::Kind,
};

/// What a client may send before its message is judged.
const FRAME_LIMIT: usize = 1 << 20;
/// Messages that may wait for a client.
const QUEUE: usize = 1024;
/// How long the handshakes may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client has to answer a close frame.
const FAREWELL: Duration = Duration::from_secs(2);
/// The oldest version that Discord serves, and the newest.
const VERSIONS: std::ops::RangeInclusive<u8> = 4..=8;

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Serves a TCP connection.
pub(crate) async fn serve(stream: TcpStream, shared: Arc<Shared>, shutdown: CancellationToken) {
    if shared.hall().faults.refuse_connections.take() {
        return;
    }
    let Ok(Some((version, socket))) = timeout(HANDSHAKE, shake_hands(stream, &shared)).await else {
        tracing::debug!("no voice websocket handshake");
        return;
    };
    let (frames, inbox) = mpsc::channel(QUEUE);
    let link = Link {
        connection: shared.next_connection(),
        frames,
        kill: shutdown.child_token(),
    };
    let mut connection = Connection {
        socket,
        shared,
        link,
        inbox,
        version: version.unwrap_or_default(),
        ssrc: None,
        deadline: Instant::now(),
    };
    let left = connection.run(version).await;
    connection.release(left);
}

/// TLS, then the websocket; the version that its address asks for.
async fn shake_hands(stream: TcpStream, shared: &Shared) -> Option<(Option<u8>, Socket)> {
    stream.set_nodelay(true).ok()?;
    let tls = TlsAcceptor::from(shared.certificate.server());
    let stream = tls.accept(stream).await.ok()?;
    let limits = Limits::default().max_payload_len(Some(FRAME_LIMIT));
    let accepted = ServerBuilder::new().limits(limits).accept(stream).await;
    let (request, socket) = accepted.ok()?;
    let query = request.uri().query().unwrap_or_default();
    let version = query.split('&').find_map(|pair| pair.strip_prefix("v="));
    Some((version.and_then(|version| version.parse().ok()), socket))
}

struct Connection {
    socket: Socket,
    shared: Arc<Shared>,
    link: Link,
    inbox: mpsc::Receiver<Frame>,
    version: u8,
    /// Once the client has a session.
    ssrc: Option<u32>,
    /// When the next heartbeat is overdue.
    deadline: Instant,
}

impl Connection {
    /// Reads and writes until the end; the code that the client closed with.
    async fn run(&mut self, version: Option<u8>) -> Option<u16> {
        if !version.is_some_and(|version| VERSIONS.contains(&version)) {
            let text = format!("version {version:?} of the voice gateway");
            let refusal = Refusal::new(4020, "Bad request.", Kind::Version, text);
            self.refuse(refusal).await;
            return None;
        }
        let interval = self.shared.hall().settings.heartbeat_interval_ms;
        self.link
            .send(payload::hello(self.version, interval).frame(None));
        self.expect_heartbeat();
        let kill = self.link.kill.clone();
        loop {
            tokio::select! {
                biased;
                () = kill.cancelled() => return None,
                frame = self.inbox.recv() => {
                    if !self.write(frame?).await {
                        return None;
                    }
                }
                message = self.socket.next() => {
                    let message = message?.ok()?;
                    if let Some((code, _)) = message.as_close() {
                        return Some(code.into());
                    }
                    if let Err(refusal) = self.on_message(&message) {
                        self.refuse(refusal).await;
                        return None;
                    }
                }
                () = sleep_until(self.deadline) => {
                    let text = "no heartbeat in time";
                    let refusal = Refusal::new(4009, "Session timed out.", Kind::Heartbeat, text);
                    self.refuse(refusal).await;
                    return None;
                }
            }
        }
    }

    fn expect_heartbeat(&mut self) {
        let hall = self.shared.hall();
        let interval = hall.settings.heartbeat_interval_ms;
        let grace = hall.settings.heartbeat_grace_ms;
        let grace = grace.unwrap_or_else(|| (interval / 2).max(500));
        self.deadline = Instant::now() + Duration::from_millis(interval + grace);
    }

    fn on_message(&mut self, message: &WsMessage) -> Result<(), Refusal> {
        let bytes: &[u8] = message.as_payload();
        let parsed = if message.is_text() {
            payload::parse(bytes)
        } else if message.is_binary() {
            payload::parse_binary(bytes)
        } else {
            return Ok(());
        };
        let incoming = parsed.map_err(|mistake| match mistake {
            Mistake::Malformed(text) => {
                Refusal::new(4002, "Failed to decode payload.", Kind::Payload, text)
            }
            Mistake::Unknown(text) => Refusal::new(4001, "Unknown opcode.", Kind::Payload, text),
        })?;
        if let Incoming::Heartbeat(heartbeat) = &incoming {
            if heartbeat.numbered != (self.version >= payload::NUMBERED) {
                let text = format!(
                    "a heartbeat in the form of another version than {}",
                    self.version
                );
                return Err(Refusal::new(
                    4002,
                    "Failed to decode payload.",
                    Kind::Heartbeat,
                    text,
                ));
            }
            self.expect_heartbeat();
        }
        let now = Instant::now();
        let mut hall = self.shared.hall();
        match (self.ssrc, incoming) {
            (Some(ssrc), incoming) => hall.on_message(now, ssrc, incoming),
            (None, Incoming::Identify(identify)) => {
                let link = self.link.clone();
                self.ssrc = Some(hall.identify(now, link, self.version, &identify)?);
                Ok(())
            }
            (None, Incoming::Resume(resume)) => {
                self.ssrc = Some(hall.resume(self.link.clone(), &resume)?);
                Ok(())
            }
            (None, Incoming::Heartbeat(heartbeat)) => {
                self.link
                    .send(payload::heartbeat_ack(&heartbeat).frame(None));
                Ok(())
            }
            (None, _) => {
                let text = "a payload before Identify";
                Err(Refusal::new(
                    4003,
                    "Not authenticated.",
                    Kind::Payload,
                    text,
                ))
            }
        }
    }

    /// Writes a frame; whether the connection goes on.
    async fn write(&mut self, frame: Frame) -> bool {
        let message = match frame {
            Frame::Text(text) => WsMessage::text(text),
            Frame::Binary(bytes) => WsMessage::binary(bytes),
            Frame::Close { code, reason } => {
                self.farewell(code, reason).await;
                return false;
            }
        };
        self.socket.send(message).await.is_ok()
    }

    /// Notes what the client did, ends its session, and closes the connection.
    async fn refuse(&mut self, refusal: Refusal) {
        {
            let mut hall = self.shared.hall();
            if let Some((kind, text)) = refusal.breach {
                hall.record(None, kind, text);
            }
            if let Some(ssrc) = self.ssrc.take() {
                hall.end(Instant::now(), ssrc, refusal.code);
            }
        }
        self.farewell(refusal.code, refusal.reason).await;
    }

    async fn farewell(&mut self, code: u16, reason: &'static str) {
        let Ok(code) = CloseCode::try_from(code) else {
            return;
        };
        let said = async {
            self.socket
                .send(WsMessage::close(Some(code), reason))
                .await?;
            while let Some(Ok(message)) = self.socket.next().await {
                if message.is_close() {
                    break;
                }
            }
            Ok::<(), tokio_websockets::Error>(())
        };
        match timeout(FAREWELL, said).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the close frame was not sent"),
            Err(_) => tracing::debug!("the client did not answer the close frame"),
        }
    }

    /// The session, if it is still this connection's, waits for another one.
    fn release(&self, left: Option<u16>) {
        if let Some(ssrc) = self.ssrc {
            let mut hall = self.shared.hall();
            hall.detach(Instant::now(), ssrc, self.link.connection, left);
        }
    }
}
