//! What is let in, over a real socket.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use boot::{Context, Parse as _};
use bytes::Bytes;
use discord::signature::PublicKeys;
use ed25519_dalek::{Signer as _, SigningKey};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time,
};

use super::Signed;
use crate::{Answer, Bodies, Config, Listener, Protocols};

const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST: usize = 4096;

/// Answers with what it was told, and for whom.
struct Echo(Signed);

impl Answer for Echo {
    async fn answer(&self, request: Request<Incoming>, _: SocketAddr) -> Response<Full<Bytes>> {
        match self.0.take(request).await {
            Ok(taken) => {
                let length = taken.body.bytes.len();
                Response::new(Full::from(format!("{} {length}", taken.application_id)))
            }
            Err(refusal) => refusal.response(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key(application: u64) -> SigningKey {
    SigningKey::from_bytes(&[u8::try_from(application).unwrap(); 32])
}

async fn listen(applications: &[u64]) -> (SocketAddr, Context) {
    let context = Context::new();
    let keys = applications.iter().map(|id| {
        let public = hex(key(*id).verifying_key().as_bytes());
        (*id, PublicKeys::parse(&public).unwrap())
    });
    let (bodies, time) = (Bodies::new(LONGEST, LONGEST), Duration::from_millis(300));
    let tolerance = Duration::from_secs(60);
    let keys: BTreeMap<_, _> = keys.collect();
    let signed = Signed::new("/interactions", keys, bodies, tolerance, time);
    let config = Config {
        connections: 10,
        tls: None,
    };
    let here = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(here, &config, Protocols::Http1And2, &context);
    let listener = listener.await.unwrap();
    let address = listener.address();
    context
        .tasks
        .spawn("http", listener.run(Arc::new(Echo(signed))));
    (address, context)
}

fn request(method: &str, path: &str, application: u64, body: &str, length: usize) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let signature = key(application).sign(format!("{now}{body}").as_bytes());
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\
         x-signature-ed25519: {}\r\nx-signature-timestamp: {now}\r\n\r\n{body}",
        hex(&signature.to_bytes()),
    )
}

/// The status, and the body.
async fn answer(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.ok();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    time::timeout(PATIENCE, read).await.unwrap().ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|it| it.parse().ok());
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned());
    (status.unwrap_or_default(), body.unwrap_or_default())
}

#[tokio::test]
async fn the_path_says_for_which_application_it_is() {
    let (address, _context) = listen(&[7, 8]).await;
    let (alone, _other) = listen(&[7]).await;
    for (address, path, signer, expected) in [
        (address, "/interactions/7", 7, 200),
        (address, "/interactions/8", 8, 200),
        (address, "/interactions/8?x=1", 8, 200),
        (address, "/interactions/7", 8, 401),
        (address, "/interactions/9", 9, 404),
        (address, "/interactions/07", 7, 200),
        (address, "/interactions/+7", 7, 404),
        (address, "/interactions/99999999999999999999", 7, 404),
        (address, "/interactions/7/", 7, 404),
        (address, "/interactions", 7, 404),
        (address, "/", 7, 404),
        (address, "/interactionsx", 7, 404),
        (alone, "/interactions", 7, 200),
        (alone, "/interactions/", 7, 200),
        (alone, "/interactions/7", 7, 200),
        (alone, "/interactionsx", 7, 404),
        (alone, "/interactions", 8, 401),
    ] {
        let (status, body) = answer(address, &request("POST", path, signer, "{}", 2)).await;
        assert_eq!(status, expected, "{path} {signer}");
        if status == 200 {
            assert_eq!(body, format!("{signer} 2"));
        }
    }
}

#[tokio::test]
async fn what_is_no_whole_request_gets_its_status() {
    let (address, _context) = listen(&[7]).await;
    let path = "/interactions";
    let get = answer(address, &request("GET", path, 7, "", 0)).await;
    assert_eq!(get.0, 405);
    let empty = answer(address, &request("POST", path, 7, "", 0)).await;
    assert_eq!(empty, (200, "7 0".to_owned()));
    let long = "x".repeat(LONGEST + 1);
    let large = answer(address, &request("POST", path, 7, &long, long.len())).await;
    assert_eq!(large.0, 413);
    let most = &long[1..];
    let largest = answer(address, &request("POST", path, 7, most, most.len())).await;
    assert_eq!(largest.0, 200);
    // Not all of it comes.
    let slow = answer(address, &request("POST", path, 7, "{}", 100)).await;
    assert_eq!(slow.0, 408);
    let strange = "POST /interactions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_eq!(answer(address, strange).await.0, 401);
}

#[tokio::test]
async fn whoever_has_connected_before_the_end_is_answered() {
    let (address, context) = listen(&[7]).await;
    let mut early = TcpStream::connect(address).await.unwrap();
    context.shutdown.cancel();
    let request = request("POST", "/interactions", 7, "{}", 2);
    early.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = early.read_to_string(&mut answer);
    time::timeout(PATIENCE, read).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    context.tasks.join(PATIENCE).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
