//! A small voice client.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use sim_voice::{Config, Grant, Kind, Settings, VoiceServer};
use tokio::{
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const GUILD: u64 = 41;
pub(crate) const CHANNEL: u64 = 42;
pub(crate) const USER: u64 = 43;
/// A simulated user.
pub(crate) const OTHER: u64 = 44;

pub(crate) fn grant(user_id: u64) -> Grant {
    Grant {
        guild_id: GUILD,
        channel_id: CHANNEL,
        user_id,
        session_id: format!("session of {user_id}"),
        token: format!("token of {user_id}"),
        companion: Some(OTHER),
    }
}

/// A server where the users 43 and 45 may come into a channel without DAVE.
pub(crate) async fn start(change: impl FnOnce(&mut Settings)) -> VoiceServer {
    let mut settings = Settings {
        dave_version: 0,
        ..Settings::default()
    };
    change(&mut settings);
    let config = Config {
        settings,
        ..Config::default()
    };
    let server = VoiceServer::start(config).await.unwrap();
    server.allow(grant(USER));
    server.allow(grant(45));
    server
}

pub(crate) fn kinds(server: &VoiceServer) -> Vec<Kind> {
    server
        .violations()
        .into_iter()
        .map(|violation| violation.kind)
        .collect()
}

pub(crate) struct Client {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    /// What READY said.
    pub(crate) ready: Value,
    pub(crate) key: [u8; 32],
    pub(crate) udp: Option<UdpSocket>,
}

/// What comes from the server.
#[derive(Debug, PartialEq)]
pub(crate) enum Received {
    Text(Value),
    Binary(Vec<u8>),
    Closed(Option<u16>),
}

impl Client {
    /// Connects, and takes HELLO.
    pub(crate) async fn connect(server: &VoiceServer, query: &str) -> Self {
        let mut client = Self::open(server, query).await;
        let hello = client.op(8).await;
        assert!(hello["d"]["heartbeat_interval"].is_u64());
        client
    }

    pub(crate) async fn open(server: &VoiceServer, query: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(server.certificate().as_bytes()).unwrap();
        roots.add(certificate).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let [endpoint, _] = server.endpoints();
        let stream = TcpStream::connect(endpoint).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        let uri = format!("wss://{endpoint}/{query}");
        let builder = ClientBuilder::new().uri(&uri).unwrap();
        let (socket, _) = builder.connect_on(stream).await.unwrap();
        Self {
            socket,
            ready: Value::Null,
            key: [0; 32],
            udp: None,
        }
    }

    /// Goes through the whole handshake, IP discovery included.
    pub(crate) async fn join(server: &VoiceServer, user: u64, mode: &str) -> Self {
        let mut client = Self::connect(server, "?v=8").await;
        client.identify(user, 1).await;
        client.ready = client.op(2).await["d"].take();
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        udp.connect(("127.0.0.1", client.number("port").try_into().unwrap()))
            .await
            .unwrap();
        let mut packet = vec![0, 1, 0, 70];
        packet.extend(client.ssrc().to_be_bytes());
        packet.resize(74, 0);
        udp.send(&packet).await.unwrap();
        let mut reply = [0; 100];
        let length = timeout(PATIENCE, udp.recv(&mut reply))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((length, &reply[..4]), (74, &[0, 2, 0, 70][..]));
        assert_eq!(reply[4..8], client.ssrc().to_be_bytes());
        assert_eq!(&reply[8..18], b"127.0.0.1\0");
        let port = u16::from_be_bytes([reply[72], reply[73]]);
        assert_eq!(port, udp.local_addr().unwrap().port());
        client.udp = Some(udp);
        let data = json!({"address": "127.0.0.1", "port": port, "mode": mode});
        client
            .send(1, json!({"protocol": "udp", "data": data}))
            .await;
        let description = client.op(4).await;
        assert_eq!(description["d"]["mode"], mode);
        client.key = serde_json::from_value(description["d"]["secret_key"].clone()).unwrap();
        client
    }

    fn number(&self, key: &str) -> u64 {
        self.ready[key].as_u64().unwrap()
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.number("ssrc").try_into().unwrap()
    }

    pub(crate) async fn identify(&mut self, user: u64, dave: u16) {
        let Grant {
            session_id, token, ..
        } = grant(user);
        let d = json!({
            "server_id": GUILD.to_string(), "user_id": user.to_string(), "session_id": session_id,
            "token": token, "max_dave_protocol_version": dave,
        });
        self.send(0, d).await;
    }

    pub(crate) async fn resume(&mut self, seq_ack: Option<i64>) {
        let Grant {
            session_id, token, ..
        } = grant(USER);
        let d = json!({
            "server_id": GUILD.to_string(), "session_id": session_id, "token": token,
            "seq_ack": seq_ack,
        });
        self.send(7, d).await;
    }

    pub(crate) async fn send(&mut self, op: u64, d: Value) {
        self.send_text(json!({"op": op, "d": d}).to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn send_binary(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::binary(bytes)).await.unwrap();
    }

    pub(crate) async fn receive(&mut self) -> Received {
        let message = timeout(PATIENCE, self.socket.next())
            .await
            .expect("something comes");
        let Some(Ok(message)) = message else {
            return Received::Closed(None);
        };
        if let Some((code, _)) = message.as_close() {
            return Received::Closed(Some(code.into()));
        }
        match message.as_text() {
            Some(text) => Received::Text(serde_json::from_str(text).unwrap()),
            None => Received::Binary(message.as_payload().to_vec()),
        }
    }

    /// Reads up to the next text message with that opcode.
    pub(crate) async fn op(&mut self, op: u64) -> Value {
        loop {
            match self.receive().await {
                Received::Text(text) if text["op"] == op => return text,
                Received::Text(_) | Received::Binary(_) => {}
                Received::Closed(code) => panic!("closed with {code:?}"),
            }
        }
    }

    /// Reads up to the end.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Received::Closed(code) = self.receive().await {
                return code;
            }
        }
    }
}
