//! A small Discord client and a small HTTP client.

use std::time::Duration;

use flate2::{Decompress, FlushDecompress};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sim::{Config, Sim, intents};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_websockets::{
    ClientBuilder, CloseCode, Limits, MaybeTlsStream, Message, WebSocketStream,
};
use zstd_safe::{DCtx, InBuffer, OutBuffer};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const TOKEN: &str = "sim.token";
pub(crate) const AGENT: &str = "DiscordBot (https://example.com, 1.0)";

pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    decoder: Decoder,
    pub(crate) seq: u64,
    pub(crate) session: String,
    pub(crate) resume_url: String,
    pub(crate) hello: Value,
    /// Websocket messages per payload.
    pub(crate) messages: Vec<usize>,
}

enum Decoder {
    Plain,
    Zlib(Decompress),
    Zstd(DCtx<'static>),
}

/// What came from the simulator.
#[derive(Debug, PartialEq)]
pub(crate) enum Received {
    Payload(Value),
    Closed(Option<u16>),
}

impl Client {
    /// Connects without waiting for HELLO.
    pub(crate) async fn open(url: &str, query: &str) -> Self {
        let uri = format!("{url}/?{query}");
        let builder = ClientBuilder::new()
            .uri(&uri)
            .unwrap()
            .limits(Limits::unlimited());
        let (socket, _) = timeout(PATIENCE, builder.connect()).await.unwrap().unwrap();
        let decoder = if query.contains("zlib-stream") {
            Decoder::Zlib(Decompress::new(true))
        } else if query.contains("zstd-stream") {
            Decoder::Zstd(DCtx::create())
        } else {
            Decoder::Plain
        };
        Self {
            socket,
            decoder,
            seq: 0,
            session: String::new(),
            resume_url: String::new(),
            hello: Value::Null,
            messages: Vec::new(),
        }
    }

    /// Connects and takes HELLO.
    pub(crate) async fn connect(url: &str) -> Self {
        Self::connect_with(url, "v=10&encoding=json").await
    }

    pub(crate) async fn connect_with(url: &str, query: &str) -> Self {
        let mut client = Self::open(url, query).await;
        client.hello = client.payload().await;
        assert_eq!(client.hello["op"], 10);
        client
    }

    /// Connects and identifies as one shard with all intents.
    pub(crate) async fn ready(sim: &Sim, shard: [u32; 2]) -> Self {
        let mut client = Self::connect(&sim.gateway_url()).await;
        client.identify(shard, intents::ALL).await;
        client.event("READY").await;
        client
    }

    pub(crate) async fn identify(&mut self, shard: [u32; 2], intents: u64) {
        self.send(&identify(shard, intents)).await;
    }

    /// Resumes this client's session on a new connection.
    pub(crate) async fn resume(&self, url: &str) -> Self {
        let mut client = Self::connect(url).await;
        client.session.clone_from(&self.session);
        client.resume_url.clone_from(&self.resume_url);
        client.seq = self.seq;
        let d = json!({"token": TOKEN, "session_id": self.session, "seq": self.seq});
        client.send(&json!({"op": 6, "d": d})).await;
        client
    }

