//! A recording that goes on, and what is left of it.

use std::sync::Arc;

use tokio::task::JoinHandle;
use wire::gateway::v1::VoiceRecordedFile;

use crate::{Ears, Error, Tally, ears::State, files::Written};

/// A recording. It ends when it is stopped or dropped.
#[derive(Debug)]
#[must_use]
pub struct Recording {
    id: String,
    ears: Ears,
    tally: Arc<Tally>,
    /// Who writes files.
    writer: Option<JoinHandle<Written>>,
}

/// What is left of a recording.
#[derive(Debug, Default)]
pub struct Stopped {
    /// The files that were written, one a speaker.
    pub files: Vec<VoiceRecordedFile>,
    /// Who was heard.
    pub users: Vec<u64>,
    /// Why files are missing or shorter than they should be.
    pub failure: Option<Error>,
}

impl Recording {
    pub(crate) fn new(ears: Ears) -> Self {
        let id = format!("{:032x}", fastrand::u128(..));
        Self {
            id,
            ears,
            tally: Arc::default(),
            writer: None,
        }
    }

    pub(crate) fn with(mut self, writer: JoinHandle<Written>) -> Self {
        self.writer = Some(writer);
        self
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is counted of it. When it has been stopped, nothing more is.
    #[must_use]
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Ends it, and waits until files are complete.
    pub async fn stop(mut self) -> Stopped {
        let mut stopped = Stopped {
            users: self.end(),
            ..Stopped::default()
        };
        if let Some(writer) = self.writer.take()
            && let Ok(written) = writer.await
        {
            stopped.files = written.files;
            stopped.failure = written.failure;
        }
        stopped
    }

    /// Becomes deaf; who was heard.
    fn end(&self) -> Vec<u64> {
        let State { users, speech, .. } = &mut *self.ears.state();
        let Some(mut ended) = speech.take_if(|speech| speech.recording == self.id) else {
            return Vec::new();
        };
        ended.end(users);
        ended.heard.into_iter().collect()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.end();
    }
}
