//! A Discord that answers everything at once and with room in every bucket: the least work that can be done.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A message, as large as an ordinary one.
const BODY: &str = r#"{"type":0,"content":"a message","mentions":[],"mention_roles":[],"attachments":[],"embeds":[],"timestamp":"2026-01-01T00:00:00.000000+00:00","edited_timestamp":null,"flags":0,"components":[],"id":"1456000000000000000","channel_id":"849074769100800001","author":{"id":"1100000000000000001","username":"sim","avatar":null,"discriminator":"0000","public_flags":0,"flags":0,"bot":true,"banner":null,"accent_color":null,"global_name":null},"pinned":false,"mention_everyone":false,"tts":false}"#;

/// What listens; it ends when this is dropped.
pub(crate) struct Upstream {
    address: SocketAddr,
    _listening: JoinSet<()>,
}

impl Upstream {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    // Who ends a connection needs no answer.
                    answer(stream).await.ok();
                });
            }
        });
        Ok(Self {
            address,
            _listening: listening,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Answers requests without a body, one after the other.
async fn answer(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let answer: Arc<[u8]> = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         x-ratelimit-bucket: d721dea6054f6322373d361f98e5c38b\r\nx-ratelimit-limit: 1000000\r\n\
         x-ratelimit-remaining: 999999\r\nx-ratelimit-reset: 1790000000.000\r\nx-ratelimit-reset-after: 1.000\r\n\
         via: 1.1 google\r\n\r\n{BODY}",
        BODY.len()
    )
    .into_bytes()
    .into();
    let mut buffer = Vec::with_capacity(4096);
    while stream.read_buf(&mut buffer).await? > 0 {
        if buffer.ends_with(b"\r\n\r\n") {
            buffer.clear();
            stream.write_all(&answer).await?;
        }
    }
    Ok(())
}
