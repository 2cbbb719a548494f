//! An HTTP connection that asks and waits for the answer, with little work of its own.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The end of a head.
const END: &[u8] = b"\r\n\r\n";

/// A kept connection.
#[derive(Debug)]
pub struct Caller {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Caller {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let buffer = Vec::with_capacity(4096);
        Ok(Self { stream, buffer })
    }

    /// Asks, and reads all of the answer, which has to have this status.
    pub async fn ask(&mut self, request: &[u8], status: u16) -> Result<&[u8]> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the connection has ended");
            if let Some(length) = self.length()?
                && self.buffer.len() >= length
            {
                let line = format!("HTTP/1.1 {status} ");
                ensure!(
                    self.buffer.starts_with(line.as_bytes()),
                    "{}",
                    String::from_utf8_lossy(&self.buffer)
                );
                return Ok(&self.buffer);
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
