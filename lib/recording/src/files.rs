//! Files of a recording, one for each speaker, written by a thread that may wait for the disk.

use std::{
    collections::{HashMap, hash_map::Entry},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::{self, JoinHandle},
};
use wire::gateway::v1::VoiceRecordedFile;

use crate::{Error, Tally, file::File, speech::Said};

/// Frames of a speaker, five at a time, that wait for the disk.
const WAITING: usize = 1024;
/// Files of one recording: each is open until its end, and a process may have so many open.
const FILES: usize = 100;

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) files: Vec<VoiceRecordedFile>,
    pub(crate) failure: Option<Error>,
}

/// A speaker's file; none when it cannot be written any further.
type Slot = Option<File>;

struct Files {
    recording: String,
    folder: PathBuf,
    open: HashMap<u64, Slot>,
    written: Written,
    tally: Arc<Tally>,
}

/// Makes the directory, and begins to write what comes until nothing more can come.
pub(crate) async fn begin(
    directory: &Path,
    recording: &str,
    tally: Arc<Tally>,
) -> Result<(JoinHandle<Written>, Sender<Said>), Error> {
    let folder = directory.join(recording);
    let files = Files {
        recording: recording.to_owned(),
        folder: folder.clone(),
        open: HashMap::new(),
        written: Written::default(),
        tally,
    };
    let made = tokio::fs::create_dir_all(&folder).await;
    made.map_err(|source| {
        let path = folder;
        Error::Directory { path, source }
    })?;
    let (sender, receiver) = mpsc::channel(WAITING);
    Ok((
        task::spawn_blocking(move || files.write_all(receiver)),
        sender,
    ))
}

impl Files {
    fn write_all(mut self, mut receiver: Receiver<Said>) -> Written {
        while let Some(said) = receiver.blocking_recv() {
            self.write(&said);
        }
        for (user, slot) in std::mem::take(&mut self.open) {
            let Some(file) = slot else {
                continue;
            };
            match file.finish() {
                Ok(duration) => {
                    let file = self.recorded(user, duration);
                    self.written.files.push(file);
                }
                Err(error) => self.fail(user, error),
            }
        }
        self.written.files.sort_by_key(|file| file.user_id);
        self.written
    }

    fn write(&mut self, said: &Said) {
        let path = self.folder.join(name(said.user));
        let count = said.frames.len() as u64;
        let is_full = self.open.len() >= FILES;
        let slot = match self.open.entry(said.user) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(_) if is_full => {
                self.tally.settle(count, false);
                self.written.failure.get_or_insert(Error::Files(FILES));
                return;
            }
            Entry::Vacant(slot) => match File::create(&path) {
                Ok(file) => slot.insert(Some(file)),
                Err(error) => {
                    slot.insert(None);
                    self.tally.settle(count, false);
                    return self.fail(said.user, error);
                }
            },
        };
        let Some(file) = slot else {
            self.tally.settle(count, false);
            return;
        };
        let wrote = said.frames.iter().try_for_each(|frame| file.add(frame));
        self.tally.settle(count, wrote.is_ok());
        if let Err(error) = wrote {
            // What was written stands: each page is complete.
            *slot = None;
            self.fail(said.user, error);
        }
    }

    fn recorded(&self, user_id: u64, duration: Duration) -> VoiceRecordedFile {
        VoiceRecordedFile {
            user_id,
            file: format!("{}/{}", self.recording, name(user_id)),
            duration: duration.try_into().ok(),
        }
    }

    /// The first failure is told.
    fn fail(&mut self, user: u64, source: io::Error) {
        let path = self.folder.join(name(user));
        tracing::warn!(file = %path.display(), error = %source, "a recording cannot be written");
        let failure = Error::File { path, source };
        self.written.failure.get_or_insert(failure);
    }
}

fn name(user: u64) -> String {
    format!("{user}.ogg")
}
