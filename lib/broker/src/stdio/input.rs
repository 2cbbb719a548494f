//! Reads requests from stdin.

use std::{fmt, future};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, BufReader},
    sync::mpsc,
};

use super::{
    json::{self, Caller},
    output::{Answer, Line},
};
use crate::requests::Call;

/// The longest line that is read. A longer one is skipped and answered with an error.
const LONGEST: usize = 32 * 1024 * 1024;

/// The requests on stdin.
pub(crate) struct Input {
    reader: Box<dyn AsyncBufRead + Send + Sync + Unpin>,
    services: Vec<String>,
    application_id: u64,
    replies: mpsc::Sender<Line>,
    /// The line as far as it was read.
    line: Vec<u8>,
    /// Whether the line has become too long, and only its end is looked for.
    skipping: bool,
}

impl Input {
    pub(super) fn new(
        reader: impl AsyncRead + Send + Sync + Unpin + 'static,
        services: &[&str],
        application_id: u64,
        replies: mpsc::Sender<Line>,
    ) -> Self {
        Self {
            reader: Box::new(BufReader::new(reader)),
            services: services.iter().map(|it| (*it).to_owned()).collect(),
            application_id,
            replies,
            line: Vec::new(),
            skipping: false,
        }
    }

    /// The next line that is not empty: a call, or why it is none. Waits for ever when stdin has
    /// ended. Cancel safe.
    pub(crate) async fn next(&mut self) -> (Result<Call, String>, Answer) {
        loop {
            if !self.read_line().await {
                tracing::debug!("stdin has ended: no more requests will come");
                future::pending::<()>().await;
            }
            let line = std::mem::take(&mut self.line);
            if std::mem::take(&mut self.skipping) {
                let reason = format!("the line is longer than {LONGEST} bytes");
                return (
                    Err(reason),
                    Answer::new(self.replies.clone(), Caller::default()),
                );
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let call = json::call(&line, &self.services, self.application_id, json::pool);
            return (call, Answer::new(self.replies.clone(), json::caller(&line)));
        }
    }

    /// Reads on until `line` holds a whole line; false when there is none any more.
    async fn read_line(&mut self) -> bool {
        loop {
            let available = match self.reader.fill_buf().await {
                Ok(available) => available,
                Err(error) => {
                    tracing::warn!(%error, "stdin cannot be read: no more requests will come");
                    return false;
                }
            };
            if available.is_empty() {
                return !self.line.is_empty() || self.skipping;
            }
            let end = available.iter().position(|&byte| byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            if self.skipping || self.line.len() + part.len() > LONGEST {
                self.skipping = true;
                self.line = Vec::new();
            } else {
                self.line.extend_from_slice(part);
            }
            let consumed = end.map_or(available.len(), |end| end + 1);
            self.reader.consume(consumed);
            if end.is_some() {
                return true;
            }
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
