//! A connection that asks and waits for the answer, with little work of its own.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The end of a head.
const END: &[u8] = b"\r\n\r\n";

/// A kept connection.
pub(crate) struct Caller {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Caller {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let buffer = Vec::with_capacity(4096);
        Ok(Self { stream, buffer })
    }

    /// Asks, and reads all of the answer, which has to be 200.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<()> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the connection has ended");
            if let Some(length) = self.length()?
                && self.buffer.len() >= length
            {
                ensure!(
                    self.buffer.starts_with(b"HTTP/1.1 200 "),
                    "{}",
                    String::from_utf8_lossy(&self.buffer)
                );
                return Ok(());
            }
        }
    }

    /// How long the whole answer is, once its head is there.
    fn length(&self) -> Result<Option<usize>> {
        let end = self.buffer.windows(END.len()).position(|part| part == END);
        let Some(end) = end else { return Ok(None) };
        let head = std::str::from_utf8(&self.buffer[..end])?;
        let mut headers = head.lines().filter_map(|line| line.split_once(':'));
        let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let (_, length) = length.context("an answer without a length")?;
        Ok(Some(end + END.len() + length.trim().parse::<usize>()?))
    }
}

/// A request for a message of this channel.
pub(crate) fn request(channel: u64) -> Vec<u8> {
    format!(
        "GET /api/v10/channels/{channel}/messages/1 HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bot any\r\n\
         user-agent: DiscordBot (https://example.com, 1.0)\r\n\r\n"
    )
    .into_bytes()
}