    pub(crate) async fn send(&mut self, payload: &Value) {
        self.send_text(payload.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn close(mut self, code: u16) {
        let code = CloseCode::try_from(code).unwrap();
        self.socket
            .send(Message::close(Some(code), ""))
            .await
            .unwrap();
        timeout(PATIENCE, async {
            while self.socket.next().await.is_some() {}
        })
        .await
        .unwrap();
    }

    /// The next payload or the end.
    pub(crate) async fn receive(&mut self) -> Received {
        timeout(PATIENCE, self.next())
            .await
            .expect("something comes in time")
    }

    async fn next(&mut self) -> Received {
        let mut buffer = Vec::new();
        let mut messages = 0;
        loop {
            let Some(Ok(message)) = self.socket.next().await else {
                return Received::Closed(None);
            };
            if let Some((code, _)) = message.as_close() {
                return Received::Closed(Some(code.into()));
            }
            messages += 1;
            buffer.extend_from_slice(message.as_payload());
            if message.is_binary() {
                let Some(plain) = self.decode(&buffer) else {
                    continue;
                };
                buffer = plain;
            }
            self.messages.push(messages);
            let payload: Value = serde_json::from_slice(&buffer).unwrap();
            if let Some(seq) = payload["s"].as_u64() {
                self.seq = seq;
            }
            if payload["t"] == "READY" {
                self.session = payload["d"]["session_id"].as_str().unwrap().to_owned();
                self.resume_url = payload["d"]["resume_gateway_url"]
                    .as_str()
                    .unwrap()
                    .to_owned();
            }
            return Received::Payload(payload);
        }
    }

    fn decode(&mut self, compressed: &[u8]) -> Option<Vec<u8>> {
        let mut plain = Vec::with_capacity(16 << 20);
        match &mut self.decoder {
            Decoder::Plain => {
                Decompress::new(true)
                    .decompress_vec(compressed, &mut plain, FlushDecompress::Finish)
                    .unwrap();
            }
            Decoder::Zlib(context) => {
                if !compressed.ends_with(&[0, 0, 0xff, 0xff]) {
                    return None;
                }
                context
                    .decompress_vec(compressed, &mut plain, FlushDecompress::Sync)
                    .unwrap();
            }
            Decoder::Zstd(context) => {
                let mut input = InBuffer::around(compressed);
                while input.pos() < compressed.len() {
                    let position = plain.len();
                    let mut output = OutBuffer::around_pos(&mut plain, position);
                    context.decompress_stream(&mut output, &mut input).unwrap();
                }
            }
        }
        Some(plain)
    }

    /// The next message of a plain transport as it came.
    pub(crate) async fn text(&mut self) -> String {
        let message = timeout(PATIENCE, self.socket.next()).await.unwrap();
        message.unwrap().unwrap().as_text().unwrap().to_owned()
    }

    pub(crate) async fn payload(&mut self) -> Value {
        match self.receive().await {
            Received::Payload(payload) => payload,
            Received::Closed(code) => panic!("closed with {code:?}"),
        }
    }

    /// Reads up to the next event with that name.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        loop {
            let payload = self.payload().await;
            if payload["t"] == name {
                return payload;
            }
        }
    }

    /// Reads up to the next payload with that opcode.
    pub(crate) async fn op(&mut self, op: u64) -> Value {
        loop {
            let payload = self.payload().await;
            if payload["op"] == op {
                return payload;
            }
        }
    }

    /// Reads up to the end; the close code.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Received::Closed(code) = self.receive().await {
                return code;
            }
        }
    }
}

pub(crate) fn identify(shard: [u32; 2], intents: u64) -> Value {
    let properties = json!({"os": "linux", "browser": "test", "device": "test"});
    let d = json!({
        "token": TOKEN, "properties": properties, "shard": shard, "intents": intents,
    });
    json!({"op": 2, "d": d})
}

/// Settings under which tests need not wait.
pub(crate) fn quick() -> Config {
    Config {
        identify_window_ms: 0,
        guilds: 4,
        guild_members: 8,
        max_connections_per_second: 1000,
        ..Config::default()
    }
}

pub(crate) async fn start(config: Config) -> Sim {
    Sim::start(config).await.unwrap()
}

/// The kinds of the violations so far.
pub(crate) fn kinds(sim: &Sim) -> Vec<sim::Kind> {
    sim.violations()
        .into_iter()
        .map(|violation| violation.kind)
        .collect()
}

/// Waits until there are violations of these kinds.
pub(crate) async fn wait_for_kinds(sim: &Sim, expected: &[sim::Kind]) {
    let what = format!("violations {expected:?}");
    sim.wait_for(&what, PATIENCE, |state| {
        state
            .violations
            .iter()
            .map(|violation| violation.kind)
            .eq(expected.iter().copied())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}; there are {:?}", kinds(sim)));
}

/// An HTTP request; the status and the body as JSON.
pub(crate) async fn http(method: &str, url: &str, headers: &str, body: &str) -> (u16, Value) {
    let (status, _, body) = answer(method, url, headers, body).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

/// An HTTP request; the status, the head and the body as they came.
pub(crate) async fn answer(
    method: &str,
    url: &str,
    headers: &str,
    body: &str,
) -> (u16, String, String) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}
