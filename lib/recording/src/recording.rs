//! A recording that goes on, and what is left of it.

use tokio::task::JoinHandle;
use wire::gateway::v1::VoiceRecordedFile;

use crate::{Ears, Error, ears::State, files::Written};

/// A recording. It ends when it is stopped or dropped.
#[derive(Debug)]
#[must_use]
pub struct Recording {
    id: String,
    ears: Ears,
    /// Who writes files.
    writer: Option<JoinHandle<Written>>,
}

/// What is left of a recording.
#[derive(Debug, Default)]
pub struct Stopped {
    /// The files that were written, one a speaker.
    pub files: Vec<VoiceRecordedFile>,
    /// Frames that were heard and not delivered.
    pub dropped: u64,
    /// Why files are missing or shorter than they should be.
    pub failure: Option<Error>,
}

impl Recording {
    pub(crate) fn new(ears: Ears) -> Self {
        let id = format!("{:032x}", fastrand::u128(..));
        let writer = None;
        Self { id, ears, writer }
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

    /// Frames that were heard and not delivered so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let state = self.ears.state();
        let speech = state.speech.as_ref().filter(|it| it.recording == self.id);
        speech.map_or(0, |speech| speech.dropped)
    }

    /// Ends it, and waits until files are complete.
    pub async fn stop(mut self) -> Stopped {
        let mut stopped = Stopped {
            dropped: self.end(),
            ..Stopped::default()
        };
        if let Some(writer) = self.writer.take()
            && let Ok(written) = writer.await
        {
            stopped.files = written.files;
            stopped.failure = written.failure;
            stopped.dropped += written.dropped;
        }
        stopped
    }

    /// Becomes deaf; how many frames were not delivered.
    fn end(&self) -> u64 {
        let State { users, speech } = &mut *self.ears.state();
        let Some(mut ended) = speech.take_if(|speech| speech.recording == self.id) else {
            return 0;
        };
        ended.end(users);
        ended.dropped
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.end();
    }
}
