//! A file behind an address, as demuxers read it. It blocks, on the thread that reads ahead.

use std::{
    io::{self, Read, Seek, SeekFrom},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use reqwest::Url;
use symphonia::core::io::MediaSource;
use tokio::{runtime::Handle, time};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Health,
    web::{Content, Described, Web},
};

/// How often in a row a file may break off.
const ATTEMPTS: u32 = 6;
/// Bytes that must come between two breaks, so that they are not in a row.
const PROGRESS: u64 = 16 << 10;
/// How long to wait before the second attempt; twice as long before each further one.
const WAIT: Duration = Duration::from_millis(100);
/// How far ahead a place may be that is read up to, rather than asked for.
const NEAR: u64 = 128 << 10;

/// A file that is read from its server.
pub(crate) struct Remote {
    web: Web,
    url: Url,
    described: Described,
    /// The next byte to be read.
    at: u64,
    content: Option<Content>,
    /// What has come of it, and is not read yet.
    piece: Bytes,
    breaks: u32,
    /// Where it broke off last.
    broke_at: u64,
    /// Why it cannot be read any further.
    failed: Option<Error>,
    health: Health,
    runtime: Handle,
    stop: CancellationToken,
}

impl Remote {
    /// Asks for the file.
    pub(crate) async fn open(
        web: Web,
        url: Url,
        health: Health,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let (described, content) = web.first(&url).await?;
        Ok(Self {
            web,
            url,
            described,
            at: 0,
            content: Some(content),
            piece: Bytes::new(),
            breaks: 0,
            broke_at: 0,
            failed: None,
            health,
            runtime: Handle::current(),
            stop,
        })
    }

    /// Waits until there is a piece. Nothing at the end.
    async fn fetch(&mut self) -> Result<(), Error> {
        while self.piece.is_empty() && !self.is_at_end() {
            let fetched = self.next_piece().await;
            match fetched {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => self.endure(error).await?,
            }
        }
        Ok(())
    }

    fn is_at_end(&self) -> bool {
        self.described
            .length
            .is_some_and(|length| self.at >= length)
    }

    /// The next piece; false at the end.
    async fn next_piece(&mut self) -> Result<bool, Error> {
        let content = match &mut self.content {
            Some(content) => content,
            content => match self.web.rest(&self.url, self.at, &self.described).await? {
                Some(rest) => content.insert(rest),
                None => return Ok(false),
            },
        };
        let next = time::timeout(self.web.patience, content.response.chunk()).await;
        let next = next.map_err(|_| Error::Silent(self.web.patience))?;
        let Some(mut piece) = next.map_err(|_| Error::Unreachable)? else {
            // A server that says no length ends where its answer does.
            self.content = None;
            return match self.described.length {
                Some(_) => Err(Error::Unreachable),
                None => Ok(false),
            };
        };
        let surplus = content.surplus.min(piece.len() as u64);
        content.surplus -= surplus;
        piece.advance(usize::try_from(surplus).unwrap_or(piece.len()));
        self.piece = piece;
        Ok(true)
    }

    /// Waits before the next attempt, if there is one.
    async fn endure(&mut self, error: Error) -> Result<(), Error> {
        self.content = None;
        if self.at.abs_diff(self.broke_at) >= PROGRESS {
            self.breaks = 0;
        }
        self.broke_at = self.at;
        self.breaks += 1;
        let is_passing = match &error {
            Error::Silent(_) | Error::Unreachable => true,
            Error::Status(status) => *status == 429 || *status >= 500,
            _ => false,
        };
        if !is_passing || self.breaks >= ATTEMPTS {
            return Err(error);
        }
        time::sleep(WAIT * (1 << (self.breaks - 1))).await;
        Ok(())
    }
}

impl Read for Remote {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = &self.failed {
            return Err(io::Error::other(error.clone()));
        }
        let (runtime, stop) = (self.runtime.clone(), self.stop.clone());
        let fetched = runtime.block_on(stop.run_until_cancelled(self.fetch()));
        match fetched {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                self.health.fail(error.clone());
                self.failed = Some(error.clone());
                return Err(io::Error::other(error));
            }
            None => return Err(io::Error::other("nobody plays it any more")),
        }
        let count = buffer.len().min(self.piece.len());
        self.piece
            .split_to(count)
            .copy_to_slice(&mut buffer[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Remote {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let length = self.described.length;
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => length.and_then(|length| length.checked_add_signed(by)),
        };
        let place = place.ok_or(io::ErrorKind::InvalidInput)?;
        if place == self.at {
            return Ok(place);
        }
        let ahead = place.checked_sub(self.at).filter(|ahead| *ahead <= NEAR);
        match (ahead, &mut self.content) {
            (Some(ahead), Some(content)) => {
                let here = ahead.min(self.piece.len() as u64);
                self.piece
                    .advance(usize::try_from(here).unwrap_or_default());
                content.surplus += ahead - here;
            }
            _ => {
                self.piece = Bytes::new();
                self.content = None;
            }
        }
        self.at = place;
        Ok(place)
    }
}

impl MediaSource for Remote {
    fn is_seekable(&self) -> bool {
        self.described.ranges && self.described.length.is_some()
    }

    fn byte_len(&self) -> Option<u64> {
        self.described.length
    }
}
